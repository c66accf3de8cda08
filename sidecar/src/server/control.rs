//! The state of a connection, and the orders to it.
//!
//! hyper's own limit for the head of a request also counts the time between requests, and covers neither the
//! first bytes of a connection nor HTTP/2. So the time limits are kept here, for both.
//!
//! hyper-util's `GracefulShutdown` only tells all connections at once to finish. Here a server that ends first goes on
//! taking requests, so that callers can unlock, and a single connection may have to make room for another.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Waker},
    time::Duration,
};

use tokio::time::Instant;

use super::heads::Heads;

/// The preface of HTTP/2 and the frame that must follow it, in bytes (RFC 9113, section 3.4).
const HTTP2_HANDSHAKE: usize = 24 + 9;

/// How long the next request of a connection may take once the connection is to finish: its caller may have sent it.
const LAST_HEAD: Duration = Duration::from_millis(200);

/// How long a caller must read nothing before the server may give it up. A socket may have no room for a moment.
const STALLS: Duration = Duration::from_millis(100);

/// A connection's state, which its task, its requests and the connections of its API share.
#[derive(Debug)]
pub(super) struct Control {
    limits: CallerLimits,
    /// Whether the server shuts down.
    is_ending: Arc<AtomicBool>,
    state: Mutex<State>,
}

/// How long a connection waits for its caller.
#[derive(Clone, Copy, Debug)]
pub(super) struct CallerLimits {
    /// For the head of a request.
    pub(super) head: Duration,
    /// For the next request.
    pub(super) idle: Option<Duration>,
    /// For the caller to read a part of the bytes that it is sent.
    pub(super) stall: Duration,
}

#[derive(Debug)]
struct State {
    order: Option<Order>,
    /// When there was the first order.
    ordered: Option<Instant>,
    waker: Option<Waker>,
    http2: bool,
    /// Bytes received before the first request.
    received: usize,
    /// Whether there was a request.
    used: bool,
    in_flight: usize,
    /// How many of the requests in flight have not been received to their end.
    incomplete: usize,
    /// Whether the caller of a request over HTTP/1 counts as gone once it sends nothing more.
    is_gone_at_end: bool,
    /// When the first of the requests in flight began, or when the last one ended.
    since: Instant,
    /// When the first byte came after the last request had ended.
    head_since: Option<Instant>,
    /// The heads over HTTP/2, which may come while other requests are in flight.
    heads: Heads,
    /// When the caller stopped reading although the server has bytes to send, if it did.
    stalled_since: Option<Instant>,
    /// The side that ended the connection, once it has ended.
    ended_by: Option<Side>,
}

/// A side of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// The caller, who knows that nothing more comes.
    Caller,
    /// The server, or a network without a sign of the caller.
    Server,
}

/// An order to a connection. A later order replaces an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Order {
    /// Answer the requests in flight, and close.
    Finish,
    /// Close at once.
    Close,
}

/// The state that the task of a connection acts on.
pub(super) struct View {
    pub(super) order: Option<Order>,
    /// When the caller has had enough time.
    pub(super) deadline: Option<Instant>,
    /// Whether a request of HTTP/1 was received and is being answered.
    pub(super) answering: bool,
    /// Whether the caller of this request counts as gone once it sends nothing more.
    pub(super) is_gone_at_end: bool,
    /// Whether the caller may have sent a request before it could learn that the connection is to finish.
    pub(super) may_call: bool,
}

/// A request in flight, until this is dropped.
#[derive(Debug)]
pub(super) struct InFlight {
    control: Arc<Control>,
    /// The flag of its [`Incomplete`], if it has a body.
    incomplete: Option<Arc<AtomicBool>>,
}

/// A request whose body has not been received to its end, until this is dropped.
#[derive(Debug)]
pub(super) struct Incomplete {
    control: Arc<Control>,
    /// Set until either of the two is dropped: once there is a response, nobody waits for the rest of the body.
    incomplete: Arc<AtomicBool>,
}

impl Control {
    pub(super) fn new(limits: CallerLimits, is_ending: Arc<AtomicBool>) -> Self {
        let state = Mutex::new(State {
            order: None,
            ordered: None,
            waker: None,
            http2: false,
            received: 0,
            used: false,
            in_flight: 0,
            incomplete: 0,
            is_gone_at_end: false,
            since: Instant::now(),
            head_since: None,
            heads: Heads::default(),
            stalled_since: None,
            ended_by: None,
        });
        Self { limits, is_ending, state }
    }

    /// Notes that bytes were received.
    pub(super) fn received(&self, bytes: &[u8]) {
        let mut state = self.lock();
        state.heads.read(bytes);
        if state.in_flight > 0 {
            return;
        }
        if !state.used {
            // A caller that sends the preface in small pieces has to send a request in time as well.
            state.http2 |= state.received == 0 && bytes.starts_with(b"PRI");
            state.received = state.received.saturating_add(bytes.len());
        } else if state.head_since.is_none() {
            state.head_since = Some(Instant::now());
        }
    }

    /// Notes whether there are bytes to send that the caller does not take.
    pub(super) fn stalls(&self, stalls: bool) {
        self.lock().stalled_since = stalls.then(Instant::now);
    }

    /// Notes who has ended the connection. The first one counts.
    pub(super) fn ended(&self, by: Side) {
        self.lock().ended_by.get_or_insert(by);
    }

    /// Whether a response that ends now is given up by the server, and its caller may not know.
    ///
    /// Otherwise its caller has ended it.
    pub(super) fn is_given_up(&self) -> bool {
        let state = self.lock();
        match state.ended_by {
            Some(side) => side == Side::Server,
            // Over HTTP/2, responses end before their connection does if that has to wait for room to say so.
            None => state.stalled_since.is_some_and(|since| since.elapsed() >= STALLS),
        }
    }

    /// Notes that a request begins, which may be granted something or not.
    pub(super) fn begin(
        self: &Arc<Self>,
        http2: bool,
        has_body: bool,
        may_grant: bool,
    ) -> (InFlight, Option<Incomplete>) {
        let mut state = self.lock();
        if state.in_flight == 0 {
            state.since = Instant::now();
        }
        state.http2 = http2;
        state.used = true;
        state.head_since = None;
        state.is_gone_at_end = may_grant;
        state.in_flight += 1;
        state.incomplete += usize::from(has_body);
        drop(state);
        let incomplete = has_body.then(|| Arc::new(AtomicBool::new(true)));
        let body =
            incomplete.clone().map(|incomplete| Incomplete { control: self.clone(), incomplete });
        (InFlight { control: self.clone(), incomplete }, body)
    }

    /// The state to act on. A new order wakes the task.
    pub(super) fn view(&self, cx: &Context<'_>) -> View {
        let mut state = self.lock();
        if !state.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            state.waker = Some(cx.waker().clone());
        }
        View {
            order: state.order,
            deadline: state.deadline(self.limits),
            answering: !state.http2 && state.in_flight > 0 && state.incomplete == 0,
            is_gone_at_end: state.is_gone_at_end,
            may_call: state.may_call(),
        }
    }

    pub(super) fn order(&self, order: Order) {
        let mut state = self.lock();
        state.order = state.order.max(Some(order));
        state.ordered.get_or_insert_with(Instant::now);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Since when the server waits for the caller; `None` while the caller waits for the server, and if the
    /// connection is about to close.
    pub(super) fn waits_since(&self) -> Option<Instant> {
        let state = self.lock();
        if state.order.is_some() {
            return None;
        }
        let waits = state.in_flight == state.incomplete;
        let for_request = waits.then(|| state.head_since.unwrap_or(state.since));
        for_request.or(state.stalled_since)
    }

    /// How long a caller may read nothing of what it is sent.
    pub(super) fn patience(&self) -> Duration {
        self.limits.stall
    }

    /// Whether each response is the last of its connection.
    pub(super) fn is_ending(&self) -> bool {
        self.is_ending.load(Ordering::Relaxed)
    }

    /// Whether the caller waits for the server.
    pub(super) fn is_busy(&self) -> bool {
        let state = self.lock();
        state.in_flight > state.incomplete
    }

    /// Whether a request is not finished, be it that its body has not come.
    pub(super) fn has_requests(&self) -> bool {
        self.lock().in_flight > 0
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Whatever a panic elsewhere left here, the connection can be closed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Notes, once, that nobody waits for the rest of a body.
    fn end_body(&mut self, incomplete: &AtomicBool) {
        self.incomplete -= usize::from(incomplete.swap(false, Ordering::Relaxed));
    }

    /// Whether the first request has not come, and with HTTP/2 nothing else either.
    fn is_new(&self) -> bool {
        !(self.used || self.http2 && self.received >= HTTP2_HANDSHAKE)
    }

    /// Over HTTP/2, the server says which was the last request that it answers. Over HTTP/1, only a response can say so.
    fn may_call(&self) -> bool {
        self.is_new() || !self.http2 && self.in_flight == 0
    }

    fn deadline(&self, limits: CallerLimits) -> Option<Instant> {
        let to_take = self.stalled_since.map(|since| since + limits.stall);
        let to_ask = self.deadline_of_request(limits);
        let to_end_head = self.heads.since().and_then(|since| since.checked_add(limits.head));
        to_take.into_iter().chain(to_ask).chain(to_end_head).min()
    }

    fn deadline_of_request(
        &self,
        CallerLimits { head, idle, .. }: CallerLimits,
    ) -> Option<Instant> {
        if self.in_flight > 0 {
            return None;
        }
        let limit = match self.head_since {
            _ if self.is_new() => self.since.checked_add(head),
            Some(since) if !self.http2 => since.checked_add(head),
            _ => idle.and_then(|idle| self.since.checked_add(idle)),
        };
        let last = self.ordered.filter(|_| self.may_call()).map(|ordered| ordered + LAST_HEAD);
        limit.into_iter().chain(last).min()
    }
}

impl InFlight {
    /// Notes that the response lasts: a grant lasts as long as its caller.
    pub(super) fn lasts(&self) {
        self.control.lock().is_gone_at_end = true;
    }

    /// Notes that the caller waits for the server, although more of the body may come.
    pub(super) fn ends_body(&mut self) {
        if let Some(incomplete) = self.incomplete.take() {
            self.control.lock().end_body(&incomplete);
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut state = self.control.lock();
        if let Some(incomplete) = &self.incomplete {
            state.end_body(incomplete);
        }
        state.in_flight -= 1;
        if state.in_flight == 0 {
            state.since = Instant::now();
        }
    }
}

impl Drop for Incomplete {
    fn drop(&mut self) {
        self.control.lock().end_body(&self.incomplete);
    }
}
