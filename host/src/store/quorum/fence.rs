//! The fencing token of a grant: the largest token of the nodes, written back before the grant is answered.
//!
//! The clocks of the nodes differ, so the largest token of a majority alone need not grow: a later majority may be
//! without the node whose clock is fast. So a grant is answered only when each node of a majority both granted the lock
//! and has noted the token, which is the second phase of a write to an atomic register (Attiya, Bar-Noy, Dolev). A
//! later grant comes from a majority too, and the two majorities have a node in common. That node still held the first
//! lock when the first grant was answered, so it had noted the first token before it made the second grant. So its own
//! token for the second grant is larger than the first token, and the token of the second grant, the largest of its
//! nodes, is not smaller than that.

use std::{mem, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::time::{sleep_until, timeout_at};

use super::{
    attempt::{Attempt, Numbered},
    disagreement::{disagreement, late},
    nodes::{Nodes, after},
};
use crate::store::Failure;

/// Chooses the token of an attempt that a majority granted, and makes a majority note it. Fails with the cause.
pub(super) async fn number(attempt: &mut Attempt<'_>) -> Result<Numbered, String> {
    let nodes = attempt.nodes;
    let majority = nodes.majority();
    let wanted = attempt.wanted.clone();
    let until = after(attempt.patience);
    let tokens = attempt.ballot.grants().filter_map(|(_, granted)| granted.token);
    let token = tokens.max().unwrap_or_default();
    let mut seen = vec![false; nodes.count()];
    let (mut noted, mut failures) = (Vec::new(), Vec::new());
    let mut raising = FuturesUnordered::new();
    loop {
        for (node, granted) in attempt.ballot.grants() {
            if mem::replace(&mut seen[node], true) {
                continue;
            }
            if granted.token.is_some_and(|number| number >= token) {
                noted.push(node);
                continue;
            }
            let (peer, key) = (&nodes.peers()[node], &wanted.hold.key);
            let patience = attempt.patience;
            raising.push(async move {
                let raised = timeout_at(until, peer.raise(key, token)).await;
                let Ok(raised) = raised else { return (node, Err(late(patience))) };
                (node, raised.map_err(|failure| failure.cause().to_owned()))
            });
        }
        if noted.len() >= majority {
            return Ok(Numbered { token, nodes: noted });
        }
        let complete = attempt.ballot.is_complete();
        if raising.is_empty() && complete {
            break;
        }
        tokio::select! {
            Some((node, raised)) = raising.next() => match raised {
                Ok(()) => noted.push(node),
                Err(cause) => failures.push((node, cause)),
            },
            more = attempt.next(), if !complete => if !more { break },
            () = sleep_until(until) => break,
        }
    }
    Err(disagreement(&nodes.names(), &[(noted.len(), "noted the fencing token")], failures))
}

/// Makes a majority of the nodes note a token.
pub(super) async fn raise(nodes: &Nodes, key: &str, at_least: u64) -> Result<(), Failure> {
    let key: Arc<str> = key.into();
    let mut answers = nodes.ask(nodes.settings.patience(Duration::MAX), |peer| {
        let key = key.clone();
        async move { peer.raise(&key, at_least).await }
    });
    answers.wait_for(|answers| answers.successes().count() >= nodes.majority()).await;
    let noted = answers.successes().count();
    match noted >= nodes.majority() {
        true => Ok(()),
        // A token that is noted in vain does no harm.
        false => Err(Failure::not_done(
            answers.failure(nodes, &[(noted, "noted the fencing token")], false).cause(),
        )),
    }
}
