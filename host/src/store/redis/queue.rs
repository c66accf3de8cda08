//! The commands of a connection that were given to it and are not answered yet, in order.
//!
//! This module does no I/O. Callers add commands, which become bytes at once; the driver takes the bytes and
//! brings the replies; callers take their answers.

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
    expiry::{Expiry, milliseconds},
    extend::{self, Extend, Extended},
    late::{LATE_REPLY, late, longest_hold},
    redirect::ASKING,
    refusal::has_no_answer,
    release::{Released, give_back},
    replicas::Guard,
    reply::{Nonsense, Reply},
    resp,
    term::{Term, Worth},
};
use slab::Slab;

use super::answer::{Answer, Cause, Granted, NoAnswer};

/// The commands, and what is known of the server's clock.
pub(super) struct Queue {
    /// The local times of the clock's readings count from here.
    origin: Instant,
    /// The commands as bytes, to be sent.
    out: Vec<u8>,
    /// How many bytes were ever added to `out`, and how many of all were handed to the network.
    added: u64,
    sent: u64,
    /// What is to be answered, in order.
    order: VecDeque<Entry>,
    calls: Slab<Call>,
    /// What the server has done, and what does not count yet, in order.
    unconfirmed: Vec<Unconfirmed>,
    /// What must have a lock besides the server.
    guard: Option<Guard>,
    /// Whether `out` has something that replicas must have.
    wants_replicas: bool,
    /// Whether the server was asked for replicas and has not answered. It runs nothing of the connection until then.
    asked_for_replicas: bool,
    clock: Option<Reading>,
    /// Whether `out` has an acquire that the clock must be read after.
    wants_clock: bool,
    /// How many of the calls were left by their callers.
    left: usize,
    closed: Option<Cause>,
}

/// Something that is to be answered.
enum Entry {
    Call(usize),
    /// A word about the next command, whose reply says nothing.
    Asking,
    /// How many replicas have what was written before.
    Replicas,
    /// The server's clock, asked for at this time.
    Clock(Instant),
}

/// A call whose reply has come, and needs more to count.
struct Unconfirmed {
    number: usize,
    /// The answer once replicas have it; `None` for a grant that needs a reading of the server's clock as well.
    answer: Option<Answer>,
}

struct Call {
    kind: Kind,
    at: Instant,
    /// What `added` was when it was complete.
    end: u64,
    state: State,
}

#[derive(Clone, Copy)]
enum Kind {
    Acquire {
        limit: Limit,
        ttl: Duration,
        /// A hash of the key and the owner.
        lock: u64,
        /// Whether the grant is to be numbered.
        numbered: bool,
        /// Its number, once it is known.
        number: Option<u64>,
    },
    Release,
    Extend,
    /// Its reply matters to nobody.
    GiveBack,
    Other,
}

/// When a lock expires.
#[derive(Clone, Copy)]
enum Limit {
    /// By the server's clock.
    Until(Term),
    /// So long after the server has run the command.
    For(Duration),
}

enum State {
    Waiting(Option<Waker>),
    Answered(Result<Answer, NoAnswer>),
    /// The caller is told that there is no answer, but one may come.
    Overdue(NoAnswer),
    /// The caller has left. A grant is given back.
    Left(Option<Lock>),
}

/// What a grant that nobody uses is known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lock {
    pub(super) key: String,
    pub(super) owner: String,
}

impl Queue {
    /// A queue of commands whose locks count only with the `guard`, if there is one.
    pub(super) fn new(guard: Option<Guard>) -> Self {
        Self {
            origin: Instant::now(),
            out: Vec::new(),
            added: 0,
            sent: 0,
            order: VecDeque::new(),
            calls: Slab::new(),
            unconfirmed: Vec::new(),
            guard,
            wants_replicas: false,
            asked_for_replicas: false,
            clock: None,
            wants_clock: false,
            left: 0,
            closed: None,
        }
    }

    /// Adds an acquire, and returns its number. The lock expires at a time of the server's clock if that
    /// is known.
    pub(super) fn acquire(&mut self, wanted: Wanted<'_>, at: Instant) -> usize {
        let Wanted { key, owner, ttl, number_key } = wanted;
        let (limit, expiry) = match self.clock {
            Some(reading) => {
                let mut term = Term::new(reading, at - self.origin, ttl);
                self.set_apart_from_grants_to_give_back(key, owner, &mut term);
                (Limit::Until(term), Expiry::At(term.expiry()))
            }
            None => (Limit::For(ttl), Expiry::After(milliseconds(ttl))),
        };
        self.wants_clock |= self.clock.is_some();
        self.wants_replicas |= self.guard.is_some();
        wanted.words(expiry, |words| self.push(words));
        let (lock, numbered) = (hash(key, owner), number_key.is_some());
        self.insert(Kind::Acquire { limit, ttl, lock, numbered, number: None }, at)
    }

    /// Adds an extend, and returns its number. The lock expires at a time of the server's clock if that is
    /// known, so that a command that comes late does not make it last longer.
    pub(super) fn extend(&mut self, extend: Extend<'_>, at: Instant) -> usize {
        let ttl = Duration::from_millis(extend.ttl);
        let end = self.clock.map(|reading| Term::new(reading, at - self.origin, ttl).expiry());
        extend::words(extend, end, |words| self.push(words));
        self.wants_replicas |= self.guard.is_some();
        self.insert(Kind::Extend, at)
    }

    /// Adds a release, and returns its number.
    pub(super) fn release(&mut self, words: &[&str], at: Instant) -> usize {
        self.push(words);
        self.insert(Kind::Release, at)
    }

    /// Tells a node of a cluster that another one sent the next command here.
    pub(super) fn asking(&mut self) {
        self.push(&ASKING);
        self.order.push_back(Entry::Asking);
    }

    /// Adds any other command, and returns its number.
    pub(super) fn other(&mut self, words: &[&str], at: Instant) -> usize {
        self.push(words);
        self.insert(Kind::Other, at)
    }

    /// Begins to read the server's clock with each batch that takes a lock. `time` is in microseconds since
    /// 1970, and was asked for at `asked`.
    pub(super) fn set_clock(&mut self, time: u64, asked: Instant) {
        self.clock = Some(self.reading(time, asked, Instant::now()));
    }

    /// Whether the clock is known, but from a reading that is too old by `now`.
    pub(super) fn clock_is_old(&self, now: Instant) -> bool {
        self.clock.is_some_and(|reading| reading.is_old(now - self.origin))
    }

    /// Stops using the server's clock.
    pub(super) fn forget_clock(&mut self) {
        self.clock = None;
    }

    /// How many callers wait for an answer, or have one to take.
    pub(super) fn callers(&self) -> usize {
        self.calls.len() - self.left
    }

    /// How many replies are missing.
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether there are bytes to send that the driver has not taken.
    pub(super) fn has_bytes(&self) -> bool {
        !self.out.is_empty()
    }

    /// Whether there are bytes that are to be sent now. While the server waits for replicas they gather, so that it
    /// then waits once for all of them.
    pub(super) fn may_send(&self) -> bool {
        self.has_bytes() && !self.asked_for_replicas
    }

    /// Moves the bytes that are to be sent to `batch`, which is empty.
    pub(super) fn take_bytes(&mut self, batch: &mut Vec<u8>) {
        self.seal();
        mem::swap(&mut self.out, batch);
    }

    /// The bytes that are to be sent, complete with what confirms their grants.
    pub(super) fn bytes(&mut self) -> &[u8] {
        self.seal();
        &self.out
    }

    /// Forgets the first bytes of [`bytes`](Self::bytes).
    pub(super) fn drain(&mut self, length: usize) {
        self.out.drain(..length);
        self.sent += length as u64;
        // What is left of a batch must not wait for its answer.
        self.asked_for_replicas &= !self.has_bytes();
    }

    /// Notes that so many bytes of a taken batch were handed to the network.
    pub(super) fn handed_over(&mut self, length: usize) {
        self.sent += length as u64;
    }

    /// Takes the answer to a call, or leaves a waker for it.
    pub(super) fn poll(
        &mut self,
        number: usize,
        cx: &Context<'_>,
    ) -> Poll<Result<Answer, NoAnswer>> {
        match &mut self.calls[number].state {
            State::Waiting(waker) => {
                match waker {
                    Some(waker) => waker.clone_from(cx.waker()),
                    None => *waker = Some(cx.waker().clone()),
                }
                Poll::Pending
            }
            State::Answered(answer) => Poll::Ready(answer.clone()),
            State::Overdue(no_answer) => Poll::Ready(Err(no_answer.clone())),
            State::Left(_) => Poll::Pending,
        }
    }

    /// Ends a call: its caller has taken the answer, or has left. `lock` is what an acquire asked for whose
    /// caller does not use it: such a grant is given back, now or when it comes.
    pub(super) fn leave(&mut self, number: usize, lock: Option<Lock>) {
        let Some(call) = self.calls.get_mut(number) else { return };
        match &call.state {
            State::Waiting(_) | State::Overdue(_) => {
                call.state = State::Left(lock);
                self.left += 1;
            }
            State::Answered(answer) => {
                let expiry = answer.as_ref().ok().and_then(Answer::expiry);
                self.calls.remove(number);
                if let (Some(lock), Some(expiry)) = (lock, expiry) {
                    self.give_back(&lock, expiry);
                }
            }
            State::Left(_) => {}
        }
    }

    /// Adds the command that gives back one grant, unless another acquire under way cannot be told from it: the
    /// same owner took the same lock again, within the same millisecond.
    pub(super) fn give_back(&mut self, lock: &Lock, expiry: u64) {
        let hash = hash(&lock.key, &lock.owner);
        let same = |call: &Call| match call.kind {
            Kind::Acquire { limit: Limit::Until(term), lock, .. } => {
                term.expiry() == expiry && lock == hash
            }
            _ => false,
        };
        let under_way = self.calls.iter().any(|(_, call)| same(call));
        if under_way || self.closed.is_some() {
            return;
        }
        give_back(&lock.key, &lock.owner, expiry, |words| self.push(words));
        let number = self.insert(Kind::GiveBack, Instant::now());
        self.calls[number].state = State::Left(None);
        self.left += 1;
    }

    /// Reads the replies in `bytes`, and returns how many bytes they take. `wake` gets the wakers of the
    /// callers who have an answer.
    ///
    /// Fails on the first reply that no command can have, after which nothing may be believed.
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
            (Kind::Acquire { .. } | Kind::Release | Kind::Extend, Reply::Error(line))
                if has_no_answer(&line) =>
            {
                Err(self.unanswered(number, Cause::Proxy(line)))
            }
            (Kind::Acquire { limit: Limit::Until(_), .. }, Reply::Error(line))
                if expiry_is_unknown(&line) =>
            {
                Ok(Answer::UnknownExpiry(line))
            }
            (_, Reply::Error(line)) => Ok(Answer::Refused(line)),
            (Kind::Acquire { limit, ttl, lock, numbered, .. }, reply) => {
                match (Acquired::read(&reply, numbered)?, limit) {
                    (Acquired::Held, _) => Ok(Answer::Held),
                    (Acquired::Granted(number_of_grant), Limit::Until(_)) => {
                        // The reading of the clock that follows tells what it is worth.
                        if let Some(call) = self.calls.get_mut(number) {
                            let number = number_of_grant;
                            call.kind = Kind::Acquire { limit, ttl, lock, numbered, number };
                        }
                        self.unconfirmed.push(Unconfirmed { number, answer: None });
                        return Ok(());
                    }
                    (Acquired::Granted(number_of_grant), Limit::For(ttl)) => {
                        let ends = Instant::now() + ttl;
                        let granted =
                            Granted { expiry: None, left: ttl, ends, number: number_of_grant };
                        self.once_replicated(number, Answer::Granted(granted), wake);
                        return Ok(());
                    }
                }
            }
            (Kind::Extend, reply) => match Extended::read(&reply)? {
                extended @ Extended::Extended(_) => {
                    self.once_replicated(number, Answer::Extended(extended), wake);
                    return Ok(());
                }
                extended => Ok(Answer::Extended(extended)),
            },
            (Kind::Release, reply) => Ok(Answer::Released(Released::read(&reply)?)),
            (Kind::GiveBack | Kind::Other, reply) => Ok(Answer::Other(reply)),
        };
        self.finish(number, answer, wake);
        Ok(())
    }

    /// Answers a call, once replicas have it if they must.
    fn once_replicated(&mut self, number: usize, answer: Answer, wake: &mut Vec<Waker>) {
        match self.guard {
            None => self.finish(number, Ok(answer), wake),
            Some(_) => {
                let answer = Some(answer);
                self.unconfirmed.push(Unconfirmed { number, answer });
            }
        }
    }

    /// Takes how many replicas have what was written before.
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

    fn too_few_replicas(&self, number: usize, answer: Option<Answer>, cause: String) -> Answer {
        let limit = match self.calls.get(number).map(|call| call.kind) {
            Some(Kind::Acquire { limit, .. }) => Some(limit),
            _ => None,
        };
        match (limit, answer) {
            (Some(Limit::Until(term)), _) => {
                let now = Instant::now();
                let ends = now.checked_add(term.lasts(now - self.origin));
                Answer::TooFewReplicas { cause, expiry: Some(term.expiry()), ends }
            }
            (_, Some(Answer::Granted(granted))) => {
                Answer::TooFewReplicas { cause, expiry: None, ends: Some(granted.ends) }
            }
            _ => Answer::TooFewReplicas { cause, expiry: None, ends: None },
        }
    }

    /// Answers the grants that the server's clock was read after.
    fn confirm(
        &mut self,
        reply: &Reply,
        asked: Instant,
        now: Instant,
        wake: &mut Vec<Waker>,
    ) -> Result<(), Nonsense> {
        let after = match reply {
            Reply::Error(_) => {
                // The user lost the permission. Later locks do without the clock.
                self.clock = None;
                None
            }
            reply => Some(self.reading(clock::read(reply)?, asked, now)),
        };
        for Unconfirmed { number, .. } in mem::take(&mut self.unconfirmed) {
            let Some(Call {
                kind: Kind::Acquire { limit: Limit::Until(term), number: of_grant, .. },
                ..
            }) = self.calls.get(number)
            else {
                continue;
            };
            let (expiry, of_grant) = (term.expiry(), *of_grant);
            let answer = match after.map(|after| term.worth(&after, now - self.origin)) {
                Some(Worth::Held { left, lasts }) => {
                    let (expiry, ends) = (Some(expiry), now + lasts);
                    Ok(Answer::Granted(Granted { expiry, left, ends, number: of_grant }))
                }
                Some(Worth::RanOut) => Ok(Answer::RanOut),
                Some(Worth::ClockWasSet) => Ok(Answer::ClockWasSet(expiry)),
                None => Err(self.unanswered(number, Cause::ClockLost)),
            };
            self.finish(number, answer, wake);
        }
        // A clock that was given up meanwhile is not taken up again.
        if let (Some(clock), Some(after)) = (self.clock, after) {
            self.clock = Some(clock.or_newer(after));
        }
        Ok(())
    }

    fn finish(&mut self, number: usize, answer: Result<Answer, NoAnswer>, wake: &mut Vec<Waker>) {
        let Some(call) = self.calls.get_mut(number) else { return };
        match mem::replace(&mut call.state, State::Answered(answer)) {
            State::Waiting(waker) => wake.extend(waker),
            State::Overdue(_) => {}
            State::Left(lock) => {
                let state = self.calls.remove(number).state;
                self.left -= 1;
                if let (State::Answered(Ok(answer)), Some(lock)) = (state, lock)
                    && let Some(expiry) = answer.expiry()
                {
                    self.give_back(&lock, expiry);
                }
            }
            answered @ State::Answered(_) => call.state = answered,
        }
    }

    /// Tells callers whose replies are missing for `limit` that there is no answer. Returns when to look
    /// again; `None` if nothing is under way.
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

    /// Returns when the call expires, if it does later.
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
        if matches!(call.state, State::Waiting(_)) {
            let no_answer = self.unanswered(number, Cause::TimedOut(limit));
            if let Some(call) = self.calls.get_mut(number)
                && let State::Waiting(waker) =
                    mem::replace(&mut call.state, State::Overdue(no_answer))
            {
                wake.extend(waker);
            }
        }
        None
    }

    /// Whether a call is older than `limit` and not answered, with or without a caller.
    pub(super) fn is_stuck(&self, limit: Duration, now: Instant) -> bool {
        let ordered = self.order.iter().find_map(|entry| match entry {
            Entry::Call(number) => Some(number),
            Entry::Asking | Entry::Replicas | Entry::Clock(_) => None,
        });
        // What is not confirmed is older than what has no reply.
        let unconfirmed = self.unconfirmed.first().map(|unconfirmed| &unconfirmed.number);
        let call = unconfirmed.or(ordered).and_then(|number| self.calls.get(*number));
        call.is_some_and(|call| now.saturating_duration_since(call.at) >= limit)
    }

    /// Ends all that is under way. Nothing can be added from then on.
    pub(super) fn close(&mut self, cause: &Cause, wake: &mut Vec<Waker>) {
        self.closed.get_or_insert_with(|| cause.clone());
        self.order.clear();
        self.unconfirmed.clear();
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

    /// Until when replies to calls without a caller are waited for; `None` if there is no such call.
    pub(super) fn lingers_until(&self) -> Option<Instant> {
        if self.left == 0 {
            return None;
        }
        let until = |call: &Call| {
            let wait = match call.kind {
                Kind::Acquire { ttl, .. } => late(ttl),
                Kind::Release | Kind::GiveBack => LATE_REPLY,
                Kind::Extend | Kind::Other => Duration::ZERO,
            };
            call.at.checked_add(wait)
        };
        let left = self.calls.iter().filter(|(_, call)| matches!(call.state, State::Left(_)));
        left.filter_map(|(_, call)| until(call)).max()
    }

    /// What is known of a call that gets no answer.
    fn unanswered(&self, number: usize, cause: Cause) -> NoAnswer {
        let Some(call) = self.calls.get(number) else { return NoAnswer::Unsent(cause) };
        // The server runs only a complete command.
        if call.end > self.sent {
            return NoAnswer::Unsent(cause);
        }
        let now = Instant::now();
        let lasts = match call.kind {
            Kind::Acquire { limit: Limit::Until(term), .. } => Some(term.lasts(now - self.origin)),
            Kind::Acquire { limit: Limit::For(ttl), .. } => {
                Some(longest_hold(ttl, now.saturating_duration_since(call.at)))
            }
            Kind::Release | Kind::Extend | Kind::GiveBack | Kind::Other => None,
        };
        NoAnswer::Unknown { cause, lasts }
    }

    /// Chooses an expiry that differs from that of every grant that will be given back: a give-back could not tell
    /// the two apart.
    fn set_apart_from_grants_to_give_back(&self, key: &str, owner: &str, term: &mut Term) {
        if self.left == 0 {
            return;
        }
        let same = |call: &Call, expiry| match (&call.kind, &call.state) {
            (Kind::Acquire { limit: Limit::Until(term), .. }, State::Left(Some(lock))) => {
                term.expiry() == expiry && lock.key == key && lock.owner == owner
            }
            _ => false,
        };
        while self.calls.iter().any(|(_, call)| same(call, term.expiry())) {
            term.expire_later();
        }
    }

    fn push(&mut self, words: &[&str]) {
        let before = self.out.len();
        resp::push(&mut self.out, words);
        self.added += (self.out.len() - before) as u64;
    }

    fn insert(&mut self, kind: Kind, at: Instant) -> usize {
        let call = Call { kind, at, end: self.added, state: State::Waiting(None) };
        let number = self.calls.insert(call);
        self.order.push_back(Entry::Call(number));
        number
    }

    /// Asks for what confirms the commands that are to be sent: whether replicas have them, and then the clock.
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

fn hash(key: &str, owner: &str) -> u64 {
    FixedState::default().hash_one((key, owner))
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    /// The lock `k` for a minute.
    fn minute(owner: &str) -> Wanted<'_> {
        Wanted { key: "k", owner, ttl: MINUTE, number_key: None }
    }

    /// The server's clock, in seconds since 1970.
    const NOW: u64 = 1_700_000_000;

    fn time(seconds: u64) -> String {
        format!("*2\r\n$10\r\n{seconds}\r\n$1\r\n0\r\n")
    }

    /// A queue that knows the server's clock to five seconds.
    fn queue_with_clock() -> Queue {
        let asked = Instant::now() - Duration::from_secs(5);
        let mut queue = Queue { origin: asked, ..Queue::new(None) };
        queue.set_clock(NOW * 1_000_000, asked);
        queue
    }

    /// Acquires `k` for `me`, and sends what there is.
    fn acquire(queue: &mut Queue) -> (usize, String) {
        let number = queue.acquire(minute("me"), Instant::now());
        (number, send(queue))
    }

    fn send(queue: &mut Queue) -> String {
        let mut batch = Vec::new();
        queue.take_bytes(&mut batch);
        queue.handed_over(batch.len());
        String::from_utf8(batch).unwrap()
    }

    fn receive(queue: &mut Queue, replies: &str) -> Result<usize, Nonsense> {
        queue.receive(replies.as_bytes(), &mut Vec::new())
    }

    fn answer(queue: &mut Queue, number: usize) -> Option<Result<Answer, NoAnswer>> {
        match queue.poll(number, &Context::from_waker(Waker::noop())) {
            Poll::Ready(answer) => Some(answer),
            Poll::Pending => None,
        }
    }

    fn lock() -> Option<Lock> {
        Some(Lock { key: "k".to_owned(), owner: "me".to_owned() })
    }

    /// The same, with a replica that must have each lock.
    fn guarded_queue() -> Queue {
        Queue { guard: Guard::new(1, false, Some(Duration::from_secs(3))), ..queue_with_clock() }
    }

    const WAIT: &str = "*3\r\n$4\r\nWAIT\r\n$1\r\n1\r\n$4\r\n1000\r\n";

    #[test]
    fn a_batch_asks_once_whether_replicas_have_it() {
        let mut queue = guarded_queue();
        let one = queue.acquire(minute("one"), Instant::now());
        let extend = Extend { key: "e", owner: "me", ttl: 60_000, may_shorten: false };
        let extended = queue.extend(extend, Instant::now());
        let sent = send(&mut queue);
        assert_eq!(sent.matches(WAIT).count(), 1, "{sent}");
        assert!(sent.ends_with(&format!("{WAIT}*1\r\n$4\r\nTIME\r\n")), "{sent}");
        receive(&mut queue, "+OK\r\n:60000\r\n").unwrap();
        assert!(answer(&mut queue, one).is_none() && answer(&mut queue, extended).is_none());
        receive(&mut queue, ":1\r\n").unwrap();
        assert!(answer(&mut queue, one).is_none());
        assert!(matches!(answer(&mut queue, extended), Some(Ok(Answer::Extended(_)))));
        receive(&mut queue, &time(NOW + 1)).unwrap();
        assert!(matches!(answer(&mut queue, one), Some(Ok(Answer::Granted(_)))));
    }

    #[test]
    fn what_comes_while_the_server_waits_for_replicas_goes_out_together() {
        let mut queue = guarded_queue();
        acquire(&mut queue);
        for owner in ["one", "two"] {
            queue.acquire(minute(owner), Instant::now());
            assert!(queue.has_bytes() && !queue.may_send());
        }
        receive(&mut queue, &format!("+OK\r\n:1\r\n{}", time(NOW + 1))).unwrap();
        assert!(queue.may_send());
        assert_eq!(send(&mut queue).matches(WAIT).count(), 1);
        // A batch that the network takes in parts is no answer to wait for.
        receive(&mut queue, &format!("$-1\r\n$-1\r\n:1\r\n{}", time(NOW + 1))).unwrap();
        queue.acquire(minute("three"), Instant::now());
        let length = queue.bytes().len();
        queue.drain(length - 1);
        assert!(queue.may_send());
    }

    #[test]
    fn what_too_few_replicas_have_does_not_count() {
        let mut queue = guarded_queue();
        let (number, _) = acquire(&mut queue);
        let extend = Extend { key: "e", owner: "me", ttl: 60_000, may_shorten: false };
        receive(&mut queue, "+OK\r\n:0\r\n").unwrap();
        let Some(Ok(Answer::TooFewReplicas { cause, expiry, ends })) = answer(&mut queue, number)
        else {
            panic!()
        };
        assert_eq!(cause, "only 0 of 1 replicas have the lock (minReplicas)");
        assert!(expiry.is_some() && ends.is_some_and(|ends| ends > Instant::now()));
        // The clock that follows finds nothing to confirm.
        receive(&mut queue, &time(NOW + 1)).unwrap();

        let extended = queue.extend(extend, Instant::now());
        send(&mut queue);
        receive(&mut queue, ":60000\r\n:0\r\n").unwrap();
        let expected = (None, None);
        let Some(Ok(Answer::TooFewReplicas { expiry, ends, .. })) = answer(&mut queue, extended)
        else {
            panic!()
        };
        assert_eq!((expiry, ends), expected);
    }

    #[test]
    fn a_grant_of_a_caller_who_left_is_given_back_if_too_few_replicas_have_it() {
        let mut queue = guarded_queue();
        let (number, _) = acquire(&mut queue);
        queue.leave(number, lock());
        receive(&mut queue, "+OK\r\n:0\r\n").unwrap();
        assert!(send(&mut queue).contains("PEXPIRETIME"));
    }

    #[test]
    fn without_a_clock_replicas_alone_confirm() {
        let guard = Guard::new(1, false, None);
        let mut queue = Queue::new(guard);
        let (number, sent) = acquire(&mut queue);
        assert!(sent.contains("WAIT") && !sent.contains("TIME"), "{sent}");
        receive(&mut queue, "+OK\r\n").unwrap();
        assert!(answer(&mut queue, number).is_none());
        receive(&mut queue, ":1\r\n").unwrap();
        assert!(matches!(answer(&mut queue, number), Some(Ok(Answer::Granted(_)))));
        let (number, _) = acquire(&mut queue);
        receive(&mut queue, "+OK\r\n-NOPERM no\r\n").unwrap();
        let Some(Ok(Answer::TooFewReplicas { cause, ends, .. })) = answer(&mut queue, number)
        else {
            panic!()
        };
        assert_eq!((cause.as_str(), ends.is_some()), ("NOPERM no (minReplicas)", true));
    }

    #[test]
    fn a_grant_counts_once_the_clock_was_read_after_it() {
        let mut queue = queue_with_clock();
        let (number, sent) = acquire(&mut queue);
        assert!(sent.contains("\r\nPXAT\r\n$13\r\n17000000"), "{sent}");
        assert!(sent.ends_with("*1\r\n$4\r\nTIME\r\n"), "{sent}");
        receive(&mut queue, "+OK\r\n").unwrap();
        assert!(answer(&mut queue, number).is_none());
        receive(&mut queue, &time(NOW + 1)).unwrap();
        let Some(Ok(Answer::Granted(granted))) = answer(&mut queue, number) else { panic!() };
        assert_eq!(granted.left, MINUTE);
        assert!(granted.expiry.is_some_and(|expiry| expiry >= (NOW + 60) * 1_000));
    }

    #[test]
    fn one_reading_of_the_clock_serves_a_batch() {
        let mut queue = queue_with_clock();
        for _ in 0..3 {
            queue.acquire(minute("me"), Instant::now());
        }
        assert_eq!(send(&mut queue).matches("TIME").count(), 1);
        queue.release(&["EVAL"], Instant::now());
        assert_eq!(send(&mut queue).matches("TIME").count(), 0);
    }

    #[test]
    fn a_clock_that_was_set_forward_grants_no_phantom() {
        let mut queue = queue_with_clock();
        let (number, _) = acquire(&mut queue);
        receive(&mut queue, &format!("+OK\r\n{}", time(NOW + 3_600))).unwrap();
        let set = answer(&mut queue, number);
        assert!(matches!(set, Some(Ok(Answer::ClockWasSet(_)))), "{set:?}");
        // The next lock has the new clock.
        let (_, sent) = acquire(&mut queue);
        assert!(sent.contains("\r\nPXAT\r\n$13\r\n170000366"), "{sent}");
    }

    #[test]
    fn a_slow_reply_does_not_blur_the_clock() {
        let asked = Instant::now() - Duration::from_secs(2);
        let mut queue = Queue { origin: asked, ..Queue::new(None) };
        let close = queue.reading(NOW * 1_000_000, asked, asked);
        queue.clock = Some(close);
        acquire(&mut queue);
        let slow = Entry::Clock(asked + Duration::from_secs(1));
        *queue.order.back_mut().unwrap() = slow;
        receive(&mut queue, &format!("+OK\r\n{}", time(NOW + 2))).unwrap();
        assert_eq!(queue.clock, Some(close));
    }

    #[test]
    fn every_acquire_learns_that_its_expiry_is_unknown_and_the_clock_stays_given_up() {
        let mut queue = queue_with_clock();
        let first = queue.acquire(minute("me"), Instant::now());
        let (second, _) = acquire(&mut queue);
        receive(&mut queue, "-ERR syntax error\r\n").unwrap();
        queue.forget_clock();
        receive(&mut queue, &format!("-ERR syntax error\r\n{}", time(NOW + 1))).unwrap();
        for number in [first, second] {
            let answer = answer(&mut queue, number);
            assert!(matches!(answer, Some(Ok(Answer::UnknownExpiry(_)))), "{answer:?}");
        }
        assert!(queue.clock.is_none());
        // An acquire that asked for nothing unknown is refused.
        let (third, _) = acquire(&mut queue);
        receive(&mut queue, "-ERR syntax error\r\n").unwrap();
        let refused = answer(&mut queue, third);
        assert!(matches!(refused, Some(Ok(Answer::Refused(_)))), "{refused:?}");
    }

    #[test]
    fn a_grant_that_the_clock_is_missing_for_is_overdue_in_time() {
        let mut queue = queue_with_clock();
        let (number, _) = acquire(&mut queue);
        receive(&mut queue, "+OK\r\n").unwrap();
        let (limit, now) = (Duration::from_secs(3), Instant::now());
        let next = queue.expire(limit, now, &mut Vec::new());
        assert!(next.is_some_and(|next| next <= now + limit), "{next:?}");
        assert!(!queue.is_stuck(limit, now));
        let later = now + limit;
        assert_eq!(queue.expire(limit, later, &mut Vec::new()), None);
        let overdue = answer(&mut queue, number);
        assert!(matches!(overdue, Some(Err(NoAnswer::Unknown { .. }))), "{overdue:?}");
        assert!(queue.is_stuck(limit, later));
    }

    #[test]
    fn a_lock_without_the_clock_has_a_time_to_live() {
        let mut queue = Queue::new(None);
        let (number, sent) = acquire(&mut queue);
        assert!(sent.contains("\r\nPX\r\n$5\r\n60000\r\n") && !sent.contains("TIME"), "{sent}");
        receive(&mut queue, "+OK\r\n").unwrap();
        let Some(Ok(Answer::Granted(granted))) = answer(&mut queue, number) else { panic!() };
        assert_eq!((granted.expiry, granted.left), (None, MINUTE));
    }

    #[test]
    fn a_server_that_stops_telling_its_clock_leaves_the_grant_open() {
        let mut queue = queue_with_clock();
        let (number, _) = acquire(&mut queue);
        receive(&mut queue, "+OK\r\n-NOPERM no\r\n").unwrap();
        let unknown = answer(&mut queue, number);
        assert!(matches!(unknown, Some(Err(NoAnswer::Unknown { .. }))), "{unknown:?}");
        assert!(queue.clock.is_none());
    }

    #[test]
    fn a_proxy_that_got_no_reply_leaves_the_outcome_open() {
        let mut queue = Queue::new(None);
        let (acquire, _) = acquire(&mut queue);
        let release = queue.release(&["EVAL"], Instant::now());
        send(&mut queue);
        receive(&mut queue, "-upstream failure\r\n-ERR Connection timed out\r\n").unwrap();
        let taken = answer(&mut queue, acquire);
        assert!(
            matches!(taken, Some(Err(NoAnswer::Unknown { lasts: Some(lasts), .. })) if lasts > MINUTE),
            "{taken:?}"
        );
        let freed = answer(&mut queue, release);
        assert!(matches!(freed, Some(Err(NoAnswer::Unknown { lasts: None, .. }))), "{freed:?}");
    }

    #[test]
    fn a_reply_that_no_command_can_have_is_nonsense() {
        for reply in [":1\r\n", "+QUEUED\r\n", "$2\r\nOK\r\n", "x"] {
            let mut queue = queue_with_clock();
            let (number, _) = acquire(&mut queue);
            assert_eq!(receive(&mut queue, reply), Err(Nonsense), "{reply}");
            assert!(answer(&mut queue, number).is_none());
        }
        let mut queue = Queue::new(None);
        assert_eq!(receive(&mut queue, "+OK\r\n"), Err(Nonsense));
        let number = queue.release(&["EVAL"], Instant::now());
        assert_eq!(receive(&mut queue, ":0\r\n"), Err(Nonsense));
        assert!(answer(&mut queue, number).is_none());
    }

    #[test]
    fn a_command_that_was_not_sent_completely_was_not_done() {
        let mut queue = queue_with_clock();
        let whole = queue.release(&["EVAL", "1"], Instant::now());
        let length = queue.bytes().len();
        let part = queue.release(&["EVAL", "2"], Instant::now());
        queue.drain(length + 1);
        queue.close(&Cause::Lost, &mut Vec::new());
        let lost = answer(&mut queue, whole);
        assert!(matches!(lost, Some(Err(NoAnswer::Unknown { lasts: None, .. }))), "{lost:?}");
        let lost = answer(&mut queue, part);
        assert!(matches!(lost, Some(Err(NoAnswer::Unsent(_)))), "{lost:?}");
    }

    #[test]
    fn a_lost_acquire_lasts_until_its_expiry() {
        let mut queue = queue_with_clock();
        let (number, _) = acquire(&mut queue);
        queue.close(&Cause::Lost, &mut Vec::new());
        let Some(Err(NoAnswer::Unknown { lasts: Some(lasts), .. })) = answer(&mut queue, number)
        else {
            panic!();
        };
        assert!(lasts <= MINUTE + Duration::from_secs(6), "{lasts:?}");
    }

    #[test]
    fn a_grant_whose_caller_has_left_is_given_back() {
        let mut queue = queue_with_clock();
        let (number, _) = acquire(&mut queue);
        queue.leave(number, lock());
        receive(&mut queue, &format!("+OK\r\n{}", time(NOW + 1))).unwrap();
        let sent = send(&mut queue);
        assert!(
            sent.contains("PEXPIRETIME") && sent.contains("\r\nme\r\n$13\r\n17000000"),
            "{sent}"
        );
        receive(&mut queue, ":1\r\n").unwrap();
        assert_eq!((queue.len(), queue.left, queue.calls.len()), (0, 0, 0));
    }

    #[test]
    fn a_grant_that_its_caller_never_took_is_given_back() {
        let mut queue = queue_with_clock();
        let (number, _) = acquire(&mut queue);
        receive(&mut queue, &format!("+OK\r\n{}", time(NOW + 1))).unwrap();
        queue.leave(number, lock());
        assert!(send(&mut queue).contains("PEXPIRETIME"));
    }

    #[test]
    fn nothing_is_given_back_after_a_lock_that_was_held() {
        let mut queue = queue_with_clock();
        let (number, _) = acquire(&mut queue);
        queue.leave(number, lock());
        receive(&mut queue, &format!("$-1\r\n{}", time(NOW + 1))).unwrap();
        assert_eq!((send(&mut queue), queue.calls.len()), (String::new(), 0));
    }

    #[test]
    fn a_grant_to_give_back_differs_from_every_later_one() {
        let mut queue = queue_with_clock();
        let at = Instant::now();
        let number = queue.acquire(minute("me"), at);
        queue.leave(number, lock());
        let later = queue.acquire(minute("me"), at);
        let expiry = |number: usize| match queue.calls[number].kind {
            Kind::Acquire { limit: Limit::Until(term), .. } => term.expiry(),
            _ => panic!(),
        };
        assert_eq!(expiry(later), expiry(number) + 1);
    }

    #[test]
    fn a_grant_that_cannot_be_told_from_another_is_kept() {
        let mut queue = queue_with_clock();
        let at = Instant::now();
        let first = queue.acquire(minute("me"), at);
        queue.acquire(minute("me"), at);
        queue.leave(first, lock());
        send(&mut queue);
        receive(&mut queue, &format!("+OK\r\n$-1\r\n{}", time(NOW + 1))).unwrap();
        assert_eq!(send(&mut queue), "");
    }

    #[test]
    fn a_grant_is_given_back_though_another_lock_expires_at_the_same_time() {
        let mut queue = queue_with_clock();
        let at = Instant::now();
        let first = queue.acquire(minute("me"), at);
        queue.acquire(minute("other"), at);
        queue.leave(first, lock());
        send(&mut queue);
        receive(&mut queue, &format!("+OK\r\n$-1\r\n{}", time(NOW + 1))).unwrap();
        assert!(send(&mut queue).contains("PEXPIRETIME"));
    }

    #[test]
    fn an_overdue_call_has_no_answer_but_may_get_one() {
        let mut queue = queue_with_clock();
        let (number, _) = acquire(&mut queue);
        let limit = Duration::from_secs(1);
        let now = Instant::now();
        assert!(!queue.is_stuck(limit, now));
        assert!(queue.expire(limit, now, &mut Vec::new()).is_some());
        assert!(answer(&mut queue, number).is_none());

        let later = now + limit;
        assert!(queue.is_stuck(limit, later));
        assert_eq!(queue.expire(limit, later, &mut Vec::new()), None);
        let overdue = answer(&mut queue, number);
        assert!(matches!(overdue, Some(Err(NoAnswer::Unknown { .. }))), "{overdue:?}");
        queue.leave(number, lock());
        assert!(queue.lingers_until().is_some());
        receive(&mut queue, &format!("+OK\r\n{}", time(NOW + 1))).unwrap();
        assert!(send(&mut queue).contains("PEXPIRETIME"));
    }
}
