//! Opening a connection: login, and the questions whether locks are safe with the server.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use holdfast_redis_rules::{
    address::Address,
    disk,
    facts::{Facts, QUESTIONS},
    fitness::{Doubt, Expected},
    login::{Login, closed_on, knows_no_users},
    rejoin,
    reply::Reply,
};
use tokio::runtime::Handle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    about,
    absence::Absence,
    answer::{Answer, Cause, NoAnswer},
    connection::{Connection, Shared, next_id},
    dial_error::DialError,
    driver::{Driver, Event, Socket},
    place::Place,
    session::bounded,
    settings::RedisSettings,
    stream::{Stream, Streams},
    tls::NEEDS_CERTIFICATE,
};

/// Opens connections.
pub(super) struct Dialer {
    settings: Arc<RedisSettings>,
    place: Place,
    streams: Arc<Streams>,
    expected: Expected,
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
    /// What it calls itself.
    pub(super) run_id: Option<String>,
}

/// What the operator should know of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Note {
    Doubt(Doubt),
    /// The server does not report its clock, for this reason.
    NoClock(String),
    /// The server does not notify of changes of locks, for this reason.
    NoPush(String),
}

impl Dialer {
    pub(super) fn new(settings: Arc<RedisSettings>, place: Place, streams: Arc<Streams>) -> Self {
        Self {
            expected: settings.expected(),
            settings,
            place,
            streams,
            terse: AtomicBool::new(false),
            drivers: TaskTracker::new(),
            abort: CancellationToken::new(),
        }
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
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
    /// all within `dialTimeout`. `on_event` learns what happens to the connection later.
    pub(super) async fn dial<F>(&self, on_event: F) -> Result<Dialed, DialError>
    where
        F: Fn(u64, Event) + Clone + Send + Unpin + 'static,
    {
        let shaking_hands = AtomicBool::new(false);
        let dialing = async {
            let server = self.place.find().await?;
            self.dial_to(&server, on_event, &shaking_hands).await.map_err(|error| {
                match &self.place {
                    Place::Fixed(_) => error,
                    Place::Master(_) => error.about(server),
                }
            })
        };
        bounded(self.settings.common.dial_timeout, dialing, &shaking_hands).await
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
        let connect = async || self.connect(server, on_event.clone(), shaking_hands).await;
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
        let driver = Driver::new(id, shared.clone(), socket, self.settings.limits(), on_event);
        let abort = self.abort.clone();
        self.drivers.spawn(async move { abort.run_until_cancelled(driver).await });
        Ok(Connection::new(shared, id, server.clone()))
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
            if let Some(line) = self.refusal(answer, &words)? {
                let older = older.filter(|_| knows_no_users(&line));
                let Some(words) = older else { return Err(line.into()) };
                self.accepted(connection.send(&words).await, &words)?;
            }
        }
        for words in login.commands() {
            self.accepted(connection.send(&words).await, &words)?;
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
        let policy = if disk::keeps_file(&answers[0]) {
            match connection.send(&disk::ASK).await {
                answer if is_closed(&answer) => return Ok(None),
                Ok(answer) => disk::policy(&answer.into_reply()).map(str::to_owned),
                Err(no_answer) => return Err(DialError::passing(no_answer.cause().to_string())),
            }
        } else {
            None
        };
        let about = about::describe(&answers[0], policy.as_deref());
        let run_id = about::run_id(&answers[0]).map(str::to_owned);
        if let Some(absence) = self.absence(&answers[0], policy.as_deref()) {
            connection.set_absence(absence);
        }
        let facts = Facts::read(answers, self.expected);
        let Facts { doubts, script, clock } = facts.map_err(DialError::unfit)?;
        let mut notes: Vec<Note> = doubts.into_iter().map(Note::Doubt).collect();
        // A server that stays out after its start needs no file.
        let later =
            policy.filter(|policy| policy != disk::ALWAYS && self.settings.rejoin_after.is_none());
        notes.extend(later.map(|policy| Note::Doubt(Doubt::OnDiskLater(policy))));
        if let Some(digest) = script {
            connection.set_script(digest);
        }
        match clock {
            Ok(time) => connection.set_clock(time, asked),
            Err(reason) => notes.push(Note::NoClock(reason)),
        }
        Ok(Some(Dialed { connection, notes, about, run_id }))
    }

    /// Why the server takes no locks for a while, if it may have lost some by the setting for that.
    fn absence(&self, info: &Reply, policy: Option<&str>) -> Option<Absence> {
        let started = rejoin::started(info, self.settings.rejoin_after?)?;
        (policy != Some(disk::ALWAYS)).then(|| Absence::of(started))
    }

    /// Logs in to a server that closes connections on what it does not know, and asks nothing.
    async fn log_in_tersely(&self, mut connection: Connection) -> Result<Dialed, DialError> {
        let login = Login::new(&self.settings.common);
        let older = login.older_authentication().map(Vec::from);
        let password = older.or_else(|| login.authentication().map(Vec::from));
        for words in password.into_iter().chain(login.commands()) {
            self.accepted(connection.send(&words).await, &words)?;
        }
        if let Some(absence) = self.absence(&Reply::Nil, None) {
            connection.set_absence(absence);
        }
        let reason = "it closes the connection when it is asked".to_owned();
        let notes = vec![Note::Doubt(Doubt::Silent(reason.clone())), Note::NoClock(reason)];
        Ok(Dialed { connection, notes, about: None, run_id: None })
    }

    /// The error line of a refused command, if it was refused.
    fn refusal(
        &self,
        answer: Result<Answer, NoAnswer>,
        words: &[&str],
    ) -> Result<Option<String>, DialError> {
        match answer {
            Ok(Answer::Refused(line)) => Ok(Some(line)),
            Ok(_) => Ok(None),
            Err(no_answer) => Err(match no_answer.cause() {
                cause @ (Cause::Lost | Cause::Nonsense) => {
                    DialError::passing(format!("{cause}{}", self.why_closed(words)))
                }
                Cause::Io(error) => DialError::of_network(&error),
                cause => DialError::passing(cause.to_string()),
            }),
        }
    }

    /// Fails if the command was refused.
    fn accepted(&self, answer: Result<Answer, NoAnswer>, words: &[&str]) -> Result<(), DialError> {
        self.refusal(answer, words)?.map_or(Ok(()), |line| Err(line.into()))
    }

    /// The hint to a server that closes the connection on these words, or answers nonsense.
    fn why_closed(&self, words: &[&str]) -> String {
        let of_tls = match self.settings.enabled_tls() {
            // The server took the first bytes for a handshake, or waited for more of one.
            None => Some("a server that speaks TLS needs enableTLS: true"),
            // The words may be sent before the server refuses the handshake.
            Some(tls) if tls.identity.is_none() => Some(NEEDS_CERTIFICATE),
            Some(_) => None,
        };
        let hints: Vec<_> = of_tls.into_iter().chain(closed_on(words)).collect();
        if hints.is_empty() { String::new() } else { format!(" ({})", hints.join("; ")) }
    }
}

/// Whether the server closed the connection in place of an answer.
fn is_closed(answer: &Result<Answer, NoAnswer>) -> bool {
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
            Self::NoClock(reason) => write!(
                f,
                "locks cannot expire at a time of the server's clock ({reason}): a lock whose outcome is \
                 unknown may last longer, as its error says. This needs Redis 6.2, the permission for TIME, and no \
                 proxy that answers TIME itself"
            ),
        }
    }
}
