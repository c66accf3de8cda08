//! Listening sockets.

use std::{io, iter, net, os::unix};

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

/// A socket that listens.
#[derive(Debug)]
#[non_exhaustive]
pub enum Listener {
    /// Listens on an address and a port.
    Tcp(TcpListener),
    /// Listens on a path. The server does not remove the file.
    Unix(UnixListener),
}

pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Listener {
    pub(super) async fn accept(&self) -> io::Result<Stream> {
        match self {
            Self::Tcp(listener) => Ok(of_tcp(listener.accept().await?.0)),
            Self::Unix(listener) => Ok(Stream::Unix(listener.accept().await?.0)),
        }
    }

    /// The connections in the system's queue, of which the runtime may not know yet. The socket closes when the
    /// iterator is dropped.
    pub(super) fn queued(self) -> io::Result<impl Iterator<Item = io::Result<Stream>> + Send> {
        let system = match self {
            Self::Tcp(listener) => System::Tcp(listener.into_std()?),
            Self::Unix(listener) => System::Unix(listener.into_std()?),
        };
        Ok(iter::from_fn(move || match system.accept() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            accepted => Some(accepted),
        }))
    }
}

/// A socket that listens, without the runtime.
enum System {
    Tcp(net::TcpListener),
    Unix(unix::net::UnixListener),
}

impl System {
    fn accept(&self) -> io::Result<Stream> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept()?;
                stream.set_nonblocking(true)?;
                Ok(of_tcp(TcpStream::from_std(stream)?))
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept()?;
                stream.set_nonblocking(true)?;
                Ok(Stream::Unix(UnixStream::from_std(stream)?))
            }
        }
    }
}

fn of_tcp(stream: TcpStream) -> Stream {
    // A response is one small packet, which should not wait for more.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!("cannot set TCP_NODELAY: {error}");
    }
    Stream::Tcp(stream)
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Self::Tcp(listener)
    }
}

impl From<UnixListener> for Listener {
    fn from(listener: UnixListener) -> Self {
        Self::Unix(listener)
    }
}
