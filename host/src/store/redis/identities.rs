//! Which server each node of a quorum is: one that is there under two names would count twice.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The servers of a quorum, by what they call themselves. All nodes share it.
#[derive(Debug, Default)]
pub(super) struct Identities(Mutex<HashMap<String, Server>>);

#[derive(Debug)]
struct Server {
    /// The node that it is.
    node: String,
    /// How many connections lead to it.
    connections: usize,
    /// Whether the latest connection of the node leads to it.
    is_latest: bool,
}

/// A connection to a server, for as long as it is open.
#[derive(Debug)]
pub(super) struct Connected {
    identities: Arc<Identities>,
    run_id: String,
}

impl Identities {
    /// Notes that a connection of this node leads to the server that calls itself `run_id`. Fails with the other node
    /// that the server is.
    ///
    /// A server stays the same node while that node is without a connection: a call may have counted its answers, and
    /// must not count them again under another name. Only when the node has come to another server, and no connection
    /// leads to this one any more, may it be another node.
    pub(super) fn connect(self: &Arc<Self>, node: &str, run_id: &str) -> Result<Connected, String> {
        let mut servers = self.lock();
        if let Some(server) = servers.get(run_id)
            && server.node != node
        {
            return Err(server.node.clone());
        }
        for server in servers.values_mut().filter(|server| server.node == node) {
            server.is_latest = false;
        }
        let new = || Server { node: node.to_owned(), connections: 0, is_latest: true };
        let server = servers.entry(run_id.to_owned()).or_insert_with(new);
        server.is_latest = true;
        server.connections += 1;
        servers.retain(|_, server| server.is_known());
        Ok(Connected { identities: self.clone(), run_id: run_id.to_owned() })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Server>> {
        // No code that changes the map can panic half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Server {
    fn is_known(&self) -> bool {
        self.is_latest || self.connections > 0
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        let mut servers = self.identities.lock();
        if let Some(server) = servers.get_mut(&self.run_id) {
            server.connections = server.connections.saturating_sub(1);
        }
        servers.retain(|_, server| server.is_known());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_one_node_at_most() {
        let identities = Arc::new(Identities::default());
        let connect = |node, run_id| identities.connect(node, run_id);
        let first = connect("a", "1").unwrap();
        assert_eq!(connect("b", "1").unwrap_err(), "a");
        let _another = connect("a", "1").unwrap();
        let _other = connect("b", "2").unwrap();
        assert_eq!(connect("a", "2").unwrap_err(), "b");
        // One that was refused changes nothing.
        drop(first);
        assert_eq!(connect("b", "1").unwrap_err(), "a");
    }

    #[test]
    fn a_server_stays_the_node_until_that_has_another_and_no_connection_to_it() {
        let identities = Arc::new(Identities::default());
        let connect = |node, run_id| identities.connect(node, run_id);
        drop(connect("a", "1").unwrap());
        assert_eq!(connect("b", "1").unwrap_err(), "a");

        let old = connect("a", "1").unwrap();
        let restarted = connect("a", "2").unwrap();
        assert_eq!(connect("b", "1").unwrap_err(), "a");
        drop(old);
        let _moved = connect("b", "1").unwrap();
        assert_eq!(connect("b", "2").unwrap_err(), "a");
        drop(restarted);
        assert_eq!(identities.lock().len(), 2);
    }
}
