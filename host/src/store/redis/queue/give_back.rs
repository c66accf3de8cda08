//! Gives back grants that no caller uses, again if the server refused for the moment.

use std::time::{Duration, Instant};

use holdfast_redis_rules::{release, term::Term};
use holdfast_timing::late::LATE_REPLY;

use super::{
    CallKind, CallState, Lifetime, Postponed, Queue, QueuedCall, UnusedGrant, hash, took_nothing,
};

/// The pause before a grant is given back again that the server refused to take back for the moment.
const GIVE_BACK_PAUSE: Duration = Duration::from_millis(250);

impl Queue {
    /// Adds the command that gives back one grant. If the same owner takes the same lock again within the same
    /// millisecond, this grant cannot be told from that of the other acquire under way. The command then waits for the
    /// answer to that acquire: either the grant is its own, or the earlier one is still there.
    pub(in crate::store::redis) fn give_back(&mut self, lock: &UnusedGrant, expiry: u64) {
        self.give_back_until(lock, expiry, Instant::now() + LATE_REPLY);
    }

    pub(super) fn give_back_until(&mut self, lock: &UnusedGrant, expiry: u64, until: Instant) {
        let hash = hash(&lock.key, &lock.owner);
        let same = |call: &QueuedCall| match call.kind {
            CallKind::Acquire { lifetime: Lifetime::Until(term), lock, .. } => {
                let ended =
                    matches!(&call.state, CallState::Answered(answer) if took_nothing(answer));
                term.expiry() == expiry && lock == hash && !ended
            }
            _ => false,
        };
        if self.closed.is_some() {
            return;
        }
        if let Some((_, call)) = self.calls.iter_mut().find(|(_, call)| same(call)) {
            call.twin = Some(lock.clone());
            return;
        }
        if lock.asking {
            self.asking();
        }
        release::give_back(&lock.key, &lock.owner, expiry, |words| self.push(words));
        let number = self.insert(CallKind::GiveBack { expiry, until }, Instant::now());
        self.calls[number].state = CallState::Left(Some(lock.clone()));
        self.left += 1;
    }

    /// Gives a grant back again later, because the server refused for the moment.
    pub(super) fn postpone(&mut self, number: usize, expiry: u64, until: Instant) {
        let Some(CallState::Left(lock)) = self.calls.get_mut(number).map(|call| &mut call.state)
        else {
            return;
        };
        let next = Instant::now() + GIVE_BACK_PAUSE;
        if let Some(lock) = lock.take()
            && next < until
        {
            self.postponed.push(Postponed { lock, expiry, next, until });
        }
    }

    /// Whether there are grants to give back again.
    pub(in crate::store::redis) fn postpones(&self) -> bool {
        !self.postponed.is_empty()
    }

    /// When to call [`give_back_again`](Self::give_back_again) next.
    pub(in crate::store::redis) fn next_give_back(&self) -> Option<Instant> {
        self.postponed.iter().map(|postponed| postponed.next).min()
    }

    /// Adds the commands for grants whose pause is over. Returns whether there were any.
    pub(in crate::store::redis) fn give_back_again(&mut self, now: Instant) -> bool {
        let due: Vec<_> =
            self.postponed.extract_if(.., |postponed| postponed.next <= now).collect();
        for Postponed { lock, expiry, until, .. } in &due {
            self.give_back_until(lock, *expiry, *until);
        }
        !due.is_empty()
    }

    /// Chooses an expiry that differs from that of every grant to give back: the command that gives back could not tell
    /// two equal ones apart.
    pub(super) fn set_apart_from_grants_to_give_back(
        &self,
        key: &str,
        owner: &str,
        term: &mut Term,
    ) {
        if self.left == 0 && !self.postpones() {
            return;
        }
        let same = |call: &QueuedCall, expiry| match (&call.kind, &call.state) {
            (
                CallKind::Acquire { lifetime: Lifetime::Until(term), .. },
                CallState::Left(Some(lock)),
            ) => term.expiry() == expiry && lock.key == key && lock.owner == owner,
            _ => false,
        };
        let is_postponed = |expiry| {
            let same = |Postponed { lock, expiry: postponed, .. }: &Postponed| {
                *postponed == expiry && lock.key == key && lock.owner == owner
            };
            self.postponed.iter().any(same)
        };
        while is_postponed(term.expiry())
            || self.calls.iter().any(|(_, call)| same(call, term.expiry()))
        {
            term.expire_later();
        }
    }
}
