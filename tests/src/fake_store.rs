//! A store whose outcomes a test scripts.

use std::{
    collections::VecDeque,
    future::{Future, pending},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::future::BoxFuture;
use holdfast::store::{Acquired, Failure, Holding, Released, Store};
use tokio::sync::{Semaphore, mpsc};

use crate::{GRANTED, LONG};

/// The owner of each lock that an inspect finds.
pub const HOLDER: &str = "the holder";

/// A scripted store, which remembers its calls.
pub struct FakeStore {
    script: Mutex<VecDeque<Answer>>,
    /// Answers the calls after the script.
    answer: Box<dyn Fn(&Call) -> Answer + Send + Sync>,
    calls: Mutex<Vec<Call>>,
    permits: Semaphore,
    events: mpsc::UnboundedSender<Event>,
    happened: tokio::sync::Mutex<mpsc::UnboundedReceiver<Event>>,
    closed: AtomicBool,
}

/// A call that the store got.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the parameters of the store's methods")]
pub enum Call {
    Acquire { key: String, owner: String, ttl: Duration },
    Release { key: String, owner: String },
    Inspect { key: String },
}

/// The answer of the store to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// An acquire is granted, a release is done, and an inspect finds [`HOLDER`].
    Yes,
    /// An acquire finds the lock held; a release and an inspect find none.
    No,
    /// The call fails.
    Failure(Failure),
    /// The call never gets an answer.
    Never,
    /// See [`after`](Self::after).
    After(Duration, Box<Self>),
    /// See [`when_allowed`](Self::when_allowed).
    WhenAllowed(Box<Self>),
}

impl Answer {
    /// The answer after this time, by tokio's clock.
    pub fn after(self, delay: Duration) -> Self {
        Self::After(delay, Box::new(self))
    }

    /// The answer once [`FakeStore::let_through`] says so.
    pub fn when_allowed(self) -> Self {
        Self::WhenAllowed(Box::new(self))
    }
}

/// An event of a call.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// The store got the call.
    Called,
    /// The store answered it.
    Answered,
    /// The caller left before the answer.
    Dropped,
}

/// A failure that did nothing.
pub fn not_done(cause: &str) -> Failure {
    Failure::not_done(cause)
}

/// A failure of unknown outcome, without a bound.
pub fn unknown(cause: &str) -> Failure {
    Failure::unknown(cause, None)
}

impl FakeStore {
    /// A store that answers each call by a function, which is called before the answer's future is polled.
    pub fn answering(answer: impl Fn(&Call) -> Answer + Send + Sync + 'static) -> Arc<Self> {
        Self::new([], answer)
    }

    /// A store with the same answer to every call.
    pub fn always(answer: Answer) -> Arc<Self> {
        Self::new([], move |_| answer.clone())
    }

    /// A store with these answers to the first calls, and [`Answer::Yes`] to all others.
    pub fn scripted(answers: impl IntoIterator<Item = Answer>) -> Arc<Self> {
        Self::new(answers, |_| Answer::Yes)
    }

    fn new(
        script: impl IntoIterator<Item = Answer>,
        answer: impl Fn(&Call) -> Answer + Send + Sync + 'static,
    ) -> Arc<Self> {
        let (events, happened) = mpsc::unbounded_channel();
        Arc::new(Self {
            script: Mutex::new(script.into_iter().collect()),
            answer: Box::new(answer),
            calls: Mutex::default(),
            permits: Semaphore::new(0),
            events,
            happened: tokio::sync::Mutex::new(happened),
            closed: AtomicBool::new(false),
        })
    }

    /// Lets this many calls have their answers that wait for it ([`Answer::WhenAllowed`]).
    pub fn let_through(&self, calls: usize) {
        self.permits.add_permits(calls);
    }

    /// The calls so far, in their order.
    pub fn calls(&self) -> Vec<Call> {
        lock(&self.calls).clone()
    }

    /// Waits for the next event of all calls.
    ///
    /// # Panics
    ///
    /// When there is none within a minute.
    pub async fn event(&self) -> Event {
        let mut happened = self.happened.lock().await;
        let event = tokio::time::timeout(LONG, happened.recv()).await;
        event.expect("an event within a minute").expect("the store's own sender")
    }

    /// Whether the store was closed.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Takes note of a call, and answers it: yes or no.
    fn call(&self, call: Call) -> impl Future<Output = Result<bool, Failure>> + use<'_> {
        let scripted = lock(&self.script).pop_front();
        let answer = scripted.unwrap_or_else(|| (self.answer)(&call));
        lock(&self.calls).push(call);
        let running = Running { events: self.events.clone(), answered: false };
        running.notify(Event::Called);
        async move {
            let outcome = self.outcome(answer).await;
            running.answered();
            outcome
        }
    }

    async fn outcome(&self, mut answer: Answer) -> Result<bool, Failure> {
        loop {
            answer = match answer {
                Answer::Yes => return Ok(true),
                Answer::No => return Ok(false),
                Answer::Failure(failure) => return Err(failure),
                Answer::Never => pending().await,
                Answer::After(delay, answer) => {
                    tokio::time::sleep(delay).await;
                    *answer
                }
                Answer::WhenAllowed(answer) => {
                    self.permits.acquire().await.expect("an open semaphore").forget();
                    *answer
                }
            }
        }
    }
}

impl Store for FakeStore {
    fn acquire<'a>(
        &'a self,
        key: &'a str,
        owner: &'a str,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<Acquired, Failure>> {
        let (key, owner) = (key.to_owned(), owner.to_owned());
        let outcome = self.call(Call::Acquire { key, owner, ttl });
        Box::pin(async { Ok(if outcome.await? { GRANTED } else { Acquired::Held }) })
    }

    fn release<'a>(
        &'a self,
        key: &'a str,
        owner: &'a str,
    ) -> BoxFuture<'a, Result<Released, Failure>> {
        let outcome = self.call(Call::Release { key: key.to_owned(), owner: owner.to_owned() });
        Box::pin(async { Ok(if outcome.await? { Released::Released } else { Released::Missing }) })
    }

    fn inspect<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Holding>, Failure>> {
        let outcome = self.call(Call::Inspect { key: key.to_owned() });
        let holding = || Holding { owner: HOLDER.to_owned(), time_left: None, fencing_token: None };
        Box::pin(async move { Ok(outcome.await?.then(holding)) })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.closed.store(true, Ordering::SeqCst);
        Box::pin(std::future::ready(()))
    }
}

/// A running call. Dropping it reports how it ended.
struct Running {
    events: mpsc::UnboundedSender<Event>,
    answered: bool,
}

impl Running {
    fn answered(mut self) {
        self.answered = true;
    }

    fn notify(&self, event: Event) {
        // It fails only when the receiver, which the store owns, is dropped.
        let _ = self.events.send(event);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.notify(if self.answered { Event::Answered } else { Event::Dropped });
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
