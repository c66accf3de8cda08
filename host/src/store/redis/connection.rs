//! One socket to Redis, shared by many commands at once.
//!
//! Opening it, with TLS and login, and counting what is under way on it live here; how many
//! there are and which one a command takes is the pool's affair.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use futures_util::{FutureExt, future::BoxFuture};
use redis::{
    AsyncConnectionConfig, Cmd, RedisConnectionInfo, RedisError, RedisResult, Value,
    aio::MultiplexedConnection,
};
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::AbortHandle,
};
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsConnector;

use super::{
    commands::RELEASE_LUA,
    connections::BUSY,
    failure::{self, Again, Verdict},
    settings::RedisSettings,
    tls,
};

/// Commands wait here for the task that writes them; as many as one connection is to carry, so
/// that what is handed over goes out in one write.
const WRITE_QUEUE: usize = BUSY;

static NEXT_ID: AtomicU64 = AtomicU64::new(0);

/// A peer that has silently gone is noticed on an idle socket within about this and three more
/// probes.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// What opening a connection takes, worked out once.
pub(super) struct Dialer {
    settings: RedisSettings,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

/// Why no connection could be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DialError {
    pub(super) cause: String,
    /// Whether waiting may help. A wrong password stays wrong.
    pub(super) may_pass: bool,
}

impl Dialer {
    /// Fails, with the cause, on TLS settings that cannot be used.
    pub(super) fn new(settings: RedisSettings) -> Result<Self, String> {
        let tls = match &settings.tls {
            None => None,
            Some(tls) => {
                let name = ServerName::try_from(settings.host.clone())
                    .map_err(|_| "redisHost is no name that a certificate can carry".to_owned())?;
                let config = Arc::new(tls::client_config(tls)?);
                Some((TlsConnector::from(config), name))
            }
        };
        Ok(Self { settings, tls })
    }

    /// Opens a connection that is logged in, on its database, and has answered a PING, within
    /// `dialTimeout`. `when_closed` is called once the peer or the network has ended it.
    pub(super) async fn dial(
        &self,
        when_closed: impl FnOnce() + Send + 'static,
    ) -> Result<Connection, DialError> {
        let dialing = async {
            let (mux, driver) = self.connect().await?;
            let connection = Connection::spawn(mux, driver, when_closed);
            self.log_in(&connection).await?;
            Ok(connection)
        };
        match self.settings.dial_timeout {
            None => dialing.await,
            Some(limit) => tokio::time::timeout(limit, dialing).await.unwrap_or_else(|_| {
                Err(DialError { cause: format!("no connection within {limit:?}"), may_pass: true })
            }),
        }
    }

    async fn connect(&self) -> Result<(MultiplexedConnection, BoxFuture<'static, ()>), DialError> {
        let settings = &self.settings;
        let tcp = TcpStream::connect((settings.host.as_str(), settings.port)).await?;
        tcp.set_nodelay(true)?;
        let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE);
        SockRef::from(&tcp).set_tcp_keepalive(&keepalive)?;
        let mut socket = TimeoutStream::new(tcp);
        socket.set_write_timeout(settings.write_timeout);
        let socket = Box::pin(socket);
        match &self.tls {
            None => share(socket).await,
            Some((connector, name)) => {
                let stream =
                    connector.connect(name.clone(), socket).await.map_err(|error| DialError {
                        cause: format!("TLS: {error}"),
                        may_pass: error.kind() != io::ErrorKind::InvalidData,
                    })?;
                share(Box::pin(stream)).await
            }
        }
    }

    /// The client library can do this too, but then a server that is loading, or full, reads
    /// like a wrong password.
    async fn log_in(&self, connection: &Connection) -> Result<(), DialError> {
        let settings = &self.settings;
        if let Some(password) = &settings.password {
            let mut auth = redis::cmd("AUTH");
            auth.arg(settings.username.as_deref()).arg(password);
            connection.send(&auth).await?;
        }
        if settings.db != 0 {
            connection.send(redis::cmd("SELECT").arg(settings.db)).await?;
        }
        connection.send(&redis::cmd("PING")).await?;
        // Only a convenience for what comes later, so a user may be denied it.
        let mut load = redis::cmd("SCRIPT");
        match connection.send(load.arg("LOAD").arg(RELEASE_LUA)).await {
            Err(error) if failure::verdict(&error) == Verdict::Lost => Err(error.into()),
            _ => Ok(()),
        }
    }
}

async fn share<S>(
    stream: Pin<Box<S>>,
) -> Result<(MultiplexedConnection, BoxFuture<'static, ()>), DialError>
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    // No response timeout: a reply that comes late still says whether a lock was taken.
    let config = AsyncConnectionConfig::new()
        .set_response_timeout(None)
        .set_pipeline_buffer_size(WRITE_QUEUE);
    // Introducing ourselves is left out: a user who may not would fill the ACL log with it.
    let info = RedisConnectionInfo::default().set_skip_set_lib_name();
    let (mux, driver) = MultiplexedConnection::new_with_config(&info, stream, config).await?;
    Ok((mux, driver.boxed()))
}

impl From<io::Error> for DialError {
    fn from(error: io::Error) -> Self {
        let cause = match error.kind() {
            io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
            _ => error.to_string(),
        };
        Self { cause, may_pass: true }
    }
}

impl From<RedisError> for DialError {
    fn from(error: RedisError) -> Self {
        // A server that is full says so with the code of any other error.
        let full = error.detail().is_some_and(|text| text.contains("max number of clients"));
        Self {
            cause: failure::describe(&error),
            may_pass: full || failure::verdict(&error) != Verdict::Refused(Again::No),
        }
    }
}

/// An open socket. It closes when the last command on it is done and the pool has let go of it.
pub(super) struct Connection {
    mux: MultiplexedConnection,
    driver: AbortHandle,
    closed: Arc<AtomicBool>,
    id: u64,
    opened: Instant,
    load: Arc<Load>,
    last_seen_busy: Mutex<(u64, Instant)>,
}

impl Connection {
    fn spawn(
        mux: MultiplexedConnection,
        driver: BoxFuture<'static, ()>,
        when_closed: impl FnOnce() + Send + 'static,
    ) -> Self {
        let closed = Arc::new(AtomicBool::new(false));
        let flag = closed.clone();
        let load = Arc::new(Load::default());
        let driver = LastInLine { driver, load: load.clone(), waited: false };
        let driver = tokio::spawn(async move {
            driver.await;
            flag.store(true, Ordering::Release);
            when_closed();
        });
        let now = Instant::now();
        Self {
            mux,
            driver: driver.abort_handle(),
            closed,
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            opened: now,
            load,
            last_seen_busy: Mutex::new((0, now)),
        }
    }

    /// Sends a command and waits for its reply, for as long as the socket lives. An error that
    /// the server sent is an error here.
    pub(super) async fn send(&self, command: &Cmd) -> RedisResult<Value> {
        let mut mux = self.mux.clone();
        mux.send_packed_command(command).await?.extract_error()
    }

    /// Whether nothing can be sent any more. `true` before a command was handed over means that
    /// it was not sent.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Its own in this process.
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// How many commands are under way, or a few more.
    pub(super) fn load(&self) -> u64 {
        self.load.under_way()
    }

    pub(super) fn begin(&self) {
        self.load.begun.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn end(&self) {
        self.load.ended.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn age(&self, now: Instant) -> Duration {
        now.duration_since(self.opened)
    }

    /// How long nothing has been sent, as far as calls of this method have seen: commands read
    /// no clock.
    pub(super) fn idle(&self, now: Instant) -> Duration {
        let begun = self.load.begun.load(Ordering::Acquire);
        let mut seen = self.last_seen_busy.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.0 != begun || self.load() > 0 {
            *seen = (begun, now);
        }
        now.duration_since(seen.1)
    }
}

/// The commands of a connection, counted.
#[derive(Default)]
struct Load {
    begun: AtomicU64,
    ended: AtomicU64,
}

impl Load {
    /// Never too few: the two counts are not read at once.
    fn under_way(&self) -> u64 {
        let ended = self.ended.load(Ordering::Acquire);
        self.begun.load(Ordering::Acquire).saturating_sub(ended)
    }
}

/// Runs the driver, but lets callers that are ready go first each time that it is woken: what they
/// send then goes out in one write, and not in one for each of them. A caller who is alone waits
/// for nobody.
struct LastInLine {
    driver: BoxFuture<'static, ()>,
    load: Arc<Load>,
    waited: bool,
}

impl Future for LastInLine {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.waited = !self.waited && self.load.under_way() > 1;
        if self.waited {
            // A task that wakes itself is put behind those that are ready.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.driver.as_mut().poll(cx)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}
