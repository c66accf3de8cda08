//! A proxy between a client and a server that can hold back the server's replies.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::{AbortHandle, JoinSet},
};

/// Forwards connections to a port of 127.0.0.1 until it is dropped.
pub struct Proxy {
    address: SocketAddr,
    connections: Arc<Mutex<Vec<Connection>>>,
    accepting: AbortHandle,
}

struct Connection {
    held: watch::Sender<bool>,
    forwarding: AbortHandle,
}

impl Proxy {
    /// Starts forwarding.
    ///
    /// # Panics
    ///
    /// When no port is free.
    pub async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let connections = Arc::default();
        let accepting = tokio::spawn(accept(listener, port, Arc::clone(&connections)));
        Self { address, connections, accepting: accepting.abort_handle() }
    }

    /// The `host:port` to connect to.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Holds back the replies on the connections that are open now, but not on later ones.
    pub fn hold_replies(&self) {
        self.each(|connection| _ = connection.held.send_replace(true));
    }

    /// Forwards the replies that were held back, and those that follow.
    pub fn let_replies_through(&self) {
        self.each(|connection| _ = connection.held.send_replace(false));
    }

    /// Closes the connections that are open now. Replies that were held back are lost.
    pub fn cut(&self) {
        self.each(|connection| connection.forwarding.abort());
    }

    fn each(&self, action: impl FnMut(&Connection)) {
        let connections = self.connections.lock();
        connections.unwrap_or_else(PoisonError::into_inner).iter().for_each(action);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

async fn accept(listener: TcpListener, port: u16, connections: Arc<Mutex<Vec<Connection>>>) {
    let mut forwarding = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let (held, hold) = watch::channel(false);
        let forwarding = forwarding.spawn(async move { drop(forward(client, port, hold).await) });
        let mut connections = connections.lock().unwrap_or_else(PoisonError::into_inner);
        connections.push(Connection { held, forwarding });
    }
}

async fn forward(client: TcpStream, port: u16, hold: watch::Receiver<bool>) -> io::Result<()> {
    let server = TcpStream::connect(("127.0.0.1", port)).await?;
    let (mut from_client, to_client) = client.into_split();
    let (from_server, mut to_server) = server.into_split();
    tokio::select! {
        done = copy(&mut from_client, &mut to_server) => done.map(drop),
        done = reply(from_server, to_client, hold) => done,
    }
}

async fn reply(
    mut server: OwnedReadHalf,
    mut client: OwnedWriteHalf,
    mut hold: watch::Receiver<bool>,
) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = server.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        if hold.wait_for(|held| !held).await.is_err() {
            return Ok(());
        }
        client.write_all(&buffer[..read]).await?;
    }
}
