//! One socket to Redis, shared by many commands at once.
//!
//! Opening it is `dial`'s affair; how many there are and which one a command takes is the pool's.

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

/// How many commands under way make a socket busy. Fewer would cost throughput: what is sent
/// together over one socket shares system calls on both sides.
pub(super) const BUSY: usize = 256;

static NEXT_ID: AtomicU64 = AtomicU64::new(0);

/// The words of a command as the client library takes them.
pub(super) fn command(words: &[&str]) -> Cmd {
    let mut command = Cmd::with_capacity(words.len(), words.iter().map(|word| word.len()).sum());
    for word in words {
        command.arg(word);
    }
    command
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
    /// Runs `driver`, which moves bytes between `mux` and the socket. `when_closed` is called once it
    /// has ended.
    pub(super) fn spawn(
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
