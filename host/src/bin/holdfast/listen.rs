//! The addresses to listen on.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context, Result, anyhow};
use tokio::net::{TcpListener, TcpSocket, lookup_host};

/// Connections that wait to be accepted, at most.
const BACKLOG: u32 = 1024;

/// Ports that nobody else can take any more, and on which nobody is answered yet.
pub struct Bound(Vec<TcpSocket>);

impl Bound {
    /// Takes the port on each of the addresses. With port 0 the first takes a free one, and the
    /// others the same.
    ///
    /// An address of a kind that this machine does not have, as `[::1]` without IPv6, is left out
    /// with a warning, as long as there is another.
    pub async fn new(addresses: &[String], port: u16) -> Result<Self> {
        let mut sockets = Vec::new();
        let mut missing = None;
        let mut port = port;
        for address in addresses {
            let bound = match socket_address(address.trim(), port).await {
                Ok(address) => bind(address),
                Err(error) => Err(error),
            };
            match bound {
                Ok(socket) => {
                    port = socket.local_addr()?.port();
                    sockets.push(socket);
                }
                Err(error) if is_missing_here(&error) => {
                    let error = anyhow!("cannot listen on {address}: {error}");
                    tracing::warn!("{error:#}");
                    missing = Some(error);
                }
                Err(error) => {
                    return Err(error).context(format!("cannot listen on {address}, port {port}"));
                }
            }
        }
        match missing {
            Some(error) if sockets.is_empty() => Err(error),
            _ => Ok(Self(sockets)),
        }
    }

    /// From now on connections are made.
    pub fn listen(self) -> Result<Vec<TcpListener>> {
        let listen = |socket: TcpSocket| {
            let address = socket.local_addr()?;
            socket.listen(BACKLOG).with_context(|| format!("cannot listen on {address}"))
        };
        self.0.into_iter().map(listen).collect()
    }
}

async fn socket_address(address: &str, port: u16) -> std::io::Result<SocketAddr> {
    let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if let Ok(ip) = bare.unwrap_or(address).parse::<IpAddr>() {
        return Ok((ip, port).into());
    }
    let found: Vec<_> = lookup_host((address, port)).await?.collect();
    // As Go does, which daprd listens with: the first of IPv4, else the first of all.
    let chosen = found.iter().find(|address| address.is_ipv4()).or(found.first());
    chosen.copied().ok_or_else(|| std::io::Error::other("the name has no address"))
}

fn bind(address: SocketAddr) -> std::io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A port whose last connections are still closing can be taken.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

fn is_missing_here(error: &std::io::Error) -> bool {
    /// Linux's EAFNOSUPPORT, which the standard library has no name for.
    const NO_SUCH_FAMILY: i32 = 97;
    error.kind() == std::io::ErrorKind::AddrNotAvailable
        || error.raw_os_error() == Some(NO_SUCH_FAMILY)
}
