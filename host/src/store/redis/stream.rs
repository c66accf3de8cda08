//! Opens a stream of bytes to a server: name, TCP and TLS.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use holdfast_redis_rules::address::{Address, without_zone};
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::either::Either;

use super::{
    dial_error::DialError,
    time_limit::within,
    tls::{self, Tls},
};

/// How long a connection is idle before TCP probes the peer, and how long it waits between probes.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// The hint for a handshake that fails.
pub(super) const NO_TLS: &str =
    " (does the server speak TLS on this port? If not, set enableTLS to false)";

/// The hint for a server whose answer makes no sense.
pub(super) const NEEDS_TLS: &str =
    "does the server speak TLS on this port? Then set enableTLS: true";

/// The largest number of addresses that are remembered. Masters may come and go at ever new ones.
const MAX_ADDRESSES: usize = 1_000;

/// An open stream, with or without TLS.
pub(super) type Stream = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// Opens streams.
pub(super) struct Streams {
    tls: Option<TlsConnector>,
    /// How long all addresses of a name may take together.
    limit: Option<Duration>,
    /// How many TLS handshakes are under way with servers that have not answered yet.
    handshakes: AtomicUsize,
    /// Whether the server at an address has ever answered, in the way that the settings say. If it did, `enableTLS` is
    /// right, and an error has another reason.
    answered: Mutex<HashMap<String, Arc<AtomicBool>>>,
}

/// A handshake that is under way.
struct Handshake<'a>(&'a AtomicUsize);

impl<'a> Handshake<'a> {
    fn begin(under_way: &'a AtomicUsize) -> Self {
        under_way.fetch_add(1, Ordering::Relaxed);
        Self(under_way)
    }
}

impl Drop for Handshake<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Streams {
    /// Fails with the cause if the settings of TLS cannot be used.
    pub(super) fn new(tls: Option<&Tls>, limit: Option<Duration>) -> Result<Self, String> {
        let tls = tls.map(tls::client_config).transpose()?;
        let tls = tls.map(|config| TlsConnector::from(Arc::new(config)));
        Ok(Self { tls, limit, handshakes: AtomicUsize::new(0), answered: Mutex::default() })
    }

    /// The hint for a caller that waits for a connection: a server without TLS may wait for the end of a command.
    pub(super) fn hint(&self) -> &'static str {
        if self.handshakes.load(Ordering::Relaxed) > 0 { NO_TLS } else { "" }
    }

    /// Whether the server at this address has ever answered. The caller sets it after an answer that makes sense.
    pub(super) fn answered(&self, address: &Address) -> Arc<AtomicBool> {
        let mut answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        if answered.len() >= MAX_ADDRESSES {
            answered.clear();
        }
        answered.entry(address.to_string()).or_default().clone()
    }

    /// Opens a stream on which nothing was sent yet. Sets `shaking_hands` while the TLS handshake runs with a server that
    /// has never answered.
    pub(super) async fn open(
        &self,
        address: &Address,
        shaking_hands: &AtomicBool,
    ) -> Result<Stream, DialError> {
        let begun = Instant::now();
        let addresses = lookup_host((address.host.as_str(), address.port)).await?.collect();
        let left = self.limit.map(|limit| limit.saturating_sub(begun.elapsed()));
        let tcp = connect_to_any(addresses, left).await?;
        tcp.set_nodelay(true)?;
        let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE);
        SockRef::from(&tcp).set_tcp_keepalive(&keepalive)?;
        let Some(connector) = &self.tls else { return Ok(Stream::Left(tcp)) };
        let name = certified(address).map_err(|cause| DialError::lasting(cause.to_owned()))?;
        let answered = self.answered(address);
        let is_new = !answered.load(Ordering::Relaxed);
        shaking_hands.store(is_new, Ordering::Relaxed);
        let _under_way = is_new.then(|| Handshake::begin(&self.handshakes));
        let connected = connector.connect(name, tcp).await;
        let stream = connected.map_err(|error| tls_error(error, is_new))?;
        shaking_hands.store(false, Ordering::Relaxed);
        answered.store(true, Ordering::Relaxed);
        Ok(Stream::Right(Box::new(stream)))
    }
}

/// The name that a server's certificate must have. Fails with the cause if none can have it.
pub(super) fn certified(address: &Address) -> Result<ServerName<'static>, &'static str> {
    // A zone is the interface of this machine, which no certificate names.
    let host = without_zone(&address.host).unwrap_or(&address.host);
    ServerName::try_from(host.to_owned())
        .map_err(|_| "the host is not a name that a certificate can have")
}

/// Tries the addresses of a host in order, each for its share of the time. Returns the error of the last.
async fn connect_to_any(
    addresses: Vec<SocketAddr>,
    limit: Option<Duration>,
) -> Result<TcpStream, DialError> {
    let begun = Instant::now();
    let mut outcome = Err(DialError::passing("the host has no address".to_owned()));
    for (index, address) in addresses.iter().enumerate() {
        let share = limit.map(|limit| {
            // The remaining addresses share the remaining time.
            let waits = u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
            limit.saturating_sub(begun.elapsed()) / waits
        });
        outcome = match within(share, TcpStream::connect(address)).await {
            Ok(connected) => connected.map_err(DialError::from),
            Err(share) => {
                Err(DialError::passing(format!("no connection within {:?}", round(share))))
            }
        };
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}

/// A readable time, in milliseconds.
fn round(time: Duration) -> Duration {
    const HALF: Duration = Duration::from_micros(500);
    time.checked_add(HALF)
        .map_or(time, |time| Duration::new(time.as_secs(), time.subsec_millis() * 1_000_000))
}

/// The error of a handshake. `is_new` is whether the server has never answered.
fn tls_error(error: io::Error, is_new: bool) -> DialError {
    if let Some(refusal) = tls::refusal(&error) {
        return DialError::lasting(refusal);
    }
    let has_no_tls = tls::speaks_no_tls(&error) || error.kind() == io::ErrorKind::UnexpectedEof;
    let hint = if has_no_tls && is_new {
        NO_TLS
    } else if tls::is_own_authority(&error) {
        " (the server's certificate is its own authority: have an authority sign a certificate for the \
         server, and trust that authority)"
    } else {
        ""
    };
    let may_pass = error.kind() != io::ErrorKind::InvalidData;
    DialError { may_pass, ..DialError::passing(format!("TLS: {error}{hint}")) }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use socket2::{Domain, Socket, Type};

    use super::*;

    fn localhost() -> SocketAddr {
        (Ipv4Addr::LOCALHOST, 0).into()
    }

    /// An address that never answers, as behind a firewall: a listener whose queue is full.
    async fn black_hole() -> (SocketAddr, Socket, Vec<TcpStream>) {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.bind(&localhost().into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let mut queue = Vec::new();
        let short = Some(Duration::from_millis(100));
        while let Ok(Ok(accepted)) = within(short, TcpStream::connect(address)).await {
            queue.push(accepted);
        }
        (address, listener, queue)
    }

    /// An address without a listener.
    fn refusing() -> SocketAddr {
        TcpListener::bind(localhost()).unwrap().local_addr().unwrap()
    }

    #[tokio::test]
    async fn dead_addresses_leave_time_for_the_one_that_works() {
        let (hole, _listener, _queue) = black_hole().await;
        let server = TcpListener::bind(localhost()).unwrap();
        let address = server.local_addr().unwrap();
        let all = vec![refusing(), hole, address];
        let connected = connect_to_any(all, Some(Duration::from_millis(600))).await;
        assert_eq!(connected.ok().and_then(|tcp| tcp.peer_addr().ok()), Some(address));
    }

    #[test]
    fn a_certificate_has_the_address_without_its_zone() {
        let name = |host: &str| {
            let address = Address { host: host.to_owned(), port: 1 };
            certified(&address).map(|name| name.to_str().into_owned())
        };
        for (host, expected) in [("h", "h"), ("fe80::1", "fe80::1"), ("fe80::1%eth0", "fe80::1")] {
            assert_eq!(name(host).as_deref(), Ok(expected));
        }
        assert!(name("h%eth0").is_err());
    }

    #[test]
    fn a_time_for_people_is_short() {
        for (nanos, expected) in
            [(9_999_997_837, "10s"), (1_499_999, "1ms"), (250_400_000, "250ms")]
        {
            assert_eq!(format!("{:?}", round(Duration::from_nanos(nanos))), expected);
        }
        assert_eq!(round(Duration::MAX), Duration::MAX);
    }

    #[tokio::test]
    async fn the_error_is_that_of_the_last_address() {
        let (hole, _listener, _queue) = black_hole().await;
        let limit = Some(Duration::from_millis(200));
        let cause = |outcome: Result<_, DialError>| outcome.map(drop).map_err(|error| error.cause);
        let refused = cause(connect_to_any(vec![hole, refusing()], limit).await);
        assert_eq!(refused, Err("connection refused".to_owned()));
        let late = cause(connect_to_any(vec![refusing(), hole], limit).await).unwrap_err();
        assert!(late.starts_with("no connection within "), "{late}");
        let none = cause(connect_to_any(vec![], limit).await);
        assert_eq!(none, Err("the host has no address".to_owned()));
    }
}
