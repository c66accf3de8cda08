//! Counts the answers of the nodes of a quorum.

use std::{collections::HashMap, fmt};

use ::metrics::Counter;

use crate::{
    metrics::{NodeLabels, QUORUM_NODE_ANSWERS},
    store::{Extended, Failure, Released},
};

use super::ballot::Vote;

/// The operations at a node, and the answers that are counted separately.
const OPERATIONS: [(&str, &[&str]); 4] = [
    ("acquire", &["granted", "held", "not_done", "unknown", "late"]),
    ("release", &["released", "missing", "held_by_other", "not_done", "unknown"]),
    ("extend", &["extended", "gone", "held_by_other", "not_done", "unknown"]),
    ("raise", &["raised", "not_done", "unknown"]),
];

/// The counters of one node.
pub(super) struct NodeMetrics(HashMap<(&'static str, &'static str), Counter>);

impl NodeMetrics {
    pub(super) fn new(store: &str, node: &str) -> Self {
        let each = OPERATIONS.iter().flat_map(|(operation, outcomes)| {
            outcomes.iter().map(|outcome| (*operation, *outcome))
        });
        Self(
            each.map(|(operation, outcome)| {
                let labels = NodeLabels { store, node, operation, outcome };
                ((operation, outcome), QUORUM_NODE_ANSWERS.with(labels))
            })
            .collect(),
        )
    }

    pub(super) fn voted(&self, vote: &Vote) {
        self.count(
            "acquire",
            match vote {
                Vote::Granted(_) => "granted",
                Vote::Held => "held",
                Vote::NotDone(_) => "not_done",
                Vote::Unknown { .. } => "unknown",
                Vote::Late(_) => "late",
            },
        );
    }

    pub(super) fn released(&self, outcome: &Result<Released, Failure>) {
        self.count(
            "release",
            match outcome {
                Ok(Released::Released) => "released",
                Ok(Released::Missing) => "missing",
                Ok(Released::HeldByOther) => "held_by_other",
                Err(failure) => of_failure(failure),
            },
        );
    }

    pub(super) fn extended(&self, outcome: &Result<Extended, Failure>) {
        self.count(
            "extend",
            match outcome {
                Ok(Extended::Extended(_)) => "extended",
                Ok(Extended::Gone) => "gone",
                Ok(Extended::HeldByOther) => "held_by_other",
                Err(failure) => of_failure(failure),
            },
        );
    }

    pub(super) fn raised(&self, outcome: &Result<(), Failure>) {
        self.count(
            "raise",
            match outcome {
                Ok(()) => "raised",
                Err(failure) => of_failure(failure),
            },
        );
    }

    fn count(&self, operation: &'static str, outcome: &'static str) {
        if let Some(counter) = self.0.get(&(operation, outcome)) {
            counter.increment(1);
        }
    }
}

fn of_failure(failure: &Failure) -> &'static str {
    match failure {
        Failure::NotDone(_) => "not_done",
        Failure::Unknown(_) => "unknown",
    }
}

impl fmt::Debug for NodeMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeMetrics").finish_non_exhaustive()
    }
}
