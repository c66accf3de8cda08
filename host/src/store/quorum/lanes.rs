//! Turns at one node: the calls about one hold, which is a key and its owner, reach the node one after another.
//!
//! A node tells owners apart by their names alone. If a release of an earlier try ran after a later acquire of the same
//! owner, it would end a grant that counts. So an acquire waits until the calls before it have ended. After a release
//! with an unknown outcome, no acquire of this owner is made for a while.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync;

/// The key and the owner of a hold.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct LockId {
    pub(super) key: String,
    pub(super) owner: String,
}

/// The lanes of one node, one for each hold that has calls.
#[derive(Debug, Default)]
pub(super) struct Lanes(Mutex<HashMap<LockId, (Arc<Lane>, usize)>>);

#[derive(Debug, Default)]
struct Lane {
    turn: sync::Mutex<()>,
    /// Whether a release may still run although no caller waits for it any more.
    unclear: AtomicBool,
}

/// A place in a lane. The lane lasts as long as a caller has a place in it.
#[derive(Debug)]
pub(super) struct PlaceInLane<'a> {
    lanes: &'a Lanes,
    hold: &'a LockId,
    lane: Arc<Lane>,
}

impl Lanes {
    pub(super) fn join<'a>(&'a self, hold: &'a LockId) -> PlaceInLane<'a> {
        let mut lanes = self.lock();
        let (lane, places) = match lanes.get_mut(hold) {
            Some(entry) => entry,
            None => lanes.entry(hold.clone()).or_default(),
        };
        *places += 1;
        let lane = lane.clone();
        drop(lanes);
        PlaceInLane { lanes: self, hold, lane }
    }

    /// The holds of a key that have calls, always in the same order: two callers that wait for the turns of all of them
    /// cannot block each other.
    pub(super) fn holds(&self, key: &str) -> Vec<LockId> {
        let lanes = self.lock();
        let mut holds: Vec<LockId> = lanes.keys().filter(|hold| hold.key == key).cloned().collect();
        holds.sort_unstable_by(|one, other| one.owner.cmp(&other.owner));
        holds
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<LockId, (Arc<Lane>, usize)>> {
        // No code between a change to the map and the change of a number can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PlaceInLane<'_> {
    /// Waits until the earlier calls have ended. The turn ends when the guard is dropped.
    pub(super) async fn turn(&self) -> sync::MutexGuard<'_, ()> {
        self.lane.turn.lock().await
    }

    /// Notes that a release may still run.
    pub(super) fn set_unclear(&self) {
        self.lane.unclear.store(true, Ordering::Release);
    }

    /// Whether a release may still run. A caller that [noted this](Self::set_unclear) keeps its place as long as the
    /// release may run.
    pub(super) fn is_unclear(&self) -> bool {
        self.lane.unclear.load(Ordering::Acquire)
    }
}

impl Drop for PlaceInLane<'_> {
    fn drop(&mut self) {
        let mut lanes = self.lanes.lock();
        if let Some((_, places)) = lanes.get_mut(self.hold) {
            *places -= 1;
            if *places == 0 {
                lanes.remove(self.hold);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn hold(owner: &str) -> LockId {
        LockId { key: "k".to_owned(), owner: owner.to_owned() }
    }

    #[test]
    fn calls_about_one_hold_take_turns() {
        let lanes = Lanes::default();
        let (me, you) = (hold("me"), hold("you"));
        let first = lanes.join(&me);
        let turn = first.turn().now_or_never().unwrap();
        let second = lanes.join(&me);
        assert!(second.turn().now_or_never().is_none());
        assert!(lanes.join(&you).turn().now_or_never().is_some());
        drop(turn);
        assert!(second.turn().now_or_never().is_some());
    }

    #[test]
    fn the_holds_of_a_key_have_one_order() {
        let lanes = Lanes::default();
        let other = LockId { key: "other".to_owned(), owner: "me".to_owned() };
        let (b, c, a) = (hold("b"), hold("c"), hold("a"));
        let _places = [&other, &b, &c, &a].map(|hold| lanes.join(hold));
        assert_eq!(lanes.holds("k"), [a.clone(), b.clone(), c.clone()]);
    }

    #[test]
    fn a_lane_is_forgotten_with_its_last_place() {
        let lanes = Lanes::default();
        let me = hold("me");
        let first = lanes.join(&me);
        first.set_unclear();
        let second = lanes.join(&me);
        drop(first);
        assert!(second.is_unclear());
        drop(second);
        assert!(lanes.lock().is_empty());
        assert!(!lanes.join(&me).is_unclear());
    }
}
