//! Opens a connection: the login, and the questions whether locks are safe with the server.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use holdfast_redis_rules::{
    address::Address,
    disk, facts,
    fitness::{Doubt, Expected},
    login::{Login, LoginNames, knows_no_users},
    probes::{CLOSES, LostByChance, Probe, ProbeHistory},
    refusal::{is_error_line, may_be_answered_later},
    rejoin,
    reply::{Nonsense, Reply},
};
use tokio::runtime::Handle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    absence::Absence,
    answer::{Cause, NoAnswer, ServerAnswer},
    connection::{AnswerFuture, Connection, Shared, next_id},
    description,
    dial_error::DialError,
    driver::{Driver, Event, Socket},
    endpoint::Endpoint,
    session::bounded,
    settings::RedisSettings,
    stream::{NEEDS_TLS, Stream, Streams},
    tls::NEEDS_CERTIFICATE,
};

/// Opens connections.
pub(super) struct Dialer {
    settings: Arc<RedisSettings>,
    endpoint: Endpoint,
    streams: Arc<Streams>,
    expected: Expected,
    /// What earlier connections have shown about the questions.
    probes: Mutex<ProbeHistory>,
    drivers: TaskTracker,
    /// Ends all drivers at once.
    abort: CancellationToken,
}

/// An open connection, and its server's description of itself.
pub(super) struct Dialed {
    pub(super) connection: Connection,
    pub(super) notes: Vec<Note>,
    /// A readable description of the server, from its own report.
    pub(super) about: Option<String>,
    /// The server's name for itself.
    pub(super) run_id: Option<String>,
}

/// Why a connection cannot be used.
enum Unusable {
    /// The connection was lost on this question.
    Lost(Probe),
    Failed(DialError),
}

impl From<DialError> for Unusable {
    fn from(error: DialError) -> Self {
        Self::Failed(error)
    }
}

/// A note about a server for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Note {
    Doubt(Doubt),
    /// The server does not report its clock, for this reason.
    NoClock(String),
    /// The server refuses the command that gives back a grant, for this reason.
    NoGiveBack(String),
    /// The server does not notify of changes of locks, for this reason.
    NoPush(String),
    /// A sentinel does not report that the master has moved, for this reason.
    NoReports(String),
    /// Connections end as soon as they are open.
    ClosesAtOnce,
}

impl Dialer {
    pub(super) fn new(
        settings: Arc<RedisSettings>,
        endpoint: Endpoint,
        streams: Arc<Streams>,
    ) -> Self {
        Self {
            expected: settings.expected(),
            settings,
            endpoint,
            streams,
            probes: Mutex::default(),
            drivers: TaskTracker::new(),
            abort: CancellationToken::new(),
        }
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(super) fn streams(&self) -> &Streams {
        &self.streams
    }

    /// Runs the task of a connection of another kind.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static, runtime: &Handle) {
        let abort = self.abort.clone();
        let task = async move { abort.run_until_cancelled(task).await };
        self.drivers.spawn_on(task, runtime);
    }

    /// Waits until all connections have ended. No connection may be opened after this.
    pub(super) async fn wait(&self) {
        self.drivers.close();
        self.drivers.wait().await;
    }

    /// Ends all connections, with their commands under way.
    pub(super) fn abort(&self) {
        self.abort.cancel();
    }

    /// Opens a connection, logs it in, selects its database and asks whether locks are safe with the server, all within
    /// `dialTimeout`. `on_event` gets the later events of the connection.
    pub(super) async fn dial<F>(&self, on_event: F) -> Result<Dialed, DialError>
    where
        F: Fn(u64, Event) + Clone + Send + Unpin + 'static,
    {
        let shaking_hands = AtomicBool::new(false);
        let dialing = async {
            let server = self.endpoint.find().await?;
            self.dial_to(&server, on_event, &shaking_hands).await.map_err(|error| {
                match &self.endpoint {
                    Endpoint::Fixed(_) | Endpoint::Named { .. } => error,
                    Endpoint::Master(_) => error.about(server),
                }
            })
        };
        let dialed = bounded(self.settings.common.dial_timeout, dialing, &shaking_hands).await;
        dialed.map_err(|error| self.with_origin(error))
    }

    /// The error, with the node that named the address if no setting does, and if no server has ever answered there.
    fn with_origin(&self, error: DialError) -> DialError {
        let Endpoint::Named { address, by } = &self.endpoint else { return error };
        let answered = is_error_line(&error.cause) || error.refused.is_some();
        if answered || self.streams.answered(address).load(Ordering::Relaxed) {
            return error;
        }
        let cause = format!(
            "{} (redisHost does not list this address: {by} named it. If it cannot be reached from here, set \
             cluster-announce-ip of the node to one that can)",
            error.cause
        );
        DialError { cause, ..error }
    }

    async fn dial_to<F>(
        &self,
        server: &Address,
        on_event: F,
        shaking_hands: &AtomicBool,
    ) -> Result<Dialed, DialError>
    where
        F: Fn(u64, Event) + Clone + Send + Unpin + 'static,
    {
        self.probes().begin();
        loop {
            let connection = self.connect(server, on_event.clone(), shaking_hands).await?;
            match self.log_in(connection).await {
                Ok(dialed) => {
                    self.streams.answered(server).store(true, Ordering::Relaxed);
                    return Ok(dialed);
                }
                Err(Unusable::Failed(error)) => return Err(error),
                Err(Unusable::Lost(probe)) => self
                    .probes()
                    .lost(probe)
                    .map_err(|LostByChance| DialError::passing(Cause::Lost.to_string()))?,
            }
        }
    }

    /// Whether the server does not describe itself, because it closes the connection on that question.
    pub(super) fn is_silent(&self) -> bool {
        !self.probes().asks(Probe::Info)
    }

    fn probes(&self) -> MutexGuard<'_, ProbeHistory> {
        self.probes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connect<F>(
        &self,
        server: &Address,
        on_event: F,
        shaking_hands: &AtomicBool,
    ) -> Result<Connection, DialError>
    where
        F: Fn(u64, Event) + Send + Unpin + 'static,
    {
        let guard = self.settings.guard();
        let (shared, socket) = match self.streams.open(server, shaking_hands).await? {
            Stream::Left(tcp) => {
                let (read, write) = tcp.into_split();
                let write = Arc::new(write);
                (Shared::new(guard, Some(write.clone())), Socket::Tcp(read, write))
            }
            Stream::Right(tls) => (Shared::new(guard, None), Socket::Tls(tls)),
        };
        let id = next_id();
        let driver = Driver::new(id, shared.clone(), socket, self.settings.timeouts(), on_event);
        let abort = self.abort.clone();
        self.drivers.spawn(async move { abort.run_until_cancelled(driver).await });
        Ok(Connection::new(shared, id, server.clone()))
    }

    /// Logs in, and asks whether locks are safe with the server.
    async fn log_in(&self, mut connection: Connection) -> Result<Dialed, Unusable> {
        let login = Login::new(&self.settings.common, LoginNames::DAPR);
        self.authenticate(&connection, &login).await?;
        for words in login.commands() {
            self.accepted(connection.ask(&words).await, &words, &login)?;
        }
        let asked = Instant::now();
        let at_once = self.probes().at_once();
        let sent = |probe: Probe| at_once.then(|| connection.ask(probe.words()));
        let [info, script, time] = Probe::FACTS.map(sent);
        // The server's own report counts, whatever the other questions show.
        let info = self.ask(&connection, Probe::Info, info).await?;
        let doubts = facts::doubts(&info, self.expected).map_err(DialError::unfit)?;
        let script = self.ask(&connection, Probe::Script, script).await?;
        let time = self.ask(&connection, Probe::Time, time).await?;
        let policy = if disk::keeps_file(&info) {
            let reply = self.ask(&connection, Probe::Policy, None).await?;
            disk::policy(&reply).map(str::to_owned)
        } else {
            None
        };
        let about = description::describe(&info, policy.as_deref());
        let run_id = description::run_id(&info).map(str::to_owned);
        if let Some(absence) = self.absence(&info, policy.as_deref()) {
            connection.set_absence(absence);
        }
        let mut notes: Vec<Note> = doubts.into_iter().map(Note::Doubt).collect();
        // A server that stays out after its start needs no append-only file.
        let later =
            policy.filter(|policy| policy != disk::ALWAYS && self.settings.rejoin_after.is_none());
        notes.extend(later.map(|policy| Note::Doubt(Doubt::OnDiskLater(policy))));
        if let Some(digest) = facts::script(script) {
            connection.set_script(digest);
        }
        match facts::clock(&info, time) {
            Ok(time) => connection.set_clock(time, asked),
            Err(reason) => notes.push(Note::NoClock(reason)),
        }
        if !self.probes().left_nothing_out() {
            connection.set_unasked();
        }
        Ok(Dialed { connection, notes, about, run_id })
    }

    async fn authenticate(
        &self,
        connection: &Connection,
        login: &Login<'_>,
    ) -> Result<(), Unusable> {
        let Some(words) = login.authentication() else { return Ok(()) };
        let Some(older) = login.older_authentication() else {
            return Ok(self.accepted(connection.ask(&words).await, &words, login)?);
        };
        if self.probes().asks(Probe::User) {
            let answer = connection.ask(&words).await;
            if is_lost(&answer) {
                return Err(Unusable::Lost(Probe::User));
            }
            let refusal = self.refusal(answer, &words, login)?;
            self.probes().answered(Probe::User);
            match refusal {
                None => return Ok(()),
                Some(line) if !knows_no_users(&line) => return Err(refused(line, login).into()),
                Some(_) => {}
            }
        }
        Ok(self.accepted(connection.ask(&older).await, &older, login)?)
    }

    /// The reply to a question, which was `sent` already or is sent now. A question on which the server closes
    /// connections is not sent.
    async fn ask(
        &self,
        connection: &Connection,
        probe: Probe,
        sent: Option<AnswerFuture<'_>>,
    ) -> Result<Reply, Unusable> {
        if !self.probes().asks(probe) {
            return Ok(Reply::Error(CLOSES.to_owned()));
        }
        let answer = match sent {
            Some(sent) => sent.await,
            None => connection.ask(probe.words()).await,
        };
        match answer {
            // A script blocks the server, or a proxy does not reach it: the error shows nothing about the server.
            Ok(ServerAnswer::Refused(line)) if may_be_answered_later(&line) => {
                Err(Unusable::Failed(DialError::passing(line)))
            }
            Ok(answer) => {
                self.probes().answered(probe);
                let reply = answer.into_reply();
                match probe.is_answered_by(&reply) {
                    true => Ok(reply),
                    false => Err(DialError::passing(Nonsense::TEXT.to_owned()).into()),
                }
            }
            Err(no_answer) => Err(match no_answer.cause() {
                Cause::Lost => Unusable::Lost(probe),
                Cause::Io(error) => Unusable::Failed(DialError::of_network(&error)),
                cause => Unusable::Failed(DialError::passing(cause.to_string())),
            }),
        }
    }

    /// Why the server takes no locks for a while, if it may have lost some and the settings say for how long.
    fn absence(&self, info: &Reply, policy: Option<&str>) -> Option<Absence> {
        let started = rejoin::started(info, self.settings.rejoin_after?)?;
        (policy != Some(disk::ALWAYS)).then(|| Absence::of(started))
    }

    /// The error line of the server if it refused the command.
    fn refusal(
        &self,
        answer: Result<ServerAnswer, NoAnswer>,
        words: &[&str],
        login: &Login<'_>,
    ) -> Result<Option<String>, DialError> {
        match answer {
            Ok(ServerAnswer::Refused(line)) => Ok(Some(line)),
            Ok(_) => Ok(None),
            Err(no_answer) => Err(match no_answer.cause() {
                cause @ (Cause::Lost | Cause::Nonsense) => {
                    DialError::passing(format!("{cause}{}", self.why_closed(words, login)))
                }
                Cause::Io(error) => DialError::of_network(&error),
                cause => DialError::passing(cause.to_string()),
            }),
        }
    }

    /// Fails if the server refused the command.
    fn accepted(
        &self,
        answer: Result<ServerAnswer, NoAnswer>,
        words: &[&str],
        login: &Login<'_>,
    ) -> Result<(), DialError> {
        self.refusal(answer, words, login)?.map_or(Ok(()), |line| Err(refused(line, login)))
    }

    /// The hint for a server that closes the connection on these words, or answers nonsense.
    fn why_closed(&self, words: &[&str], login: &Login<'_>) -> String {
        let of_tls = match self.settings.enabled_tls() {
            // It would have read the first bytes as a handshake.
            _ if self.probes().has_answers() => None,
            // The server read the first bytes as a handshake, or waited for the rest of one.
            None => Some(NEEDS_TLS),
            // The words may be sent before the server refuses the handshake.
            Some(tls) if tls.identity.is_none() => Some(NEEDS_CERTIFICATE),
            Some(_) => None,
        };
        let hints: Vec<_> =
            of_tls.map(str::to_owned).into_iter().chain(login.closed_on(words)).collect();
        if hints.is_empty() { String::new() } else { format!(" ({})", hints.join("; ")) }
    }
}

/// The error if the server refused the login with this error line.
fn refused(line: String, login: &Login<'_>) -> DialError {
    let error = DialError::from(line);
    DialError { cause: login.with_advice(error.cause), ..error }
}

/// Whether the connection was lost in place of an answer.
fn is_lost(answer: &Result<ServerAnswer, NoAnswer>) -> bool {
    let cause = answer.as_ref().err().cloned().map(NoAnswer::cause);
    matches!(cause, Some(Cause::Lost))
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Doubt(doubt) => write!(f, "{doubt}"),
            Self::NoPush(reason) => write!(
                f,
                "calls that wait for a lock poll, because the server does not notify them that it is free \
                 ({reason}): this needs Redis 6, the permission for HELLO and CLIENT TRACKING, and no proxy"
            ),
            Self::NoReports(reason) => write!(
                f,
                "a master that is replaced may be used for 10 seconds more, because a sentinel does not report \
                 it ({reason}): this needs the permissions for SUBSCRIBE and for the channel +switch-master"
            ),
            Self::NoGiveBack(reason) => write!(
                f,
                "a lock that is granted to a caller who has left, or too late, is not given back, but expires \
                 ({reason}): this needs Redis 7, and the permission for PEXPIRETIME"
            ),
            Self::ClosesAtOnce => f.write_str(
                "the server, or a proxy before it, closes connections as soon as they are open: calls may fail, and \
                 minIdleConns may not be reached",
            ),
            Self::NoClock(reason) => write!(
                f,
                "locks cannot expire at a time of the server's clock ({reason}): a lock whose outcome is \
                 unknown may last longer, as its error says, and one that is granted to a caller who has left is \
                 not given back. This needs Redis 6.2, the permission for TIME, and no proxy that answers TIME \
                 itself"
            ),
        }
    }
}
