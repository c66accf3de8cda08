//! The commands of a connection that are not answered yet, in order.
//!
//! This module does no I/O. Callers add commands, which become bytes at once; the driver takes the bytes and
//! brings the replies; callers take their answers.

mod give_back;
#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    hash::BuildHasher,
    mem,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use foldhash::fast::FixedState;
use holdfast_redis_rules::{
    acquire::{Acquired, Wanted, expiry_is_unknown},
    clock::{self, Reading},
    expiry::Expiry,
    extend::{self, Extend, Extended},
    redirect::ASKING,
    refusal::{has_no_answer, may_be_answered_later},
    release::Released,
    replicas::Guard,
    reply::{Nonsense, Reply},
    resp,
    term::{GrantState, Term},
};
use holdfast_timing::{
    late::{LATE_REPLY, late, longest_hold},
    milliseconds,
};
use slab::Slab;

use super::answer::{Cause, NoAnswer, ServerAnswer, ServerGrant};

/// The least number of commands that get a write of their own while callers add more.
const SMALLEST_WRITE: usize = 4;

/// The commands, and the latest reading of the server's clock.
pub(super) struct Queue {
    /// The local times of the clock's readings count from here.
    origin: Instant,
    /// The commands as bytes to send.
    out: Vec<u8>,
    /// How many commands are in `out`. The number may be a little too large.
    queued: usize,
    /// How many bytes were ever added to `out`, and how many of these were handed to the network.
    added: u64,
    sent: u64,
    /// The replies to come, in order.
    order: VecDeque<Entry>,
    calls: Slab<QueuedCall>,
    /// The calls whose reply does not count yet, in order.
    unconfirmed: Vec<Unconfirmed>,
    /// The grants to give back again.
    postponed: Vec<Postponed>,
    /// How many replicas must have a lock, and whether on disk.
    guard: Option<Guard>,
    /// Whether `out` has a command that replicas must have.
    wants_replicas: bool,
    /// Whether the server was asked for replicas and has not answered. Until then it runs nothing else of the
    /// connection.
    asked_for_replicas: bool,
    clock: Option<Reading>,
    /// Whether the clock must be read after an acquire in `out`.
    wants_clock: bool,
    /// How many calls have no caller any more.
    left: usize,
    closed: Option<Cause>,
}

/// A reply to come.
enum Entry {
    Call(usize),
    /// The reply to the prefix `ASKING` of the next command. Its content is ignored.
    Asking,
    /// How many replicas have the earlier writes.
    Replicas,
    /// The server's clock. The question was sent at this time.
    Clock(Instant),
}

/// A call whose reply has arrived but does not count yet.
struct Unconfirmed {
    number: usize,
    /// The answer once replicas have it; `None` for a grant that also needs a reading of the server's clock.
    answer: Option<ServerAnswer>,
}

struct QueuedCall {
    kind: CallKind,
    at: Instant,
    /// The value of `added` when the command was complete.
    end: u64,
    state: CallState,
    /// An earlier grant to give back. Only the answer to this acquire can tell it from this acquire's own grant.
    twin: Option<UnusedGrant>,
}

#[derive(Clone, Copy)]
enum CallKind {
    Acquire {
        lifetime: Lifetime,
        ttl: Duration,
        /// A hash of the key and the owner.
        lock: u64,
        /// Whether the grant gets a fencing token.
        fenced: bool,
        /// The token, once it is known.
        token: Option<u64>,
    },
    Release,
    Extend,
    /// Nobody waits for its reply. After a refusal for the moment the command is sent again, until this time.
    GiveBack {
        expiry: u64,
        until: Instant,
    },
    /// Any other command, with the shape of its replies.
    Other(Shape),
}

/// Whether a reply that is no error has the shape of the replies to a command.
pub(super) type Shape = fn(&Reply) -> bool;

/// When a lock expires.
#[derive(Clone, Copy)]
enum Lifetime {
    /// By the server's clock.
    Until(Term),
    /// This long after the server has run the command.
    For(Duration),
}

enum CallState {
    Waiting(Option<Waker>),
    Answered(Result<ServerAnswer, NoAnswer>),
    /// The caller has learned that no answer came in time, but one may still come.
    Overdue(NoAnswer),
    /// The caller has left. A grant is given back.
    Left(Option<UnusedGrant>),
}

/// Identifies a grant that no caller uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UnusedGrant {
    pub(super) key: String,
    pub(super) owner: String,
    /// Whether the acquire was sent after `ASKING`. Without `ASKING`, the node then refuses commands about the lock.
    pub(super) asking: bool,
}

/// A grant to give back again.
struct Postponed {
    lock: UnusedGrant,
    expiry: u64,
    /// When to try again, and until when.
    next: Instant,
    until: Instant,
}

impl Queue {
    /// A queue of commands whose locks count only with the `guard`, if one is given.
    pub(super) fn new(guard: Option<Guard>) -> Self {
        Self {
            origin: Instant::now(),
            out: Vec::new(),
            queued: 0,
            added: 0,
            sent: 0,
            order: VecDeque::new(),
            calls: Slab::new(),
            unconfirmed: Vec::new(),
            postponed: Vec::new(),
            guard,
            wants_replicas: false,
            asked_for_replicas: false,
            clock: None,
            wants_clock: false,
            left: 0,
            closed: None,
        }
    }

    /// Adds an acquire, and returns its number. The lock expires at a time of the server's clock if the clock is known.
    pub(super) fn acquire(&mut self, wanted: Wanted<'_>, at: Instant) -> usize {
        let Wanted { key, owner, ttl, token_key } = wanted;
        let (lifetime, expiry) = match self.clock {
            Some(reading) => {
                let mut term = Term::new(reading, at - self.origin, ttl);
                self.set_apart_from_grants_to_give_back(key, owner, &mut term);
                (Lifetime::Until(term), Expiry::At(term.expiry()))
            }
            None => (Lifetime::For(ttl), Expiry::After(milliseconds(ttl))),
        };
        self.wants_clock |= self.clock.is_some();
        self.wants_replicas |= self.guard.is_some();
        wanted.words(expiry, |words| self.push(words));
        let (lock, fenced) = (hash(key, owner), token_key.is_some());
        self.insert(CallKind::Acquire { lifetime, ttl, lock, fenced, token: None }, at)
    }

    /// Adds an extend, and returns its number. The lock expires at a time of the server's clock if the clock is known,
    /// so that a late command does not make it last longer.
    pub(super) fn extend(&mut self, extend: Extend<'_>, at: Instant) -> usize {
        let ttl = Duration::from_millis(extend.ttl);
        let end = self.clock.map(|reading| Term::new(reading, at - self.origin, ttl).expiry());
        extend::words(extend, end, |words| self.push(words));
        self.wants_replicas |= self.guard.is_some();
        self.insert(CallKind::Extend, at)
    }

    /// Adds a release, and returns its number.
    pub(super) fn release(&mut self, words: &[&str], at: Instant) -> usize {
        self.push(words);
        self.insert(CallKind::Release, at)
    }

    /// Tells a node of a cluster that another node sent the next command here.
    pub(super) fn asking(&mut self) {
        self.push(&ASKING);
        self.order.push_back(Entry::Asking);
    }

    /// Adds any other command, and returns its number. A reply of another shape ends the connection.
    pub(super) fn other(&mut self, words: &[&str], shape: Shape, at: Instant) -> usize {
        self.push(words);
        self.insert(CallKind::Other(shape), at)
    }

    /// Begins to read the server's clock with each batch that takes a lock. `time` is in microseconds since 1970, and
    /// the question was sent at `asked`.
    pub(super) fn set_clock(&mut self, time: u64, asked: Instant) {
        self.clock = Some(self.reading(time, asked, Instant::now()));
    }

    /// Whether the latest reading of the clock is too old at `now`.
    pub(super) fn clock_is_old(&self, now: Instant) -> bool {
        self.clock.is_some_and(|reading| reading.is_old(now - self.origin))
    }

    /// Whether locks expire by the server's clock.
    pub(super) fn has_clock(&self) -> bool {
        self.clock.is_some()
    }

    /// Stops using the server's clock.
    pub(super) fn forget_clock(&mut self) {
        self.clock = None;
    }

    /// How many callers wait for an answer, or have one to take.
    pub(super) fn callers(&self) -> usize {
        self.calls.len() - self.left
    }

    /// How many replies are still to come.
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether there are bytes to send that the driver has not taken.
    pub(super) fn has_bytes(&self) -> bool {
        !self.out.is_empty()
    }

    /// Whether there are bytes to send now. While the server waits for replicas, bytes gather, so that the server then
    /// waits once for all of them.
    pub(super) fn may_send(&self) -> bool {
        self.has_bytes() && !self.asked_for_replicas
    }

    /// Whether the bytes to send are worth a write of their own, although callers that are ready would add more. If all
    /// callers send at once and then wait for all replies at once, server and callers wait for each other in turn.
    ///
    /// Each write asks for replicas once, so with replicas all ready commands go out in one write.
    pub(super) fn fills_a_write(&self) -> bool {
        let callers = self.callers();
        let under_way = self.order.len().saturating_sub(self.queued);
        self.may_send()
            && self.guard.is_none()
            && self.queued >= (callers / 4).max(SMALLEST_WRITE)
            && under_way <= callers / 2
    }

    /// Moves the bytes to send to `batch`, which is empty.
    pub(super) fn take_bytes(&mut self, batch: &mut Vec<u8>) {
        self.seal();
        self.queued = 0;
        mem::swap(&mut self.out, batch);
    }

    /// The bytes to send, including the commands that confirm their grants.
    pub(super) fn bytes(&mut self) -> &[u8] {
        self.seal();
        &self.out
    }

    /// Forgets the first bytes of [`bytes`](Self::bytes).
    pub(super) fn drain(&mut self, length: usize) {
        self.out.drain(..length);
        self.sent += length as u64;
        if self.out.is_empty() {
            self.queued = 0;
        }
        // The rest of a batch must not wait for the answer to the batch.
        self.asked_for_replicas &= !self.has_bytes();
    }

    /// Notes that this many bytes of a taken batch were handed to the network.
    pub(super) fn handed_over(&mut self, length: usize) {
        self.sent += length as u64;
    }

    /// Takes the answer to a call, or leaves a waker for it.
    pub(super) fn poll(
        &mut self,
        number: usize,
        cx: &Context<'_>,
    ) -> Poll<Result<ServerAnswer, NoAnswer>> {
        match &mut self.calls[number].state {
            CallState::Waiting(waker) => {
                match waker {
                    Some(waker) => waker.clone_from(cx.waker()),
                    None => *waker = Some(cx.waker().clone()),
                }
                Poll::Pending
            }
            CallState::Answered(answer) => Poll::Ready(answer.clone()),
            CallState::Overdue(no_answer) => Poll::Ready(Err(no_answer.clone())),
            CallState::Left(_) => Poll::Pending,
        }
    }

    /// Ends a call: its caller has taken the answer, or has left. `lock` is the lock of an acquire whose caller does
    /// not use it. Its grant is given back, now or when it comes.
    pub(super) fn leave(&mut self, number: usize, lock: Option<UnusedGrant>) {
        let Some(call) = self.calls.get_mut(number) else { return };
        match &call.state {
            CallState::Waiting(_) | CallState::Overdue(_) => {
                call.state = CallState::Left(lock);
                self.left += 1;
            }
            CallState::Answered(answer) => {
                let expiry = answer.as_ref().ok().and_then(ServerAnswer::expiry);
                self.calls.remove(number);
                if let (Some(lock), Some(expiry)) = (lock, expiry) {
                    self.give_back(&lock, expiry);
                }
            }
            CallState::Left(_) => {}
        }
    }

    /// Reads the replies in `bytes`, and returns how many bytes they take. `wake` gets the wakers of the callers that
    /// have an answer.
    ///
    /// Fails on the first reply that no command can have. After it, nothing may be believed.
    pub(super) fn receive(
        &mut self,
        bytes: &[u8],
        wake: &mut Vec<Waker>,
    ) -> Result<usize, Nonsense> {
        let mut read = 0;
        let mut now = None;
        while let Some((reply, length)) = resp::reply(&bytes[read..])? {
            read += length;
            match self.order.pop_front() {
                Some(Entry::Call(number)) => self.answer(number, reply, wake)?,
                Some(Entry::Asking) => {}
                Some(Entry::Replicas) => self.count_replicas(&reply, wake)?,
                Some(Entry::Clock(asked)) => {
                    let now = *now.get_or_insert_with(Instant::now);
                    self.confirm(&reply, asked, now, wake)?;
                }
                None => return Err(Nonsense),
            }
        }
        Ok(read)
    }

    fn answer(
        &mut self,
        number: usize,
        reply: Reply,
        wake: &mut Vec<Waker>,
    ) -> Result<(), Nonsense> {
        let Some(call) = self.calls.get(number) else { return Ok(()) };
        let answer = match (call.kind, reply) {
            (
                CallKind::Acquire { .. } | CallKind::Release | CallKind::Extend,
                Reply::Error(line),
            ) if has_no_answer(&line) => Err(self.unanswered(number, Cause::Proxy(line))),
            (CallKind::Acquire { lifetime: Lifetime::Until(_), .. }, Reply::Error(line))
                if expiry_is_unknown(&line) =>
            {
                Ok(ServerAnswer::UnknownExpiry(line))
            }
            (CallKind::GiveBack { expiry, until }, Reply::Error(line))
                if may_be_answered_later(&line) =>
            {
                self.postpone(number, expiry, until);
                Ok(ServerAnswer::Refused(line))
            }
            (_, Reply::Error(line)) => Ok(ServerAnswer::Refused(line)),
            (CallKind::Acquire { lifetime, fenced, .. }, reply) => {
                match Acquired::read(&reply, fenced)? {
                    Acquired::Held => Ok(ServerAnswer::Held),
                    Acquired::Granted(token) => {
                        self.granted(number, lifetime, token, wake);
                        return Ok(());
                    }
                }
            }
            (CallKind::Extend, reply) => match Extended::read(&reply)? {
                extended @ Extended::Extended(_) => {
                    self.once_replicated(number, ServerAnswer::Extended(extended), wake);
                    return Ok(());
                }
                extended => Ok(ServerAnswer::Extended(extended)),
            },
            (CallKind::Release, reply) => Ok(ServerAnswer::Released(Released::read(&reply)?)),
            (CallKind::GiveBack { .. }, reply @ Reply::Integer(_)) => {
                Ok(ServerAnswer::Other(reply))
            }
            (CallKind::Other(shape), reply) if shape(&reply) => Ok(ServerAnswer::Other(reply)),
            (CallKind::GiveBack { .. } | CallKind::Other(_), _) => return Err(Nonsense),
        };
        self.finish(number, answer, wake);
        Ok(())
    }

    /// Notes that the server has granted a lock. The grant counts when it is confirmed.
    fn granted(
        &mut self,
        number: usize,
        lifetime: Lifetime,
        token: Option<u64>,
        wake: &mut Vec<Waker>,
    ) {
        match lifetime {
            // The next reading of the clock shows whether the grant counts.
            Lifetime::Until(_) => {
                if let Some(QueuedCall { kind: CallKind::Acquire { token: known, .. }, .. }) =
                    self.calls.get_mut(number)
                {
                    *known = token;
                }
                self.unconfirmed.push(Unconfirmed { number, answer: None });
            }
            Lifetime::For(ttl) => {
                let ends = Instant::now() + ttl;
                let granted = ServerGrant { expiry: None, left: ttl, ends, token };
                self.once_replicated(number, ServerAnswer::Granted(granted), wake);
            }
        }
    }

    /// Answers a call, at once or when replicas have the write.
    fn once_replicated(&mut self, number: usize, answer: ServerAnswer, wake: &mut Vec<Waker>) {
        match self.guard {
            None => self.finish(number, Ok(answer), wake),
            Some(_) => {
                let answer = Some(answer);
                self.unconfirmed.push(Unconfirmed { number, answer });
            }
        }
    }

    /// Reads how many replicas have the earlier writes.
    fn count_replicas(&mut self, reply: &Reply, wake: &mut Vec<Waker>) -> Result<(), Nonsense> {
        let Some(guard) = self.guard else { return Err(Nonsense) };
        self.asked_for_replicas = false;
        let too_few = guard.read(reply)?.err();
        for Unconfirmed { number, answer } in mem::take(&mut self.unconfirmed) {
            match (&too_few, answer) {
                (Some(cause), answer) => {
                    let answer = self.too_few_replicas(number, answer, cause.clone());
                    self.finish(number, Ok(answer), wake);
                }
                (None, Some(answer)) => self.finish(number, Ok(answer), wake),
                (None, None) => self.unconfirmed.push(Unconfirmed { number, answer: None }),
            }
        }
        Ok(())
    }

    fn too_few_replicas(
        &self,
        number: usize,
        answer: Option<ServerAnswer>,
        cause: String,
    ) -> ServerAnswer {
        let lifetime = match self.calls.get(number).map(|call| call.kind) {
            Some(CallKind::Acquire { lifetime, .. }) => Some(lifetime),
            _ => None,
        };
        match (lifetime, answer) {
            (Some(Lifetime::Until(term)), _) => {
                let now = Instant::now();
                let ends = now.checked_add(term.lasts(now - self.origin));
                ServerAnswer::TooFewReplicas { cause, expiry: Some(term.expiry()), ends }
            }
            (_, Some(ServerAnswer::Granted(granted))) => {
                ServerAnswer::TooFewReplicas { cause, expiry: None, ends: Some(granted.ends) }
            }
            _ => ServerAnswer::TooFewReplicas { cause, expiry: None, ends: None },
        }
    }

    /// Answers the grants that came before this reading of the server's clock.
    fn confirm(
        &mut self,
        reply: &Reply,
        asked: Instant,
        now: Instant,
        wake: &mut Vec<Waker>,
    ) -> Result<(), Nonsense> {
        let after = match reply {
            Reply::Error(line) => {
                // Unless the error passes, the user has lost the permission. Later locks do without the clock.
                if !may_be_answered_later(line) {
                    self.clock = None;
                }
                Err(line)
            }
            reply => Ok(self.reading(clock::read(reply)?, asked, now)),
        };
        for Unconfirmed { number, .. } in mem::take(&mut self.unconfirmed) {
            let Some(QueuedCall {
                kind: CallKind::Acquire { lifetime: Lifetime::Until(term), token, .. },
                ..
            }) = self.calls.get(number)
            else {
                continue;
            };
            let (expiry, token) = (term.expiry(), *token);
            let answer = match after.map(|after| term.check_grant(&after, now - self.origin)) {
                Ok(GrantState::Held { left, lasts }) => {
                    let (expiry, ends) = (Some(expiry), now + lasts);
                    ServerAnswer::Granted(ServerGrant { expiry, left, ends, token })
                }
                Ok(GrantState::RanOut) => ServerAnswer::RanOut,
                Ok(GrantState::ClockWasSet { lasts }) => {
                    ServerAnswer::ClockWasSet { expiry, ends: now.checked_add(lasts) }
                }
                Err(line) => {
                    let ends = now.checked_add(term.lasts(now - self.origin));
                    ServerAnswer::ClockLost { line: line.clone(), expiry, ends }
                }
            };
            self.finish(number, Ok(answer), wake);
        }
        // A clock that was given up meanwhile stays unused.
        if let (Some(clock), Ok(after)) = (self.clock, after) {
            self.clock = Some(clock.or_newer(after));
        }
        Ok(())
    }

    fn finish(
        &mut self,
        number: usize,
        answer: Result<ServerAnswer, NoAnswer>,
        wake: &mut Vec<Waker>,
    ) {
        let Some(call) = self.calls.get_mut(number) else { return };
        let twin = call.twin.take().filter(|_| took_nothing(&answer));
        let expiry = match call.kind {
            CallKind::Acquire { lifetime: Lifetime::Until(term), .. } => Some(term.expiry()),
            _ => None,
        };
        match mem::replace(&mut call.state, CallState::Answered(answer)) {
            CallState::Waiting(waker) => wake.extend(waker),
            CallState::Overdue(_) => {}
            CallState::Left(lock) => {
                let state = self.calls.remove(number).state;
                self.left -= 1;
                if let (CallState::Answered(Ok(answer)), Some(lock)) = (state, lock)
                    && let Some(expiry) = answer.expiry()
                {
                    self.give_back(&lock, expiry);
                }
            }
            answered @ CallState::Answered(_) => call.state = answered,
        }
        if let (Some(lock), Some(expiry)) = (twin, expiry) {
            self.give_back(&lock, expiry);
        }
    }

    /// Ends the calls whose replies have not come within `limit`, without an answer. Returns when to look again; `None`
    /// if nothing is under way.
    pub(super) fn expire(
        &mut self,
        limit: Duration,
        now: Instant,
        wake: &mut Vec<Waker>,
    ) -> Option<Instant> {
        let mut next = None;
        for position in 0..self.order.len() {
            let Entry::Call(number) = self.order[position] else { continue };
            next = self.expire_call(number, limit, now, wake);
            if next.is_some() {
                break;
            }
        }
        for position in 0..self.unconfirmed.len() {
            let number = self.unconfirmed[position].number;
            let end = self.expire_call(number, limit, now, wake);
            next = [next, end].into_iter().flatten().min();
        }
        next
    }

    /// Ends the call if its time is over. Otherwise returns when it will be.
    fn expire_call(
        &mut self,
        number: usize,
        limit: Duration,
        now: Instant,
        wake: &mut Vec<Waker>,
    ) -> Option<Instant> {
        let call = self.calls.get(number)?;
        let end = call.at.checked_add(limit)?;
        if end > now {
            return Some(end);
        }
        if matches!(call.state, CallState::Waiting(_)) {
            // This includes a command that waits to be sent: it will be sent later.
            let no_answer = self.unknown(call, Cause::TimedOut(limit));
            if let Some(call) = self.calls.get_mut(number)
                && let CallState::Waiting(waker) =
                    mem::replace(&mut call.state, CallState::Overdue(no_answer))
            {
                wake.extend(waker);
            }
        }
        None
    }

    /// Whether a call is older than `limit` and has no answer, with or without a caller.
    pub(super) fn is_stuck(&self, limit: Duration, now: Instant) -> bool {
        let ordered = self.order.iter().find_map(|entry| match entry {
            Entry::Call(number) => Some(number),
            Entry::Asking | Entry::Replicas | Entry::Clock(_) => None,
        });
        // An unconfirmed call is older than a call without a reply.
        let unconfirmed = self.unconfirmed.first().map(|unconfirmed| &unconfirmed.number);
        let call = unconfirmed.or(ordered).and_then(|number| self.calls.get(*number));
        call.is_some_and(|call| now.saturating_duration_since(call.at) >= limit)
    }

    /// Ends all calls under way. No command can be added from then on.
    pub(super) fn close(&mut self, cause: &Cause, wake: &mut Vec<Waker>) {
        self.closed.get_or_insert_with(|| cause.clone());
        self.order.clear();
        self.unconfirmed.clear();
        self.postponed.clear();
        let numbers: Vec<usize> = self.calls.iter().map(|(number, _)| number).collect();
        for number in numbers {
            let no_answer = self.unanswered(number, cause.clone());
            self.finish(number, Err(no_answer), wake);
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.is_some()
    }

    /// Why a command cannot be added.
    pub(super) fn refusal(&self) -> NoAnswer {
        NoAnswer::Unsent(self.closed.clone().unwrap_or(Cause::Lost))
    }

    /// Until when to wait for replies to calls without a caller; `None` without such calls.
    pub(super) fn lingers_until(&self) -> Option<Instant> {
        if self.left == 0 && !self.postpones() {
            return None;
        }
        let until = |call: &QueuedCall| {
            let wait = match call.kind {
                CallKind::Acquire { ttl, .. } => late(ttl),
                CallKind::Release | CallKind::GiveBack { .. } => LATE_REPLY,
                CallKind::Extend | CallKind::Other(_) => Duration::ZERO,
            };
            call.at.checked_add(wait)
        };
        let left = self.calls.iter().filter(|(_, call)| matches!(call.state, CallState::Left(_)));
        let postponed = self.postponed.iter().map(|postponed| postponed.until);
        left.filter_map(|(_, call)| until(call)).chain(postponed).max()
    }

    /// What is known of a call that gets no answer, and that is not sent from now on.
    fn unanswered(&self, number: usize, cause: Cause) -> NoAnswer {
        match self.calls.get(number) {
            // The server runs only a complete command.
            Some(call) if call.end <= self.sent => self.unknown(call, cause),
            _ => NoAnswer::Unsent(cause),
        }
    }

    /// What is known of a call that the server may run.
    fn unknown(&self, call: &QueuedCall, cause: Cause) -> NoAnswer {
        let now = Instant::now();
        let lasts = match call.kind {
            CallKind::Acquire { lifetime: Lifetime::Until(term), .. } => {
                Some(term.lasts(now - self.origin))
            }
            CallKind::Acquire { lifetime: Lifetime::For(ttl), .. } => {
                Some(longest_hold(ttl, now.saturating_duration_since(call.at)))
            }
            CallKind::Release
            | CallKind::Extend
            | CallKind::GiveBack { .. }
            | CallKind::Other(_) => None,
        };
        NoAnswer::Unknown { cause, lasts }
    }

    fn push(&mut self, words: &[&str]) {
        let before = self.out.len();
        resp::push(&mut self.out, words);
        self.added += (self.out.len() - before) as u64;
    }

    fn insert(&mut self, kind: CallKind, at: Instant) -> usize {
        self.queued += 1;
        let call =
            QueuedCall { kind, at, end: self.added, state: CallState::Waiting(None), twin: None };
        let number = self.calls.insert(call);
        self.order.push_back(Entry::Call(number));
        number
    }

    /// Adds the questions that confirm the commands to send: whether replicas have them, and then the clock.
    fn seal(&mut self) {
        if mem::take(&mut self.wants_replicas)
            && let Some(guard) = self.guard
        {
            guard.words(|words| self.push(words));
            self.asked_for_replicas = true;
            self.order.push_back(Entry::Replicas);
        }
        if mem::take(&mut self.wants_clock) {
            self.push(&clock::ASK);
            self.order.push_back(Entry::Clock(Instant::now()));
        }
    }

    fn reading(&self, server: u64, asked: Instant, answered: Instant) -> Reading {
        Reading::new(server, asked - self.origin, answered - self.origin)
    }
}

/// Whether an acquire with this answer surely took no lock.
fn took_nothing(answer: &Result<ServerAnswer, NoAnswer>) -> bool {
    matches!(
        answer,
        Ok(ServerAnswer::Held | ServerAnswer::Refused(_) | ServerAnswer::UnknownExpiry(_))
            | Err(NoAnswer::Unsent(_))
    )
}

fn hash(key: &str, owner: &str) -> u64 {
    FixedState::default().hash_one((key, owner))
}
