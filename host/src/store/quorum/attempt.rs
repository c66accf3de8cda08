//! One attempt to take a lock: asks all nodes at once, and keeps their grants or gives them back.
//!
//! Each node has a task. It asks the node, reports the answer, and waits for the decision about the attempt. Unless the
//! attempt keeps its grants, the task gives the node's grant back. It also does so if the caller that decides has left.
//! So nothing is left behind, however late an answer comes and whenever the caller leaves.

use std::{sync::Arc, time::Duration};

use holdfast_timing::{late::LATE_REPLY, whole_milliseconds};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, timeout, timeout_at},
};

use super::{
    ballot::{Ballot, NodeGrant, Vote},
    lanes::LockId,
    node_release::{self, ReleaseOutcome},
    nodes::{Nodes, Peer, after},
    validity::{drift, less_drift},
};
use crate::{
    store::{Acquired, Failure},
    types::UnknownOutcome,
};

/// The cause for a node at which an earlier call of the same owner has not ended.
const BUSY: &str = "an earlier call of this owner has not ended";

/// The cause for a node that may still end the lock of this owner.
const UNCLEAR: &str = "an earlier release of this owner was not answered, and may come late";

/// A lock that a caller asks for.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) hold: LockId,
    pub(super) ttl: Duration,
    pub(super) fenced: bool,
}

/// The fencing token of an attempt, and the nodes that granted the lock and have noted it: a majority.
#[derive(Debug)]
pub(super) struct Numbered {
    pub(super) token: u64,
    pub(super) nodes: Vec<usize>,
}

/// What the caller decided about the grants of an attempt.
#[derive(Clone, Debug)]
enum Decision {
    /// Nothing yet.
    Open,
    /// The grants are kept, including those that come late. Each node notes the token, if there is one.
    Kept(Option<Arc<Numbered>>),
    /// The grants are given back.
    GivenBack,
}

/// What the task of a node reports.
enum Report {
    Vote(usize, Vote),
    /// The node's lock was released. The flag is whether the lock is surely no longer ours.
    Freed(usize, bool),
}

/// An attempt.
pub(super) struct Attempt<'a> {
    pub(super) nodes: &'a Nodes,
    pub(super) wanted: Arc<Wanted>,
    pub(super) ballot: Ballot,
    pub(super) begun: Instant,
    /// How long to wait for each node.
    pub(super) patience: Duration,
    /// Whether the lock is surely no longer ours, for each node that was asked to release it.
    freed: Vec<Option<bool>>,
    reports: mpsc::UnboundedReceiver<Report>,
    decision: watch::Sender<Decision>,
}

/// The nodes that may still hold the lock for us after all grants were given back, with their votes.
pub(super) struct UnreturnedGrants(Vec<Vote>);

impl<'a> Attempt<'a> {
    /// Asks all nodes.
    pub(super) fn begin(nodes: &'a Nodes, wanted: Arc<Wanted>) -> Self {
        let patience = nodes.settings.patience(wanted.ttl);
        let begun = Instant::now();
        let (decision, _) = watch::channel(Decision::Open);
        let (sender, reports) = mpsc::unbounded_channel();
        for (index, peer) in nodes.peers().iter().enumerate() {
            let task = AtNode {
                index,
                peer: peer.clone(),
                wanted: wanted.clone(),
                until: after(patience),
                patience,
                reports: sender.clone(),
            };
            nodes.spawn(peer, task.run(decision.subscribe()));
        }
        let ballot = Ballot::new(nodes.count());
        let freed = vec![None; nodes.count()];
        Self { nodes, wanted, ballot, begun, patience, freed, reports, decision }
    }

    /// Counts votes until `enough` of them are there, or all. Nothing is lost if the future is dropped.
    pub(super) async fn count_until(&mut self, enough: impl Fn(&Ballot) -> bool) {
        while !self.ballot.is_complete() && !enough(&self.ballot) && self.next().await {}
    }

    /// Takes the next report of a node. Returns whether a report came; none comes after the tasks have ended. Nothing
    /// is lost if the future is dropped.
    pub(super) async fn next(&mut self) -> bool {
        match self.reports.recv().await {
            Some(Report::Vote(node, vote)) => self.ballot.cast(node, vote),
            Some(Report::Freed(node, surely)) => {
                if let Some(freed) = self.freed.get_mut(node) {
                    *freed = Some(surely);
                }
            }
            None => return false,
        }
        true
    }

    /// Keeps all grants, including those still to come.
    pub(super) fn keep(self, numbered: Option<Numbered>) {
        self.decision.send_replace(Decision::Kept(numbered.map(Arc::new)));
    }

    /// Gives back all grants, including those still to come, and does not wait.
    pub(super) fn leave(self) {
        self.decision.send_replace(Decision::GivenBack);
    }

    /// Gives back all grants. Waits for this and for missing votes, for at most `patience`.
    ///
    /// If it is unknown whether a node granted the lock, the lock is left to the node's store or to its expiry. A
    /// release by the owner's name could end an earlier hold of the same owner, which this must not do.
    pub(super) async fn give_back(&mut self, patience: Duration) -> UnreturnedGrants {
        self.decision.send_replace(Decision::GivenBack);
        let waiting = async {
            while !(0..self.nodes.count()).all(|node| self.is_done(node)) {
                if !self.next().await {
                    break;
                }
            }
        };
        let _ = timeout(patience, waiting).await;
        let unreturned = (0..self.nodes.count()).filter_map(|node| {
            let vote = self.ballot.vote(node).cloned().unwrap_or(Vote::Late(self.patience));
            let gone = self.freed.get(node) == Some(&Some(true));
            (vote.may_be_ours() && !gone).then_some(vote)
        });
        UnreturnedGrants(unreturned.collect())
    }

    /// Whether a node will report nothing more.
    fn is_done(&self, node: usize) -> bool {
        match self.ballot.vote(node) {
            None => false,
            Some(Vote::Granted(_)) => self.freed.get(node) != Some(&None),
            Some(_) => true,
        }
    }
}

impl UnreturnedGrants {
    /// How many nodes may still hold the lock for us.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// The failure of the attempt, with its cause.
    pub(super) fn failure(self, cause: String, ttl: Duration) -> Failure {
        if self.0.is_empty() {
            return Failure::NotDone(cause);
        }
        let now = now();
        let bounds = self.0.iter().map(|vote| vote.bound(ttl, now));
        let held_until = bounds.reduce(|a, b| Some(a?.max(b?))).flatten();
        Failure::Unknown(UnknownOutcome { cause, held_until })
    }
}

/// Waits for the decision about an attempt. It stays open if the caller that decides has left.
async fn decided(decision: &mut watch::Receiver<Decision>) -> Decision {
    let decided = decision.wait_for(|decision| !matches!(decision, Decision::Open)).await;
    decided.map_or(Decision::Open, |decision| decision.clone())
}

/// The part of an attempt at one node.
struct AtNode {
    index: usize,
    peer: Arc<Peer>,
    wanted: Arc<Wanted>,
    /// When the node's time is over.
    until: Instant,
    patience: Duration,
    reports: mpsc::UnboundedSender<Report>,
}

impl AtNode {
    async fn run(self, mut decision: watch::Receiver<Decision>) {
        let Self { index, peer, wanted, until, .. } = &self;
        let place = peer.lanes.join(&wanted.hold);
        let turn = timeout_at(*until, place.turn()).await;
        let vote = match &turn {
            Err(_) => Vote::NotDone(BUSY.to_owned()),
            Ok(_) if place.is_unclear() => Vote::NotDone(UNCLEAR.to_owned()),
            Ok(_) => self.ask().await,
        };
        peer.metrics.voted(&vote);
        // A caller that has left gets no report, and decides nothing.
        let _ = self.reports.send(Report::Vote(*index, vote.clone()));
        if let Decision::Kept(numbered) = decided(&mut decision).await {
            return self.note(&vote, numbered.as_deref()).await;
        }
        let (Vote::Granted(_), Ok(turn)) = (&vote, turn) else { return };
        let released = timeout(LATE_REPLY, node_release::release(peer, &wanted.hold)).await;
        let released = released.unwrap_or(ReleaseOutcome::Unclear);
        let surely = matches!(released, ReleaseOutcome::Freed | ReleaseOutcome::NotOurs);
        let _ = self.reports.send(Report::Freed(*index, surely));
        node_release::end(peer, &place, turn, released).await;
    }

    /// Makes a node note the token if its grant came too late to be asked before. Otherwise an inspect of the lock
    /// could find a smaller number there.
    async fn note(&self, vote: &Vote, numbered: Option<&Numbered>) {
        let (Vote::Granted(granted), Some(Numbered { token, nodes })) = (vote, numbered) else {
            return;
        };
        if granted.token < Some(*token) && !nodes.contains(&self.index) {
            let noting = self.peer.raise(&self.wanted.hold.key, *token);
            let _ = timeout(LATE_REPLY, noting).await;
        }
    }

    async fn ask(&self) -> Vote {
        let Wanted { hold: LockId { key, owner }, ttl, fenced } = &*self.wanted;
        let sent = Instant::now();
        // A store may act before its future is awaited.
        let asking = async {
            match fenced {
                false => self.peer.store.acquire(key, owner, *ttl).await,
                true => self.peer.store.acquire_fenced(key, owner, *ttl).await,
            }
        };
        let grant = match timeout_at(self.until, asking).await {
            Ok(Ok(Acquired::Granted(grant))) => grant,
            Ok(Ok(Acquired::Held)) => return Vote::Held,
            Ok(Err(Failure::NotDone(cause))) => return Vote::NotDone(cause),
            Ok(Err(Failure::Unknown(UnknownOutcome { cause, held_until }))) => {
                return Vote::Unknown { cause, held_until };
            }
            Err(_) => return Vote::Late(self.patience),
        };
        if *fenced && grant.fencing_token.is_none() {
            let ends = now().saturating_add(whole_milliseconds(ttl.saturating_add(drift(*ttl))));
            let cause = "its grant has no fencing token".to_owned();
            return Vote::Unknown { cause, held_until: Some(ends) };
        }
        let until = match grant.valid_for {
            Some(left) => after(less_drift(Duration::from_millis(left))),
            // The time to live counts from when the node got the command.
            None => holdfast_timing::after(sent, less_drift(*ttl), Instant::checked_add),
        };
        Vote::Granted(NodeGrant { until, token: grant.fencing_token })
    }
}

/// Milliseconds since 1970, rounded up.
fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    whole_milliseconds(since.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        task::{Context, Wake},
    };

    use futures_util::future::{BoxFuture, pending, ready};

    use super::*;
    use crate::store::{
        Grant, Released, Store,
        quorum::{Node, QuorumSettings},
    };

    const MINUTE: Duration = Duration::from_secs(60);

    /// A store that grants every lock, and never answers a release.
    struct NeverReleases;

    impl Store for NeverReleases {
        fn acquire<'a>(
            &'a self,
            _key: &'a str,
            _owner: &'a str,
            _ttl: Duration,
        ) -> BoxFuture<'a, Result<Acquired, Failure>> {
            let grant = Grant { fencing_token: None, valid_for: None };
            Box::pin(ready(Ok(Acquired::Granted(grant))))
        }

        fn release<'a>(
            &'a self,
            _key: &'a str,
            _owner: &'a str,
        ) -> BoxFuture<'a, Result<Released, Failure>> {
            Box::pin(pending())
        }
    }

    fn nodes() -> Nodes {
        let nodes = ["a", "b", "c"].map(|name| Node::new(name, Arc::new(NeverReleases)));
        Nodes::new("locks", nodes.into(), QuorumSettings::new()).unwrap()
    }

    fn hold() -> LockId {
        LockId { key: "k".to_owned(), owner: "me".to_owned() }
    }

    /// Looks at a lane at the moment at which a turn in it ends.
    struct Looking {
        peer: Arc<Peer>,
        unclear: mpsc::UnboundedSender<bool>,
    }

    impl Wake for Looking {
        fn wake(self: Arc<Self>) {
            let hold = hold();
            let is_unclear = self.peer.lanes.join(&hold).is_unclear();
            // Sending fails only after the end of the test.
            let _ = self.unclear.send(is_unclear);
        }
    }

    /// Whether the next caller in the lane of the first node knows, as soon as it gets its turn, that a release may
    /// come late.
    async fn next_in_the_lane_finds_it_unclear(nodes: &Nodes) -> bool {
        let peer = nodes.peers()[0].clone();
        let (unclear, mut looked) = mpsc::unbounded_channel();
        let looking = Arc::new(Looking { peer: peer.clone(), unclear }).into();
        let hold = hold();
        let place = peer.lanes.join(&hold);
        let mut turn = pin!(place.turn());
        assert!(turn.as_mut().poll(&mut Context::from_waker(&looking)).is_pending());
        looked.recv().await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_release_is_known_to_come_late_before_its_turn_ends() {
        let nodes = nodes();
        let _answers = nodes.ask_by::<Released, _>(MINUTE, |peer, sender| {
            node_release::release_in_turn(peer, hold(), sender)
        });
        assert!(next_in_the_lane_finds_it_unclear(&nodes).await);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_given_back_is_known_to_come_late_before_its_turn_ends() {
        let nodes = nodes();
        let wanted = Wanted { hold: hold(), ttl: MINUTE, fenced: false };
        Attempt::begin(&nodes, Arc::new(wanted)).leave();
        assert!(next_in_the_lane_finds_it_unclear(&nodes).await);
    }
}
