//! One connection to Redis, shared by many commands at once.
//!
//! `dial` opens it. `connections` decides how many there are and which one a command takes.

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use futures_util::future::BoxFuture;
use redis::{Cmd, RedisResult, Value, aio::MultiplexedConnection};
use tokio::task::AbortHandle;

/// A connection with this many commands under way is busy. A smaller number would cost throughput:
/// commands that are sent together share system calls on both sides.
pub(super) const BUSY: usize = 256;

static NEXT_ID: AtomicU64 = AtomicU64::new(0);

/// Makes a command of the client library from its words.
pub(super) fn command(words: &[&str]) -> Cmd {
    let mut command = Cmd::with_capacity(words.len(), words.iter().map(|word| word.len()).sum());
    for word in words {
        command.arg(word);
    }
    command
}

/// An open connection. It closes when it is dropped: each command under way keeps it, and so does
/// the pool.
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
    /// Runs `driver`, which moves bytes between `mux` and the socket, and then calls `when_closed`.
    pub(super) fn spawn(
        mux: MultiplexedConnection,
        driver: BoxFuture<'static, ()>,
        when_closed: impl FnOnce() + Send + 'static,
    ) -> Self {
        let closed = Arc::new(AtomicBool::new(false));
        let flag = closed.clone();
        let load = Arc::new(Load::default());
        let driver = YieldingDriver { driver, load: load.clone(), yielded: false };
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

    /// Sends a command and waits for its reply, for as long as the connection lives. An error reply
    /// is an `Err`.
    pub(super) async fn send(&self, command: &Cmd) -> RedisResult<Value> {
        let mut mux = self.mux.clone();
        mux.send_packed_command(command).await?.extract_error()
    }

    /// Whether the connection has ended and can send nothing more.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// A number that no other connection of this process has.
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// How many commands are under way. May be a few too many.
    pub(super) fn load(&self) -> u64 {
        self.load.under_way()
    }

    /// Counts a command that is about to be sent.
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

    /// How long no command has been sent. Commands read no clock, so this is only as exact as calls of
    /// this method are frequent.
    pub(super) fn idle(&self, now: Instant) -> Duration {
        let begun = self.load.begun.load(Ordering::Acquire);
        let mut seen = self.last_seen_busy.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.0 != begun || self.load() > 0 {
            *seen = (begun, now);
        }
        now.duration_since(seen.1)
    }
}

/// Counts the commands of a connection.
#[derive(Default)]
struct Load {
    begun: AtomicU64,
    ended: AtomicU64,
}

impl Load {
    /// May be too many, never too few: `ended` is read first.
    fn under_way(&self) -> u64 {
        let ended = self.ended.load(Ordering::Acquire);
        self.begun.load(Ordering::Acquire).saturating_sub(ended)
    }
}

/// Runs the driver, but yields to other tasks each time that it is woken, so that everything that
/// they send goes out in one write. It does not yield for a single command.
struct YieldingDriver {
    driver: BoxFuture<'static, ()>,
    load: Arc<Load>,
    yielded: bool,
}

impl Future for YieldingDriver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.yielded = !self.yielded && self.load.under_way() > 1;
        if self.yielded {
            // Tokio queues a task that wakes itself behind those that are ready.
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
