//! The votes of the nodes in one attempt to take a lock, and the verdict that follows. See the table in the
//! [module](super#acquire).

use std::time::Duration;

use holdfast_timing::{late::longest_hold, whole_milliseconds};
use tokio::time::Instant;

use super::{disagreement::late, validity::drift};

/// The vote of a node in an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Vote {
    /// The node granted the lock to us.
    Granted(NodeGrant),
    /// An owner holds the lock.
    Held,
    /// The node did nothing, for this reason.
    NotDone(String),
    /// It is unknown what the node did or will do, for this reason.
    Unknown {
        cause: String,
        /// When the lock has ended, in milliseconds since 1970, if a bound is known.
        held_until: Option<u64>,
    },
    /// The node did not answer within this time.
    Late(Duration),
}

/// The grant of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NodeGrant {
    /// Until when the node surely holds the lock.
    pub(super) until: Instant,
    /// The fencing token of the grant, if it has one.
    pub(super) token: Option<u64>,
}

/// The votes of all nodes, by their positions; `None` for a vote that is still missing.
#[derive(Debug)]
pub(super) struct Ballot {
    votes: Vec<Option<Vote>>,
}

/// The meaning of the votes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// A majority granted the lock.
    Won,
    /// A majority denied the lock, and no node granted it.
    Held,
    /// A majority denied the lock, and some nodes granted it: the lock has a holder, or several callers each got a few
    /// nodes.
    Contended,
    /// A majority works and is divided: several callers each got a few nodes.
    Split,
    /// No majority works.
    Failed,
}

impl Ballot {
    pub(super) fn new(nodes: usize) -> Self {
        Self { votes: vec![None; nodes] }
    }

    pub(super) fn cast(&mut self, node: usize, vote: Vote) {
        if let Some(place) = self.votes.get_mut(node) {
            *place = Some(vote);
        }
    }

    pub(super) fn vote(&self, node: usize) -> Option<&Vote> {
        self.votes.get(node)?.as_ref()
    }

    pub(super) fn is_complete(&self) -> bool {
        self.votes.iter().all(Option::is_some)
    }

    pub(super) fn granted(&self) -> usize {
        self.grants().count()
    }

    pub(super) fn held(&self) -> usize {
        self.votes.iter().filter(|vote| **vote == Some(Vote::Held)).count()
    }

    /// The grants, with the positions of their nodes.
    pub(super) fn grants(&self) -> impl Iterator<Item = (usize, NodeGrant)> {
        self.votes.iter().enumerate().filter_map(|(node, vote)| match vote {
            Some(Vote::Granted(granted)) => Some((node, *granted)),
            _ => None,
        })
    }

    /// The verdict if the missing votes never arrive.
    pub(super) fn verdict(&self) -> Verdict {
        let (granted, held) = (self.granted(), self.held());
        let majority = self.majority();
        match (granted, held) {
            _ if granted >= majority => Verdict::Won,
            (0, _) if held >= majority => Verdict::Held,
            _ if held >= majority => Verdict::Contended,
            (1.., _) if granted + held >= majority => Verdict::Split,
            _ => Verdict::Failed,
        }
    }

    /// The causes of the nodes that failed, by their positions.
    pub(super) fn failures(&self) -> impl Iterator<Item = (usize, String)> {
        self.votes.iter().enumerate().filter_map(|(node, vote)| match vote {
            Some(Vote::NotDone(cause) | Vote::Unknown { cause, .. }) => Some((node, cause.clone())),
            Some(Vote::Late(limit)) => Some((node, late(*limit))),
            _ => None,
        })
    }

    fn majority(&self) -> usize {
        self.votes.len() / 2 + 1
    }
}

impl Vote {
    /// Whether the node may hold the key for us.
    pub(super) fn may_be_ours(&self) -> bool {
        matches!(self, Self::Granted(_) | Self::Unknown { .. } | Self::Late(_))
    }

    /// When the key has ended at the node if it is ours and is not given back, in milliseconds since 1970; `None` if no
    /// bound is known. `now` is the time in milliseconds since 1970.
    pub(super) fn bound(&self, ttl: Duration, now: u64) -> Option<u64> {
        let after = |time: Duration| now.saturating_add(whole_milliseconds(time));
        match self {
            // The node carried out the command before now.
            Self::Granted(_) => Some(after(ttl.saturating_add(drift(ttl)))),
            Self::Unknown { held_until, .. } => *held_until,
            Self::Late(_) => Some(after(longest_hold(ttl, Duration::ZERO))),
            Self::Held | Self::NotDone(_) => Some(now),
        }
    }
}
