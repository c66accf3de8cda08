//! Watches keys by the server's push: client tracking of RESP3, on a connection of its own.
//!
//! The connection is open only while a caller watches. It is not in the pool, whose replies are those of RESP2.

use std::{
    collections::VecDeque,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicBool},
    time::{Duration, Instant},
};

use holdfast_redis_rules::{
    address::Address,
    inspect::{self, Holding},
    login::{Login, LoginNames},
    probes::ProbeRecord,
    redirect::ASKING,
    refusal::{is_error_line, may_be_answered_later},
    reply::Reply,
};
use redis::{PushKind, Value};
use tokio::{
    sync::{mpsc, oneshot},
    time::sleep_until,
};

use super::{
    answer::Cause,
    connections::Connections,
    dial::Note,
    dial_error::DialError,
    session::{Session, bounded, line, nonsense},
};
use crate::store::watch::{Watched, Watchers};

/// How often watchers that have left are forgotten, and the server is asked whether it still answers. The connection is
/// closed after this time without a watcher.
const SWEEP_INTERVAL: Duration = Duration::from_secs(10);

/// How long to wait for a reply if `readTimeout` has no limit: a watcher must learn that nothing is reported.
const DEFAULT_PATIENCE: Duration = Duration::from_secs(10);

/// How long no connection is opened after a failed one, and after one on which the server refused to notify.
const AFTER_FAILURE: Duration = Duration::from_secs(1);
const AFTER_REFUSAL: Duration = Duration::from_secs(60);

/// How many requests may wait to be sent.
const MAX_WAITING_REQUESTS: usize = 1_024;

/// The keys of a server that are watched.
pub(super) struct Watches {
    connections: Arc<Connections>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Leads to the task of the connection; `None` without a task.
    requests: Option<mpsc::Sender<WatchRequest>>,
    /// No connection is opened before this time.
    closed_until: Option<Instant>,
    /// What connections have shown about the questions of tracking.
    tracking: ProbeRecord,
}

/// A key that a caller wants to watch.
struct WatchRequest {
    key: String,
    /// Whether another node of the cluster sent the question to this one.
    asking: bool,
    answer: oneshot::Sender<Result<Watched, NotWatched>>,
}

/// Why a key is not watched.
pub(super) enum NotWatched {
    /// The server does not notify of changes, now or at all.
    Never,
    /// The server refused the question, or was not reached, for this cause.
    Failed(String),
}

/// Why the connection has ended.
enum TrackingEnd {
    /// No caller watches.
    Idle,
    /// Another server is the master now.
    Moved,
    Failed,
    /// The server, or a proxy before it, does not notify of changes.
    Refused,
}

impl Watches {
    pub(super) fn new(connections: Arc<Connections>) -> Arc<Self> {
        Arc::new(Self { connections, state: Mutex::default() })
    }

    /// Watches a key. `asking` is whether another node of the cluster sent the question here.
    pub(super) async fn watch(
        self: &Arc<Self>,
        key: &str,
        asking: bool,
    ) -> Result<Watched, NotWatched> {
        let (answer, watched) = oneshot::channel();
        let request = WatchRequest { key: key.to_owned(), asking, answer };
        let requests = self.requests().ok_or(NotWatched::Never)?;
        let lost = || NotWatched::Failed(Cause::Lost.to_string());
        requests.send(request).await.map_err(|_| lost())?;
        watched.await.map_err(|_| lost())?
    }

    /// The way to the task. Starts the task if there is none.
    fn requests(self: &Arc<Self>) -> Option<mpsc::Sender<WatchRequest>> {
        let mut state = self.state();
        if let Some(requests) = &state.requests {
            return Some(requests.clone());
        }
        if state.closed_until.is_some_and(|until| until > Instant::now()) {
            return None;
        }
        let (sender, requests) = mpsc::channel(MAX_WAITING_REQUESTS);
        state.requests = Some(sender.clone());
        drop(state);
        let me = self.clone();
        self.connections.spawn(async move { me.run(requests).await });
        Some(sender)
    }

    async fn run(&self, mut requests: mpsc::Receiver<WatchRequest>) {
        let end = match Tracking::open(&self.connections).await {
            Ok(Opened::Tracking(tracking)) => {
                self.state().tracking.answered();
                tracking.run(&mut requests, &self.connections).await
            }
            Ok(Opened::LostOnQuestion(error)) => {
                let closes = self.state().tracking.lost();
                self.not_open(DialError { may_pass: error.may_pass && !closes, ..error })
            }
            Err(error) => self.not_open(error),
        };
        let pause = match end {
            TrackingEnd::Idle | TrackingEnd::Moved => Duration::ZERO,
            TrackingEnd::Failed => AFTER_FAILURE,
            TrackingEnd::Refused => AFTER_REFUSAL,
        };
        let mut state = self.state();
        (state.requests, state.closed_until) = (None, Instant::now().checked_add(pause));
        // Requests that came meanwhile are dropped with their receiver, which ends the calls that made them.
    }

    fn not_open(&self, error: DialError) -> TrackingEnd {
        if error.may_pass {
            return TrackingEnd::Failed;
        }
        self.connections.note(Note::NoPush(error.cause));
        TrackingEnd::Refused
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The result of opening a connection.
enum Opened {
    Tracking(Box<Tracking>),
    /// The connection was lost on a question about tracking.
    LostOnQuestion(DialError),
}

/// A connection on which the server notifies of changes.
struct Tracking {
    session: Session,
    server: Address,
    /// How long to wait for a reply.
    patience: Duration,
    /// The questions without an answer, and when each was sent. `None` is one whose answer matters only because it comes.
    asked: VecDeque<(Option<WatchRequest>, Instant)>,
    watchers: Watchers,
}

impl Tracking {
    /// Opens a connection, logs it in and turns tracking on, all within `dialTimeout`.
    async fn open(connections: &Connections) -> Result<Opened, DialError> {
        let (settings, dialer) = (connections.settings(), connections.dialer());
        let shaking_hands = AtomicBool::new(false);
        let opening = async {
            let server = connections.find_server().await?;
            let login = Login::new(&settings.common, LoginNames::DAPR);
            let timeouts = settings.timeouts();
            let mut session =
                Session::open(dialer.streams(), &server, &login, timeouts, &shaking_hands).await?;
            for words in [&["HELLO", "3"][..], &["CLIENT", "TRACKING", "ON"]] {
                if let Err(error) = session.accepted(words).await {
                    if !is_error_line(&error.cause) {
                        return Ok(Opened::LostOnQuestion(error));
                    }
                    let may_pass = may_be_answered_later(&error.cause);
                    return Err(DialError { may_pass, ..error });
                }
            }
            let (asked, watchers) = (VecDeque::new(), Watchers::default());
            let patience = timeouts.reply.unwrap_or(DEFAULT_PATIENCE);
            Ok(Opened::Tracking(Box::new(Self { session, server, patience, asked, watchers })))
        };
        bounded(settings.common.dial_timeout, opening, &shaking_hands).await
    }

    /// Serves requests until the connection ends, or its server is not the master any more.
    async fn run(
        mut self: Box<Self>,
        requests: &mut mpsc::Receiver<WatchRequest>,
        connections: &Connections,
    ) -> TrackingEnd {
        let server = self.server.clone();
        let moved = connections.moved_from(&server);
        let mut moved = pin!(moved);
        let mut sweep = Instant::now() + SWEEP_INTERVAL;
        loop {
            let overdue = self.asked.front().and_then(|(_, at)| at.checked_add(self.patience));
            let timer = overdue.map_or(sweep, |overdue| overdue.min(sweep));
            let done = tokio::select! {
                request = requests.recv() => match request {
                    Some(request) => self.ask(request).await,
                    None => return TrackingEnd::Idle,
                },
                value = self.session.next() => match value {
                    Ok(value) => self.take(value),
                    Err(error) => Err(error),
                },
                () = &mut moved => return TrackingEnd::Moved,
                () = sleep_until(timer.into()) => {
                    if overdue.is_some_and(|overdue| overdue <= Instant::now()) {
                        return TrackingEnd::Failed;
                    }
                    sweep = Instant::now() + SWEEP_INTERVAL;
                    if self.watchers.sweep() && self.asked.is_empty() {
                        return TrackingEnd::Idle;
                    }
                    self.ask_whether_there().await
                }
            };
            if let Err(error) = done {
                tracing::debug!(
                    "the connection for notifications of changes has ended: {}",
                    error.cause
                );
                return TrackingEnd::Failed;
            }
        }
    }

    async fn ask(&mut self, request: WatchRequest) -> Result<(), DialError> {
        if request.answer.is_closed() {
            return Ok(());
        }
        if request.asking {
            self.session.send(&ASKING).await?;
            self.asked.push_back((None, Instant::now()));
        }
        self.session.send(&inspect::words_without_token(&request.key)).await?;
        self.asked.push_back((Some(request), Instant::now()));
        Ok(())
    }

    /// Asks whether the server still answers: if the connection died silently, its watchers would never be notified.
    async fn ask_whether_there(&mut self) -> Result<(), DialError> {
        self.session.send(&["PING"]).await?;
        self.asked.push_back((None, Instant::now()));
        Ok(())
    }

    /// Takes a reply or a message of the server.
    fn take(&mut self, value: Value) -> Result<(), DialError> {
        match value {
            Value::Push { kind: PushKind::Invalidate, data } => self.invalidated(data),
            Value::Push { .. } => {}
            reply => {
                let Some((request, _)) = self.asked.pop_front() else { return Err(nonsense()) };
                let Some(request) = request else { return Ok(()) };
                if let Value::ServerError(error) = reply {
                    let _ = request.answer.send(Err(NotWatched::Failed(line(&error))));
                    return Ok(());
                }
                let holding = inspect::read(simple(reply)?).map_err(|_| nonsense())?;
                // The server sends in order, so earlier messages are about earlier changes.
                let changed = self.watchers.add(&request.key);
                let holding = holding.map(|Holding { owner, left, fencing_token }| {
                    crate::types::Holding { owner, time_left: left, fencing_token }
                });
                // A watcher that has left needs no answer.
                let _ = request.answer.send(Ok(Watched { holding, changed }));
            }
        }
        Ok(())
    }

    fn invalidated(&mut self, data: Vec<Value>) {
        for keys in data {
            match keys {
                Value::Array(keys) => {
                    for key in keys {
                        if let Value::BulkString(key) = key {
                            self.watchers.changed(&String::from_utf8_lossy(&key));
                        }
                    }
                }
                // All keys were flushed.
                _ => self.watchers = Watchers::default(),
            }
        }
    }
}

/// A reply that is neither a push nor an error, in the form for the rules.
fn simple(value: Value) -> Result<Reply, DialError> {
    let text = |value| match value {
        Value::BulkString(text) => Ok(String::from_utf8_lossy(&text).into_owned()),
        _ => Err(nonsense()),
    };
    match value {
        Value::Nil => Ok(Reply::Nil),
        Value::Array(values) => {
            values.into_iter().map(text).collect::<Result<_, _>>().map(Reply::Texts)
        }
        _ => Err(nonsense()),
    }
}
