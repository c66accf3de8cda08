//! What an operator sees of the nodes, and what their locks can promise.

use std::time::Duration;

use super::{
    disagreement::late,
    nodes::{Nodes, Peer},
};
use crate::store::{Role, Server, Survey};

/// How much longer a node may take to describe itself than for a call about one lock.
const SURVEY_PATIENCE_FACTOR: u32 = 10;

/// The servers of all nodes.
pub(super) async fn survey(nodes: &Nodes) -> Survey {
    let patience = nodes.settings.patience(Duration::MAX).saturating_mul(SURVEY_PATIENCE_FACTOR);
    let mut surveys =
        nodes.ask(patience, |peer| async move { Ok(of_node(&peer, peer.store.survey().await)) });
    surveys.wait_for(|_| false).await;
    let servers = surveys
        .by_node()
        .zip(nodes.peers())
        .flat_map(|(servers, peer)| servers.unwrap_or_else(|| vec![server(peer, late(patience))]));
    let (count, majority) = (nodes.count(), nodes.majority());
    let others = count - majority;
    let whose = if others == 1 { "its" } else { "their" };
    let promise = format!(
        "A lock is held where {majority} of {count} servers have it: any {others} of them may fail or lose {whose} data \
         within quorumMaxTtl."
    );
    Survey { servers: servers.collect(), promise }
}

/// The servers of a node. A node that names no servers is its own.
fn of_node(peer: &Peer, survey: Survey) -> Vec<Server> {
    match survey.servers.is_empty() {
        true => vec![server(peer, peer.store.describe())],
        false => survey.servers,
    }
}

fn server(peer: &Peer, about: String) -> Server {
    Server { address: peer.name.clone(), role: Role::Alone, about }
}
