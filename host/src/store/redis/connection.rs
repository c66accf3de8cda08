//! One connection to Redis, shared by many commands at once.
//!
//! Callers write into one buffer, and one task, the [driver](super::driver), moves it to the socket. A caller that is
//! alone writes to the socket itself, which saves a switch to another thread. So does a caller that fills a write,
//! which keeps the server busy. `dial` opens connections; `connections` decides how many are open and which one a
//! command takes.

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker, ready},
    time::{Duration, Instant},
};

use futures_util::task::AtomicWaker;
use holdfast_redis_rules::{
    acquire::Wanted,
    address::Address,
    clock,
    extend::Extend,
    release::{self, Form, Release},
    replicas::Guard,
    reply::{Nonsense, Reply},
};
use tokio::net::tcp::OwnedWriteHalf;

use super::{
    absence::Absence,
    answer::{Cause, NoAnswer, ServerAnswer},
    membership::Identity,
    queue::{self, Queue, UnusedGrant},
};

/// A connection with this many commands under way is busy. A smaller number would cost throughput:
/// commands that are sent together share system calls on both sides.
pub(super) const BUSY_COMMANDS: usize = 256;

/// How long to use a connection on which a question was left out. The earlier losses may have been chance.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(300);

static NEXT_ID: AtomicU64 = AtomicU64::new(0);

/// A number that no other connection of this process has.
pub(super) fn next_id() -> u64 {
    NEXT_ID.fetch_add(1, Ordering::Relaxed)
}

/// An open connection. After a drop it accepts no new commands, and closes once the commands in flight are answered.
pub(super) struct Connection {
    shared: Arc<Shared>,
    id: u64,
    server: Address,
    opened: Instant,
    /// The digest of the script that releases a lock, if the server knows the script.
    script: Option<String>,
    /// Whether the server refused the digest for a lasting reason.
    script_refused: AtomicBool,
    /// The server to which the connection leads.
    identity: Identity,
    /// Why the server takes no locks; `None` if it takes locks.
    absence: Option<Absence>,
    /// Whether a question was left out, because the server seems to close connections on some questions.
    unasked: AtomicBool,
    load: Load,
    last_seen_busy: Mutex<(u64, Instant)>,
}

/// What the driver and the callers of a connection share.
pub(super) struct Shared {
    queue: Mutex<Queue>,
    /// The socket for a caller that is alone; `None` with TLS.
    socket: Option<Arc<OwnedWriteHalf>>,
    /// Whether the driver has bytes that it could not send yet.
    pub(super) sending: AtomicBool,
    /// Whether the driver's timer will look at every command that is added now.
    pub(super) watched: AtomicBool,
    pub(super) closed: AtomicBool,
    /// Whether the connection has been dropped.
    pub(super) dropped: AtomicBool,
    /// Why the connection must end at once, if it must.
    pub(super) ordered_end: OnceLock<Cause>,
    pub(super) driver: AtomicWaker,
}

impl Shared {
    pub(super) fn new(guard: Option<Guard>, socket: Option<Arc<OwnedWriteHalf>>) -> Arc<Self> {
        Arc::new(Self {
            queue: Mutex::new(Queue::new(guard)),
            socket,
            sending: AtomicBool::new(false),
            watched: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            dropped: AtomicBool::new(false),
            ordered_end: OnceLock::new(),
            driver: AtomicWaker::new(),
        })
    }

    pub(super) fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a command and has it sent. `asking` is whether another node of the cluster sent the command here.
    fn send(&self, asking: bool, add: impl FnOnce(&mut Queue) -> usize) -> Option<usize> {
        let mut queue = self.queue();
        if queue.is_closed() {
            return None;
        }
        let (alone, first) = (queue.len() == 0, !queue.has_bytes());
        if asking {
            queue.asking();
        }
        let number = add(&mut queue);
        let ready = alone && first || queue.fills_a_write();
        let written = ready && self.write(&mut queue);
        let watched = self.watched.load(Ordering::Acquire);
        drop(queue);
        // The first caller to add bytes has woken the driver.
        if first && !(written && watched) {
            self.driver.wake();
        }
        Some(number)
    }

    /// Writes the bytes to send. Returns whether nothing is left for the driver.
    fn write(&self, queue: &mut Queue) -> bool {
        let Some(socket) = &self.socket else { return false };
        if self.sending.load(Ordering::Acquire) {
            return false;
        }
        match socket.try_write(queue.bytes()) {
            Ok(written) => {
                queue.drain(written);
                !queue.has_bytes()
            }
            // The driver finds out whether this is an error.
            Err(_) => {
                queue.drain(0);
                false
            }
        }
    }
}

impl Connection {
    pub(super) fn new(shared: Arc<Shared>, id: u64, server: Address) -> Self {
        let now = Instant::now();
        Self {
            shared,
            id,
            server,
            opened: now,
            script: None,
            script_refused: AtomicBool::new(false),
            identity: Identity::default(),
            absence: None,
            unasked: AtomicBool::new(false),
            load: Load::default(),
            last_seen_busy: Mutex::new((0, now)),
        }
    }

    /// Takes a lock unless it is held. The grant is given back if the future is dropped.
    pub(super) fn acquire<'a>(
        &'a self,
        wanted: Wanted<'a>,
        at: Instant,
        asking: bool,
    ) -> AnswerFuture<'a> {
        let number = self.shared.send(asking, |queue| queue.acquire(wanted, at));
        let lock = AskedFor { key: wanted.key, owner: wanted.owner, asking };
        AnswerFuture { shared: &self.shared, number, lock: Some(lock) }
    }

    /// Makes a lock last longer, counted from `at`.
    pub(super) fn extend(&self, extend: Extend<'_>, at: Instant, asking: bool) -> AnswerFuture<'_> {
        let number = self.shared.send(asking, |queue| queue.extend(extend, at));
        AnswerFuture { shared: &self.shared, number, lock: None }
    }

    /// Releases a lock by its script, in a [`form`](Self::form) that the server accepts.
    pub(super) fn release<'a>(
        &'a self,
        release: Release<'_>,
        form: Form,
        asking: bool,
    ) -> AnswerFuture<'a> {
        let at = Instant::now();
        let number = self.shared.send(asking, |queue| match (&self.script, form) {
            (Some(digest), Form::Short) => queue.release(&release.short(digest), at),
            _ => queue.release(&release.full(), at),
        });
        AnswerFuture { shared: &self.shared, number, lock: None }
    }

    /// The form in which to send a script for which `wanted` would be best.
    pub(super) fn form(&self, wanted: Form) -> Form {
        let short = self.script.is_some() && !self.script_refused.load(Ordering::Relaxed);
        if short { wanted } else { Form::Full }
    }

    /// Sends a question before the connection is used. Some servers answer it in a way of their own.
    pub(super) fn ask(&self, words: &[&str]) -> AnswerFuture<'_> {
        self.send(words, |_| true, false)
    }

    /// Sends any other command. `shape` is the shape of its replies. `asking` is whether another node of the cluster
    /// sent the command here.
    pub(super) fn send(
        &self,
        words: &[&str],
        shape: queue::Shape,
        asking: bool,
    ) -> AnswerFuture<'_> {
        let number = self.shared.send(asking, |queue| queue.other(words, shape, Instant::now()));
        AnswerFuture { shared: &self.shared, number, lock: None }
    }

    /// Gives back one grant, and waits until this is done.
    pub(super) fn give_back_now(&self, lock: AskedFor<'_>, expiry: u64) -> AnswerFuture<'_> {
        let AskedFor { key, owner, asking } = lock;
        let number = |reply: &Reply| matches!(reply, Reply::Integer(_));
        release::give_back(key, owner, expiry, |words| self.send(words, number, asking))
    }

    /// Gives back one grant. No caller waits for this release.
    pub(super) fn give_back(&self, lock: AskedFor<'_>, expiry: u64) {
        let mut queue = self.shared.queue();
        queue.give_back(&lock.into(), expiry);
        drop(queue);
        self.shared.driver.wake();
    }

    /// Reads the server's clock again if the latest reading is too old at `now`. Returns the time after that, or why
    /// the server no longer reports its clock.
    pub(super) async fn renew_clock(
        &self,
        now: Instant,
    ) -> Result<Result<Instant, String>, NoAnswer> {
        if !self.shared.queue().clock_is_old(now) {
            return Ok(Ok(now));
        }
        let asked = Instant::now();
        let time = |reply: &Reply| clock::read(reply).is_ok();
        let reply = self.send(&clock::ASK, time, false).await?.into_reply();
        Ok(match (clock::read(&reply), reply) {
            (Ok(time), _) => {
                self.set_clock(time, asked);
                Ok(Instant::now())
            }
            (Err(Nonsense), Reply::Error(line)) => Err(line),
            (Err(nonsense), _) => Err(nonsense.to_string()),
        })
    }

    /// Begins to use the server's clock. It showed `time`, in microseconds since 1970, and was asked at `asked`.
    pub(super) fn set_clock(&self, time: u64, asked: Instant) {
        self.shared.queue().set_clock(time, asked);
    }

    /// Whether locks expire by the server's clock.
    pub(super) fn has_clock(&self) -> bool {
        self.shared.queue().has_clock()
    }

    /// Stops using the server's clock, for a server that cannot expire a lock by it.
    pub(super) fn forget_clock(&self) {
        self.shared.queue().forget_clock();
    }

    /// Notes the server to which the connection leads.
    pub(super) fn set_identity(&mut self, identity: Identity) {
        self.identity = identity;
    }

    /// The server to which the connection leads.
    pub(super) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Notes that the server takes no locks for a while.
    pub(super) fn set_absence(&mut self, absence: Absence) {
        self.absence = Some(absence);
    }

    /// Why the server takes no lock now; `None` if it takes locks.
    pub(super) fn refusal(&self) -> Option<String> {
        self.absence.and_then(Absence::refusal)
    }

    /// Notes that a question was left out.
    pub(super) fn set_unasked(&self) {
        self.unasked.store(true, Ordering::Relaxed);
    }

    /// Whether it is time to replace the connection by one on which every question is asked.
    pub(super) fn is_to_ask_again(&self, now: Instant) -> bool {
        self.unasked.load(Ordering::Relaxed) && self.age(now) >= ASK_AGAIN_AFTER
    }

    /// Sets the digest of the script that releases a lock, for a server that knows the script.
    pub(super) fn set_script(&mut self, digest: String) {
        self.script = Some(digest);
    }

    /// Makes later releases use the full script.
    pub(super) fn refuse_script(&self) {
        self.script_refused.store(true, Ordering::Relaxed);
    }

    /// The address of the server to which the connection leads.
    pub(super) fn server(&self) -> &Address {
        &self.server
    }

    /// Ends the connection at once, because another server has taken the place of this one: later answers of this
    /// server do not count.
    pub(super) fn leave_server(&self) {
        self.end_at_once(Cause::Replaced);
    }

    /// Ends the connection at once, because a reply made no sense: the next replies may belong to other commands.
    pub(super) fn end_after_nonsense(&self) {
        self.end_at_once(Cause::Nonsense);
    }

    /// Ends the connection at once. The first cause counts.
    fn end_at_once(&self, cause: Cause) {
        self.shared.ordered_end.get_or_init(|| cause);
        self.shared.driver.wake();
    }

    /// Whether the connection has ended.
    pub(super) fn is_closed(&self) -> bool {
        self.shared.closed.load(Ordering::Acquire)
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// How many commands are under way. The number may be a little too large.
    pub(super) fn load(&self) -> u64 {
        self.load.under_way()
    }

    /// Counts a command that will be sent.
    pub(super) fn begin(&self) {
        self.load.begun.fetch_add(1, Ordering::AcqRel);
    }

    /// Counts a command that was answered or abandoned.
    pub(super) fn end(&self) {
        self.load.ended.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn age(&self, now: Instant) -> Duration {
        now.duration_since(self.opened)
    }

    /// How long no command has been sent. Commands read no clock, so this is only as exact as this method is called
    /// often.
    pub(super) fn idle(&self, now: Instant) -> Duration {
        let begun = self.load.begun.load(Ordering::Acquire);
        let mut seen = self.last_seen_busy.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.0 != begun || self.load() > 0 {
            *seen = (begun, now);
        }
        now.duration_since(seen.1)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shared.dropped.store(true, Ordering::Release);
        self.shared.driver.wake();
    }
}

/// Wakes callers that have an answer.
pub(super) fn wake(callers: &mut Vec<Waker>) {
    callers.drain(..).for_each(Waker::wake);
}

/// The lock that an acquire asked for.
#[derive(Clone, Copy)]
pub(super) struct AskedFor<'a> {
    pub(super) key: &'a str,
    pub(super) owner: &'a str,
    /// Whether another node of the cluster sent the acquire here.
    pub(super) asking: bool,
}

impl From<AskedFor<'_>> for UnusedGrant {
    fn from(AskedFor { key, owner, asking }: AskedFor<'_>) -> Self {
        Self { key: key.to_owned(), owner: owner.to_owned(), asking }
    }
}

/// The future of an answer. If it is dropped early, the command goes on without a caller.
pub(super) struct AnswerFuture<'a> {
    shared: &'a Shared,
    /// The number of the call; `None` if the connection was closed before, and after the answer was taken.
    number: Option<usize>,
    /// The lock of an acquire.
    lock: Option<AskedFor<'a>>,
}

impl Future for AnswerFuture<'_> {
    type Output = Result<ServerAnswer, NoAnswer>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut queue = self.shared.queue();
        let Some(number) = self.number else {
            return Poll::Ready(Err(queue.refusal()));
        };
        let answer = ready!(queue.poll(number, cx));
        if answer.is_ok() {
            queue.leave(number, None);
            drop(queue);
            self.number = None;
        }
        // A call without an answer may still get one, and `drop` ends it.
        Poll::Ready(answer)
    }
}

impl Drop for AnswerFuture<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            let mut queue = self.shared.queue();
            queue.leave(number, self.lock.map(UnusedGrant::from));
            let gives_back = queue.has_bytes();
            drop(queue);
            if gives_back {
                self.shared.driver.wake();
            }
        }
    }
}

/// Counts the commands of a connection.
#[derive(Default)]
struct Load {
    begun: AtomicU64,
    ended: AtomicU64,
}

impl Load {
    /// The number of commands under way. It may be too large, never too small, because `ended` is read first.
    fn under_way(&self) -> u64 {
        let ended = self.ended.load(Ordering::Acquire);
        self.begun.load(Ordering::Acquire).saturating_sub(ended)
    }
}
