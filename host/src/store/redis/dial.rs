//! Opening a connection: name, TCP, TLS, login, and the questions whether locks are safe with the server.

use std::{
    fmt, io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use holdfast_redis_rules::{
    facts::{Facts, QUESTIONS},
    fitness::{self, Doubt},
    login::{Login, closed_on, knows_no_users},
    refusal,
};
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    net::{TcpStream, lookup_host},
    runtime::Handle,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::{either::Either, sync::CancellationToken, task::TaskTracker};

use super::{
    about,
    answer::{Answer, Cause, NoAnswer},
    connection::{Connection, Shared, next_id},
    driver::{Driver, Event, Limits, Socket},
    limit::within,
    settings::RedisSettings,
    tls,
};

/// How long a connection is idle before TCP probes the peer, and how long it waits between probes.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// The hint to a handshake that goes wrong.
const NO_TLS: &str = " (does the server speak TLS on this port? If not, set enableTLS to false)";

/// An open connection, without TLS or with it.
pub(super) type Stream = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// Opens connections.
pub(super) struct Dialer {
    settings: Arc<RedisSettings>,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    /// Whether the server closes connections on what it does not know.
    terse: AtomicBool,
    drivers: TaskTracker,
    /// Ends all drivers at once.
    abort: CancellationToken,
}

/// An open connection, and what its server said of itself.
pub(super) struct Dialed {
    pub(super) connection: Connection,
    pub(super) notes: Vec<Note>,
    /// What it said of itself, for people.
    pub(super) about: Option<String>,
}

/// What the operator should know of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Note {
    Doubt(Doubt),
    /// The server does not tell its clock, for this reason.
    NoClock(String),
    /// The server does not tell when a lock changes, for this reason.
    NoPush(String),
}

/// Why no connection could be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DialError {
    pub(super) cause: String,
    /// Whether a later attempt may succeed. A wrong password stays wrong.
    pub(super) may_pass: bool,
    /// Whether the server answered, and is not fit to keep locks.
    pub(super) unfit: Option<fitness::Unfit>,
}

impl Dialer {
    /// Fails with the cause if the settings of TLS cannot be used.
    pub(super) fn new(settings: Arc<RedisSettings>) -> Result<Self, String> {
        let tls = match settings.enabled_tls() {
            None => None,
            Some(tls) => {
                let name = ServerName::try_from(settings.common.address.host.clone())
                    .map_err(|_| "the host is not a name that a certificate can have".to_owned())?;
                let config = Arc::new(tls::client_config(tls)?);
                Some((TlsConnector::from(config), name))
            }
        };
        Ok(Self {
            settings,
            tls,
            terse: AtomicBool::new(false),
            drivers: TaskTracker::new(),
            abort: CancellationToken::new(),
        })
    }

    /// Runs the task of a connection of another kind.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static, runtime: &Handle) {
        let abort = self.abort.clone();
        let task = async move { abort.run_until_cancelled(task).await };
        self.drivers.spawn_on(task, runtime);
    }

    /// Waits until all connections have ended. No more may be opened.
    pub(super) async fn wait(&self) {
        self.drivers.close();
        self.drivers.wait().await;
    }

    /// Ends all connections, with the commands that are under way.
    pub(super) fn abort(&self) {
        self.abort.cancel();
    }

    /// Opens a connection, logs it in, selects its database and asks whether locks are safe with the server,
    /// all within `dialTimeout`. `on_event` is told what happens to the connection later.
    pub(super) async fn dial<F>(&self, on_event: F) -> Result<Dialed, DialError>
    where
        F: Fn(u64, Event) + Clone + Send + Unpin + 'static,
    {
        let shaking_hands = AtomicBool::new(false);
        let connect = async || self.connect(on_event.clone(), &shaking_hands).await;
        let dialing = async {
            let known = self.terse.load(Ordering::Relaxed);
            if !known && let Some(dialed) = self.log_in(connect().await?).await? {
                return Ok(dialed);
            }
            let terse = self.log_in_tersely(connect().await?).await?;
            // Once may be a coincidence.
            if !known && let Some(dialed) = self.log_in(connect().await?).await? {
                return Ok(dialed);
            }
            self.terse.store(true, Ordering::Relaxed);
            Ok(terse)
        };
        within(self.settings.common.dial_timeout, dialing).await.unwrap_or_else(|limit| {
            // A server that does not speak TLS may wait for the end of a command.
            let hint = match shaking_hands.load(Ordering::Relaxed) {
                true => NO_TLS,
                false => "",
            };
            Err(DialError::passing(format!("no connection within {limit:?}{hint}")))
        })
    }

    async fn connect<F>(
        &self,
        on_event: F,
        shaking_hands: &AtomicBool,
    ) -> Result<Connection, DialError>
    where
        F: Fn(u64, Event) + Send + Unpin + 'static,
    {
        let (shared, socket) = match self.stream(shaking_hands).await? {
            Stream::Left(tcp) => {
                let (read, write) = tcp.into_split();
                let write = Arc::new(write);
                (Shared::new(Some(write.clone())), Socket::Tcp(read, write))
            }
            Stream::Right(tls) => (Shared::new(None), Socket::Tls(tls)),
        };
        let common = &self.settings.common;
        let limits = Limits { reply: common.read_timeout, send: common.write_timeout };
        let id = next_id();
        let driver = Driver::new(id, shared.clone(), socket, limits, on_event);
        let abort = self.abort.clone();
        self.drivers.spawn(async move { abort.run_until_cancelled(driver).await });
        Ok(Connection::new(shared, id))
    }

    /// Opens a connection on which nothing was sent yet. Sets `shaking_hands` as long as the server is asked for TLS.
    pub(super) async fn stream(&self, shaking_hands: &AtomicBool) -> Result<Stream, DialError> {
        let address = &self.settings.common.address;
        let begun = Instant::now();
        let addresses = lookup_host((address.host.as_str(), address.port)).await?.collect();
        let left =
            self.settings.common.dial_timeout.map(|limit| limit.saturating_sub(begun.elapsed()));
        let tcp = connect_to_any(addresses, left).await?;
        tcp.set_nodelay(true)?;
        let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE);
        SockRef::from(&tcp).set_tcp_keepalive(&keepalive)?;
        let Some((connector, name)) = &self.tls else { return Ok(Stream::Left(tcp)) };
        shaking_hands.store(true, Ordering::Relaxed);
        let stream = connector.connect(name.clone(), tcp).await.map_err(tls_error)?;
        shaking_hands.store(false, Ordering::Relaxed);
        Ok(Stream::Right(Box::new(stream)))
    }

    /// Logs in, and asks whether locks are safe with the server. Returns `None` if the server closed the
    /// connection on a command that [`log_in_tersely`](Self::log_in_tersely) does not send.
    async fn log_in(&self, mut connection: Connection) -> Result<Option<Dialed>, DialError> {
        let login = Login::new(&self.settings.common);
        if let Some(words) = login.authentication() {
            let older = login.older_authentication();
            let answer = connection.send(&words).await;
            if older.is_some() && is_closed(&answer) {
                return Ok(None);
            }
            if let Some(line) = refusal(answer, &words)? {
                let older = older.filter(|_| knows_no_users(&line));
                let Some(words) = older else { return Err(line.into()) };
                accepted(connection.send(&words).await, &words)?;
            }
        }
        for words in login.commands() {
            accepted(connection.send(&words).await, &words)?;
        }
        let asked = Instant::now();
        let [info, script, time] = QUESTIONS.map(|words| connection.send(words));
        let answers = match [info.await, script.await, time.await] {
            [Ok(info), Ok(script), Ok(time)] => [info, script, time].map(Answer::into_reply),
            answers => match answers.into_iter().find_map(Result::err).map(NoAnswer::cause) {
                Some(cause @ Cause::TimedOut(_)) => {
                    return Err(DialError::passing(cause.to_string()));
                }
                _ => return Ok(None),
            },
        };
        let about = about::describe(&answers[0]);
        let facts = Facts::read(answers, self.settings.common.db);
        let Facts { doubts, script, clock } = facts.map_err(DialError::unfit)?;
        let mut notes: Vec<Note> = doubts.into_iter().map(Note::Doubt).collect();
        if let Some(digest) = script {
            connection.set_script(digest);
        }
        match clock {
            Ok(time) => connection.set_clock(time, asked),
            Err(reason) => notes.push(Note::NoClock(reason)),
        }
        Ok(Some(Dialed { connection, notes, about }))
    }

    /// Logs in to a server that closes connections on what it does not know, and asks nothing.
    async fn log_in_tersely(&self, connection: Connection) -> Result<Dialed, DialError> {
        let login = Login::new(&self.settings.common);
        let older = login.older_authentication().map(Vec::from);
        let password = older.or_else(|| login.authentication().map(Vec::from));
        for words in password.into_iter().chain(login.commands()) {
            accepted(connection.send(&words).await, &words)?;
        }
        let reason = "it closes the connection when it is asked".to_owned();
        Ok(Dialed { connection, notes: vec![Note::NoClock(reason)], about: None })
    }
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
            // As many as are left share what is left of the time.
            let waits = u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
            limit.saturating_sub(begun.elapsed()) / waits
        });
        outcome = match within(share, TcpStream::connect(address)).await {
            Ok(connected) => connected.map_err(DialError::from),
            Err(limit) => Err(DialError::passing(format!("no connection within {limit:?}"))),
        };
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}

/// Whether the server closed the connection in place of an answer.
fn is_closed(answer: &Result<Answer, NoAnswer>) -> bool {
    let cause = answer.as_ref().err().cloned().map(NoAnswer::cause);
    matches!(cause, Some(Cause::Lost))
}

/// The error line of a refused command, if it was refused.
fn refusal(answer: Result<Answer, NoAnswer>, words: &[&str]) -> Result<Option<String>, DialError> {
    match answer {
        Ok(Answer::Refused(line)) => Ok(Some(line)),
        Ok(_) => Ok(None),
        Err(no_answer) => {
            let cause = no_answer.cause();
            let hint = match cause {
                // The server took the first bytes for a handshake, or waited for more of one.
                Cause::Lost | Cause::Nonsense => {
                    let more = closed_on(words);
                    format!(" (a server that speaks TLS needs enableTLS: true{more})")
                }
                _ => String::new(),
            };
            Err(DialError::passing(format!("{cause}{hint}")))
        }
    }
}

/// Fails if the command was refused.
fn accepted(answer: Result<Answer, NoAnswer>, words: &[&str]) -> Result<(), DialError> {
    refusal(answer, words)?.map_or(Ok(()), |line| Err(line.into()))
}

fn tls_error(error: io::Error) -> DialError {
    let text = error.to_string();
    let hint = if text.contains("InvalidContentType")
        || error.kind() == io::ErrorKind::UnexpectedEof
    {
        NO_TLS
    } else if text.contains("CaUsedAsEndEntity") {
        " (the server's certificate is its own authority: have an authority sign a certificate for the \
         server, and trust that authority)"
    } else {
        ""
    };
    let may_pass = error.kind() != io::ErrorKind::InvalidData;
    DialError { cause: format!("TLS: {text}{hint}"), may_pass, unfit: None }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Doubt(doubt) => write!(f, "{doubt}"),
            Self::NoPush(reason) => write!(
                f,
                "those who wait for a lock try again and again, because the server does not tell them that it is \
                 free ({reason}): this needs Redis 6, the permission for HELLO and CLIENT TRACKING, and no proxy"
            ),
            Self::NoClock(reason) => write!(
                f,
                "locks cannot expire at a time of the server's clock ({reason}): a lock whose outcome is \
                 unknown may last longer, as its error says. This needs Redis 6.2, the permission for TIME, and no \
                 proxy that answers TIME itself"
            ),
        }
    }
}

impl DialError {
    pub(super) fn closed() -> Self {
        Self { cause: Cause::Closed.to_string(), may_pass: false, unfit: None }
    }

    pub(super) fn passing(cause: String) -> Self {
        Self { cause, may_pass: true, unfit: None }
    }

    fn unfit(unfit: fitness::Unfit) -> Self {
        // A replica may be promoted, or the address may lead to another server by then.
        let may_pass = unfit == fitness::Unfit::Replica;
        Self { cause: unfit.to_string(), may_pass, unfit: Some(unfit) }
    }
}

/// The error line of the server.
impl From<String> for DialError {
    fn from(line: String) -> Self {
        Self { may_pass: refusal::may_pass(&line), cause: line, unfit: None }
    }
}

impl From<io::Error> for DialError {
    fn from(error: io::Error) -> Self {
        Self::passing(match error.kind() {
            io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
            _ => error.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use socket2::{Domain, Socket, Type};

    use super::*;

    fn localhost() -> SocketAddr {
        (Ipv4Addr::LOCALHOST, 0).into()
    }

    /// An address that answers nothing, as one behind a firewall: a listener whose queue is full.
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

    /// An address on which nobody listens.
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
