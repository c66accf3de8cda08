//! Handles the events of requests under one configuration.

use alloc::{
    collections::BTreeMap,
    format,
    string::{String, ToString},
    sync::Arc,
};

use core::str;

use holdfast_dapr_api::{
    FENCING_TOKEN_HEADER,
    lease::{self, Acquire, Acquired},
};
use holdfast_edge_lock::{EdgeLock, Headers, InDoubt, OnClientGone, details::gave_up};

use crate::{
    deadlines::{Deadlines, Event},
    host::{CallOut, ContextId, Flow, Host, Level, Token},
    line::{Front, Key, Line},
    owners::Owners,
    release::{Release, may_pass},
    settings::Settings,
};

/// How many failed releases are retried at a time. The locks of any further ones expire.
const MAX_RETRIED_RELEASES: usize = 4_096;

/// The requests of one configuration that want or hold locks, and the calls about these locks.
///
/// A call belongs to the configuration and not to a request, because its answer is needed even if the request is gone.
#[derive(Debug)]
pub struct Filter {
    id: ContextId,
    settings: Arc<Settings>,
    owners: Owners,
    requests: BTreeMap<ContextId, LockedRequest>,
    lines: BTreeMap<Arc<Key>, Line>,
    calls: BTreeMap<Token, Call>,
    deadlines: Deadlines,
    /// The place of the next request or release that waits.
    place: u64,
    /// How many releases wait for their next try.
    late: usize,
    ending: bool,
}

/// A request that wants or holds a lock.
#[derive(Debug)]
struct LockedRequest {
    lock: Arc<EdgeLock>,
    key: Arc<Key>,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// The request waits in its line.
    Waiting { place: u64, until: u64 },
    /// The request asks for the lock by this call.
    Asking(Token),
    /// The request goes on. This owner holds its lock until this time at most.
    Holding { owner: String, until: u64 },
}

/// A call that is not answered yet.
#[derive(Debug)]
enum Call {
    Acquire {
        key: Arc<Key>,
        owner: String,
        lock: Arc<EdgeLock>,
        /// The request that asks, unless it is gone.
        request: Option<ContextId>,
    },
    Release(Release),
}

/// Why a request gets no lock.
#[derive(Clone, Copy)]
enum Verdict {
    /// Another owner holds the lock.
    Held,
    /// The queue is full.
    Crowded,
    /// The holder of the lock is unknown.
    InDoubt,
}

impl Filter {
    /// A filter with the configuration of this context.
    pub fn new(id: ContextId, settings: Settings, owners: Owners) -> Self {
        Self {
            id,
            settings: Arc::new(settings),
            owners,
            requests: BTreeMap::new(),
            lines: BTreeMap::new(),
            calls: BTreeMap::new(),
            deadlines: Deadlines::default(),
            place: 0,
            late: 0,
            ending: false,
        }
    }

    /// Sets another configuration, for requests that come from now on.
    pub fn configure(&mut self, settings: Settings) {
        self.settings = Arc::new(settings);
    }

    /// Handles a new request.
    pub fn arrive(
        &mut self,
        host: &mut impl Host,
        request: ContextId,
        headers: &impl Headers,
    ) -> Flow {
        let locks = &self.settings.locks;
        let Some(lock) = locks.iter().find(|lock| lock.matches.includes(headers)) else {
            return Flow::Continue;
        };
        let lock = Arc::clone(lock);
        let Some(resource) = lock.resource.of(headers) else {
            host.refuse(request, &lock.refused, "holdfast_no_resource");
            return Flow::Pause;
        };
        let key = Key { store: lock.store.clone(), resource };
        let now = host.now();
        let turned_away = match self.lines.get_key_value(&key) {
            None => {
                let key = Arc::new(key);
                self.lines.insert(Arc::clone(&key), Line::new());
                let sent = self.ask(host, request, &lock, &key, lock.wait);
                self.advance(host, &key, now);
                (!sent).then_some(Verdict::InDoubt)
            }
            Some((_, line)) if lock.wait == 0 && !line.is_known_soon() => Some(without_turn(line)),
            Some((_, line)) if line.crowd() >= lock.max_waiting => Some(Verdict::Crowded),
            Some((key, _)) => {
                let key = Arc::clone(key);
                self.wait(request, &lock, key, now);
                None
            }
        };
        self.rearm(host, now);
        match turned_away {
            None => Flow::Pause,
            Some(verdict) if goes_on(&lock, verdict) => Flow::Continue,
            Some(verdict) => {
                refuse(host, request, &lock, verdict);
                Flow::Pause
            }
        }
    }

    /// Whether a request is paused.
    pub fn is_paused(&self, request: ContextId) -> bool {
        let stage = self.requests.get(&request).map(|locked| &locked.stage);
        matches!(stage, Some(Stage::Waiting { .. } | Stage::Asking(_)))
    }

    /// Handles a part of a response: the `last` one, or an earlier one.
    ///
    /// If the request is paused, the proxy itself made the response, for example because the request took too long. The
    /// proxy also made it if it gave up waiting: the upstream may still work then, as after a client has left.
    pub fn respond(&mut self, host: &mut impl Host, request: ContextId, last: bool) {
        let gave_up = |details: &[u8]| str::from_utf8(details).is_ok_and(gave_up);
        if self.is_paused(request) || last && gave_up(&host.response_details(request)) {
            self.leave(host, request);
        } else if last
            && let Some(LockedRequest { key, stage: Stage::Holding { owner, until }, .. }) =
                self.requests.remove(&request)
        {
            let now = host.now();
            self.release(host, Release::new(Arc::clone(&key), owner, until), now);
            self.advance(host, &key, now);
            self.rearm(host, now);
        }
    }

    /// Handles a request that is gone. If the request still holds its lock, its response was incomplete.
    pub fn leave(&mut self, host: &mut impl Host, request: ContextId) {
        let Some(LockedRequest { lock, key, stage }) = self.requests.remove(&request) else {
            return;
        };
        let now = host.now();
        match stage {
            Stage::Waiting { place, until } => {
                self.deadlines.remove(until, place);
                if let Some(line) = self.lines.get_mut(&key) {
                    line.leave(place);
                }
            }
            Stage::Asking(token) => {
                if let Some(Call::Acquire { request, .. }) = self.calls.get_mut(&token) {
                    *request = None;
                }
            }
            Stage::Holding { owner, until } => {
                match lock.on_client_gone {
                    OnClientGone::Free => {
                        self.release(host, Release::new(Arc::clone(&key), owner, until), now);
                    }
                    OnClientGone::Keep => self.at_front(&key, Front::Nobody),
                }
                self.advance(host, &key, now);
            }
        }
        self.rearm(host, now);
    }

    /// Handles the answer to a call, or the news that the call will not be answered: `status` is `None` then.
    pub fn answer(&mut self, host: &mut impl Host, token: Token, status: Option<u16>, body: &[u8]) {
        let Some(call) = self.calls.remove(&token) else { return };
        let now = host.now();
        match call {
            Call::Release(release) => self.released(host, release, status, body, now),
            Call::Acquire { key, owner, lock, request } => {
                let verdict = Acquire::verdict(lock.fenced, status.unwrap_or_default(), body);
                let until = now.saturating_add(lock.ttl);
                if let Some(line) = self.lines.get_mut(&key) {
                    line.front = Front::Nobody;
                    line.in_doubt = verdict.is_none();
                }
                if !matches!(verdict, Some(Acquired::Granted { .. })) {
                    // The requests that have waited long enough would get the same answer.
                    self.turn_away(host, &key, now);
                }
                let locked =
                    request.and_then(|request| Some((request, self.requests.remove(&request)?)));
                match (verdict, locked) {
                    (Some(Acquired::Granted { fencing_token }), Some((request, locked))) => {
                        let stage = Stage::Holding { owner, until };
                        self.requests.insert(request, LockedRequest { stage, ..locked });
                        self.at_front(&key, Front::Holding);
                        if let Some(token) = fencing_token {
                            host.set_header(request, FENCING_TOKEN_HEADER, &token);
                        }
                        host.go_on(request);
                    }
                    (Some(Acquired::NotFree), locked) => {
                        if let Some((request, _)) = locked {
                            settle(host, request, &lock, Verdict::Held);
                        }
                    }
                    (Some(Acquired::Granted { .. }), None) => {
                        self.release(host, Release::new(Arc::clone(&key), owner, until), now);
                    }
                    (None, locked) => {
                        if let Some((request, _)) = locked {
                            log_doubt(host, &lock, &key, &reason(status, body));
                            settle(host, request, &lock, Verdict::InDoubt);
                        }
                        self.release(host, Release::new(Arc::clone(&key), owner, until), now);
                    }
                }
                self.advance(host, &key, now);
            }
        }
        self.rearm(host, now);
        self.end_if_idle(host);
    }

    /// Handles the answer to a release, or the news that the release will not be answered: `status` is `None` then.
    fn released(
        &mut self,
        host: &mut impl Host,
        release: Release,
        status: Option<u16>,
        body: &[u8],
        now: u64,
    ) {
        let (key, is_first) = (Arc::clone(&release.key), release.is_first());
        if status != Some(200) {
            let reason = reason(status, body);
            self.release_again(host, release, may_pass(status), &reason, now);
        }
        if is_first {
            self.at_front(&key, Front::Nobody);
            self.advance(host, &key, now);
        }
    }

    /// Handles a tick.
    pub fn tick(&mut self, host: &mut impl Host) {
        let now = host.now();
        self.deadlines.ticked();
        while let Some(event) = self.deadlines.due(now) {
            match event {
                Event::Waited(request) => self.overdue(host, request, now),
                Event::Release(release) => {
                    self.late -= 1;
                    self.release(host, release, now);
                }
            }
        }
        self.rearm(host, now);
        self.end_if_idle(host);
    }

    /// Handles a request that has waited for as long as it may.
    fn overdue(&mut self, host: &mut impl Host, request: ContextId, now: u64) {
        let Some(LockedRequest { key, .. }) = self.requests.get(&request) else { return };
        let key = Arc::clone(key);
        if let Some(line) = self.lines.get_mut(&key) {
            line.overdue = true;
        }
        self.turn_away(host, &key, now);
    }

    /// Whether the configuration may end now. Otherwise [`Host::done`] says when it may.
    pub fn end(&mut self) -> bool {
        self.ending = !self.is_idle();
        !self.ending
    }

    /// Whether nothing is left to do for locks.
    fn is_idle(&self) -> bool {
        self.calls.is_empty() && self.late == 0
    }

    fn end_if_idle(&mut self, host: &mut impl Host) {
        if self.ending && self.is_idle() {
            self.ending = false;
            host.done(self.id);
        }
    }

    /// Puts a request into the line of its lock.
    fn wait(&mut self, request: ContextId, lock: &Arc<EdgeLock>, key: Arc<Key>, now: u64) {
        let (place, until) = (self.place, now.saturating_add(lock.wait));
        self.place += 1;
        if let Some(line) = self.lines.get_mut(&key) {
            line.join(place, request);
            line.overdue |= lock.wait == 0;
        }
        if lock.wait > 0 {
            self.deadlines.add(until, place, Event::Waited(request));
        }
        let stage = Stage::Waiting { place, until };
        self.requests.insert(request, LockedRequest { lock: Arc::clone(lock), key, stage });
    }

    /// Asks for a lock. If the proxy does not send the call, the holder of the lock is unknown, and the request is not
    /// kept.
    fn ask(
        &mut self,
        host: &mut impl Host,
        request: ContextId,
        lock: &Arc<EdgeLock>,
        key: &Arc<Key>,
        wait: u64,
    ) -> bool {
        let owner = self.owners.make();
        let acquire = Acquire {
            resource_id: &key.resource,
            lock_owner: &owner,
            ttl: lock.ttl,
            wait,
            fenced: lock.fenced,
        };
        let Some(token) = self.call(host, &acquire.request(&key.store), wait) else {
            if let Some(line) = self.lines.get_mut(key) {
                line.in_doubt = true;
            }
            log_doubt(host, lock, key, &self.not_called());
            return false;
        };
        self.at_front(key, Front::Asking { waits: wait > 0 });
        let (key, lock) = (Arc::clone(key), Arc::clone(lock));
        let stage = Stage::Asking(token);
        let locked = LockedRequest { lock: Arc::clone(&lock), key: Arc::clone(&key), stage };
        self.requests.insert(request, locked);
        self.calls.insert(token, Call::Acquire { key, owner, lock, request: Some(request) });
        true
    }

    /// Releases a lock. The next request asks for it after the answer to the first try: an earlier call would be
    /// refused.
    fn release(&mut self, host: &mut impl Host, release: Release, now: u64) {
        let (key, is_first) = (Arc::clone(&release.key), release.is_first());
        let request = lease::release(&key.store, &key.resource, &release.owner);
        let front = match self.call(host, &request, 0) {
            Some(token) => {
                self.calls.insert(token, Call::Release(release));
                Front::Releasing
            }
            None => {
                self.release_again(host, release, true, &self.not_called(), now);
                Front::Nobody
            }
        };
        if is_first {
            self.at_front(&key, front);
        }
    }

    /// Schedules another try of a release that failed for this reason, if the failure `may_pass` and the lock lasts.
    fn release_again(
        &mut self,
        host: &mut impl Host,
        mut release: Release,
        may_pass: bool,
        reason: &str,
        now: u64,
    ) {
        let (lock, is_first) = (shown(&release.key), release.is_first());
        let next = release.again(now).filter(|_| may_pass && self.late < MAX_RETRIED_RELEASES);
        let Some(next) = next else {
            let line = format!("holdfast: {lock} may stay locked until it expires: {reason}");
            host.log(Level::Warn, &line);
            return;
        };
        if is_first {
            let line = format!("holdfast: {lock} is not released yet, retrying: {reason}");
            host.log(Level::Warn, &line);
        }
        self.deadlines.add(next, self.place, Event::Release(release));
        self.place += 1;
        self.late += 1;
    }

    /// Why the proxy does not send a call.
    fn not_called(&self) -> String {
        format!("the proxy does not call its cluster {}", self.settings.cluster)
    }

    fn call(&self, host: &mut impl Host, request: &lease::Request, wait: u64) -> Option<Token> {
        let Settings { cluster, authority, token, timeout, .. } = &*self.settings;
        let call = CallOut {
            cluster,
            authority,
            path: &request.path,
            token: token.as_deref(),
            body: &request.body,
            timeout: u32::try_from(wait.saturating_add(*timeout)).unwrap_or(u32::MAX),
        };
        host.call(self.id, &call)
    }

    fn at_front(&mut self, key: &Key, front: Front) {
        if let Some(line) = self.lines.get_mut(key) {
            line.front = front;
        }
    }

    /// Lets the next request ask unless a request has its turn, and forgets the line if it is empty.
    fn advance(&mut self, host: &mut impl Host, key: &Arc<Key>, now: u64) {
        while let Some(line) = self.lines.get_mut(key)
            && line.front == Front::Nobody
        {
            let Some(request) = line.pop() else {
                self.lines.remove(key);
                return;
            };
            let Some(LockedRequest { lock, stage: Stage::Waiting { place, until }, .. }) =
                self.requests.remove(&request)
            else {
                continue;
            };
            self.deadlines.remove(until, place);
            if !self.ask(host, request, &lock, key, until.saturating_sub(now)) {
                settle(host, request, &lock, Verdict::InDoubt);
            }
        }
        self.turn_away(host, key, now);
    }

    /// Turns away the requests in a line whose time is over, unless more is known soon.
    fn turn_away(&mut self, host: &mut impl Host, key: &Key, now: u64) {
        let Some(line) = self.lines.get_mut(key) else { return };
        if !line.overdue || line.is_known_soon() {
            return;
        }
        line.overdue = false;
        let verdict = without_turn(line);
        let is_over = |request: &ContextId| {
            let stage = self.requests.get(request).map(|locked| &locked.stage);
            matches!(stage, Some(Stage::Waiting { until, .. }) if *until <= now)
        };
        let over: alloc::vec::Vec<_> = line.waiting().filter(is_over).collect();
        for request in over {
            let Some(LockedRequest { lock, stage: Stage::Waiting { place, until }, .. }) =
                self.requests.remove(&request)
            else {
                continue;
            };
            self.deadlines.remove(until, place);
            if let Some(line) = self.lines.get_mut(key) {
                line.leave(place);
            }
            settle(host, request, &lock, verdict);
        }
    }

    fn rearm(&mut self, host: &mut impl Host, now: u64) {
        if let Some(period) = self.deadlines.period(now) {
            host.tick(self.id, period);
        }
    }
}

/// The verdict for a request that never had its turn: the verdict of the latest try.
fn without_turn(line: &Line) -> Verdict {
    if line.in_doubt { Verdict::InDoubt } else { Verdict::Held }
}

fn goes_on(lock: &EdgeLock, verdict: Verdict) -> bool {
    matches!((verdict, lock.in_doubt), (Verdict::InDoubt, InDoubt::Open))
}

/// Ends the pause of a request that gets no lock.
fn settle(host: &mut impl Host, request: ContextId, lock: &EdgeLock, verdict: Verdict) {
    if goes_on(lock, verdict) {
        host.go_on(request);
    } else {
        refuse(host, request, lock, verdict);
    }
}

fn refuse(host: &mut impl Host, request: ContextId, lock: &EdgeLock, verdict: Verdict) {
    let details = match verdict {
        Verdict::Held => "holdfast_lock_held",
        Verdict::Crowded => "holdfast_lock_crowded",
        Verdict::InDoubt => "holdfast_lock_in_doubt",
    };
    host.refuse(request, &lock.refused, details);
}

fn log_doubt(host: &mut impl Host, lock: &EdgeLock, key: &Key, reason: &str) {
    let outcome = match lock.in_doubt {
        InDoubt::Closed => "is refused",
        InDoubt::Open => "goes on without a lock",
    };
    let line = format!(
        "holdfast: lock {}: nobody knows who has {}: {reason}; the request {outcome}",
        lock.name,
        shown(key)
    );
    host.log(Level::Warn, &line);
}

/// A lock as the log shows it, cut to a useful length.
fn shown(key: &Key) -> String {
    format!("{:.256} in {}", key.resource, key.store)
}

/// Why an answer is not a verdict.
fn reason(status: Option<u16>, body: &[u8]) -> String {
    let Some(status) = status else { return "Holdfast did not answer".to_string() };
    let printable = |byte: &u8| if (b' '..=b'~').contains(byte) { char::from(*byte) } else { '?' };
    let text: String = body.iter().take(256).map(printable).collect();
    format!("the answer is {status} {text}")
}
