//! Binding the addresses to listen on.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpSocket, UnixListener, lookup_host};

use super::{
    super::{argument_error::ArgumentError, zone::without_zone},
    bound_addresses::{BoundAddress, BoundAddresses, Names},
    socket_file::SocketFile,
};
use crate::server::Listener;

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1024;

/// How long a connection is idle before the system probes the peer, how long it waits between probes, and how many
/// of them may go unanswered.
const IDLE: Duration = Duration::from_secs(30);
const BETWEEN_PROBES: Duration = Duration::from_secs(10);
const PROBES: u32 = 3;

/// How long the peer may leave data unacknowledged before the system ends the connection.
const UNACKNOWLEDGED: Duration = Duration::from_secs(60);

/// Addresses that are bound, so that no other process can take them. TCP does not listen yet; a Unix domain socket
/// already listens, and lets its clients wait.
pub enum Bound {
    /// The sockets, and the name of the option that gave the port.
    Tcp(Vec<TcpSocket>, String),
    Unix(UnixListener, SocketFile),
}

/// Listening sockets, and their addresses in the form of a URL.
pub struct Listening {
    pub listeners: Vec<Listener>,
    pub addresses: Vec<String>,
    /// Removed when this is dropped.
    _file: Option<SocketFile>,
}

/// The path of the socket of an API, as Dapr names it.
pub fn socket(folder: &Path, app_id: &str, api: &str) -> PathBuf {
    folder.join(format!("dapr-{app_id}-{api}.socket"))
}

impl Bound {
    /// Binds the port on each of the addresses. With port 0 the first address gets a free port, and
    /// the others get the same. `names` are for messages, and `taken` has the addresses that were bound before.
    ///
    /// An empty address stands for all, of IPv4 and of IPv6. An address of a kind that this machine does not
    /// have, such as `[::1]` without IPv6, is skipped, with a warning unless it comes of an empty one. It is
    /// an error if it is the only one.
    pub async fn tcp<'a>(
        addresses: &'a [String],
        port: u16,
        names: Names<'a>,
        taken: &mut BoundAddresses<'a>,
    ) -> Result<Self> {
        let mut sockets = Vec::new();
        let mut missing = None;
        let mut port = port;
        let addresses = resolved(addresses);
        for (text, typed) in &addresses {
            let wrong = || format!("{}: cannot listen on {text}", names.addresses);
            let address = socket_address(text, port).await.with_context(wrong)?;
            let bound = match prepared(address, addresses.len() == 1) {
                Ok((socket, is_dual)) => {
                    let mut place = BoundAddress { address, is_dual, typed: *typed, names };
                    taken.check(&place).map_err(ArgumentError)?;
                    socket.bind(address).and_then(|()| {
                        place.address = socket.local_addr()?;
                        port = place.address.port();
                        taken.add(place);
                        Ok(socket)
                    })
                }
                Err(error) => Err(error),
            };
            match bound {
                Ok(socket) => sockets.push(socket),
                Err(error) if is_missing_here(&error) => {
                    let error = anyhow!("{}: {error}", wrong());
                    if typed.is_some() {
                        tracing::warn!("{error:#}");
                    }
                    missing = Some(error);
                }
                Err(error) => {
                    let place = format!("{}: cannot listen on {text}, port {port}", names.port);
                    return Err(error).context(place);
                }
            }
        }
        match missing {
            Some(error) if sockets.is_empty() => Err(error),
            _ => Ok(Self::Tcp(sockets, names.port.to_owned())),
        }
    }

    /// Takes the path of a Unix domain socket. A file that an ended process left there is removed
    /// first.
    pub async fn unix(path: PathBuf) -> Result<Self> {
        let refused = format!("--unix-domain-socket: cannot listen on {}", path.display());
        let (listener, file) = SocketFile::listen(path, BACKLOG).await.context(refused)?;
        Ok(Self::Unix(listener, file))
    }

    /// Whether only this machine can connect.
    pub fn is_loopback(&self) -> io::Result<bool> {
        let Self::Tcp(sockets, _) = self else { return Ok(true) };
        for socket in sockets {
            if !socket.local_addr()?.ip().is_loopback() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Starts to listen.
    pub fn listen(self) -> Result<Listening> {
        match self {
            Self::Tcp(sockets, option) => {
                let (mut listeners, mut addresses) = (Vec::new(), Vec::new());
                for socket in sockets {
                    let address = socket.local_addr()?;
                    let listener = socket.listen(BACKLOG);
                    let refused = || format!("{option}: cannot listen on {address}");
                    listeners.push(listener.with_context(refused)?.into());
                    addresses.push(format!("://{address}"));
                }
                Ok(Listening { listeners, addresses, _file: None })
            }
            Self::Unix(listener, file) => Ok(Listening {
                listeners: vec![listener.into()],
                addresses: vec![format!("+unix://{}", file.path().display())],
                _file: Some(file),
            }),
        }
    }
}

/// The addresses, and how each was typed. An empty one stands for both wildcards.
fn resolved(addresses: &[String]) -> Vec<(String, Option<&str>)> {
    let wildcards = [Ipv4Addr::UNSPECIFIED.to_string(), Ipv6Addr::UNSPECIFIED.to_string()];
    let all = || wildcards.clone().map(|address| (address, None)).to_vec();
    let addresses = addresses.iter().map(|address| address.trim());
    let addresses = addresses.flat_map(|address| match address {
        "" => all(),
        typed => vec![(typed.to_owned(), Some(typed))],
    });
    addresses.collect()
}

async fn socket_address(address: &str, port: u16) -> Result<SocketAddr> {
    let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let bare = bare.unwrap_or(address);
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Ok((ip, port).into());
    }
    let has_zone = without_zone(bare).is_some();
    if address.contains([':', '/']) && !has_zone {
        let problem = "it is not a host or an IP address alone; the port has its own option";
        bail!(ArgumentError(problem.to_owned()));
    }
    let name = if has_zone { bare } else { address };
    let found: Vec<_> = lookup_host((name, port)).await?.collect();
    // Like Go, and so like daprd: the first IPv4 address, else the first of all.
    let chosen = found.iter().find(|address| address.is_ipv4()).or(found.first());
    chosen.copied().context("the name has no address")
}

/// A socket that can be bound to an address, and whether IPv4 is included in that of IPv6. `alone` says that no other
/// address is bound to its port.
fn prepared(address: SocketAddr, alone: bool) -> io::Result<(TcpSocket, bool)> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // So that a port whose last connections are still closing can be bound.
    socket.set_reuseaddr(true)?;
    let mut is_dual = false;
    // The wildcard of IPv6 stands for IPv4 too, where nothing else does.
    if address.is_ipv6() && address.ip().is_unspecified() {
        if !alone {
            SockRef::from(&socket).set_only_v6(true)?;
        }
        is_dual = !SockRef::from(&socket).only_v6()?;
    }
    notice_vanished_peers(&SockRef::from(&socket))?;
    Ok((socket, is_dual))
}

/// Has the system end connections whose peers have vanished silently, so that these hold no locks. Accepted connections
/// inherit the setting.
fn notice_vanished_peers(socket: &SockRef<'_>) -> io::Result<()> {
    let probes =
        TcpKeepalive::new().with_time(IDLE).with_interval(BETWEEN_PROBES).with_retries(PROBES);
    socket.set_tcp_keepalive(&probes)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED))?;
    Ok(())
}

fn is_missing_here(error: &io::Error) -> bool {
    /// Linux's EAFNOSUPPORT. The standard library has no name for it.
    const NO_SUCH_FAMILY: i32 = 97;
    error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(NO_SUCH_FAMILY)
}
