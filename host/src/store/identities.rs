//! Which server each node of a quorum is: one that is there under two names would count twice.
//!
//! [`QuorumStore`](super::quorum::QuorumStore) gives its [`Identities`] to its nodes by
//! [`Store::join_quorum`](super::Store::join_quorum). A store that learns what its servers call themselves names each of
//! them by [`Identities::connect`] before it uses the connection.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// The servers of a quorum, by what they call themselves. All nodes share it.
#[derive(Debug)]
pub struct Identities {
    servers: Mutex<HashMap<String, KnownServer>>,
    /// The longest that a lock lasts.
    longest_ttl: Duration,
}

#[derive(Debug)]
struct KnownServer {
    /// The node that it is.
    node: String,
    /// How many connections lead to it.
    connections: usize,
    /// Whether the latest connection of the node leads to it.
    is_latest: bool,
    /// When the last connection to it ended, if none is open.
    left: Option<Instant>,
}

/// A connection to a server. It must be dropped when the connection ends, and not before.
#[derive(Debug)]
pub struct Connected {
    identities: Arc<Identities>,
    run_id: String,
}

impl Identities {
    /// The servers of a quorum whose locks last this long at most.
    pub fn new(longest_ttl: Duration) -> Arc<Self> {
        Arc::new(Self { servers: Mutex::default(), longest_ttl })
    }

    /// Notes that a connection of this node leads to the server that calls itself `run_id`, as no other server does.
    ///
    /// A server stays the same node while that node is without a connection: a lock may have been counted there, and must
    /// not be counted again under another name. It may be another node when the node has come to another server, and no
    /// connection leads to this one any more; or when there has been none for as long as a lock lasts.
    ///
    /// # Errors
    ///
    /// The name of the other node that the server is. The connection must not be used.
    pub fn connect(self: &Arc<Self>, node: &str, run_id: &str) -> Result<Connected, String> {
        let mut servers = self.lock();
        servers
            .retain(|_, server| server.left.is_none_or(|left| left.elapsed() <= self.longest_ttl));
        if let Some(server) = servers.get(run_id)
            && server.node != node
        {
            return Err(server.node.clone());
        }
        for server in servers.values_mut().filter(|server| server.node == node) {
            server.is_latest = false;
        }
        let new =
            || KnownServer { node: node.to_owned(), connections: 0, is_latest: true, left: None };
        let server = servers.entry(run_id.to_owned()).or_insert_with(new);
        (server.is_latest, server.left) = (true, None);
        server.connections += 1;
        servers.retain(|_, server| server.is_known());
        Ok(Connected { identities: self.clone(), run_id: run_id.to_owned() })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, KnownServer>> {
        // No code that changes the map can panic half-way.
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KnownServer {
    fn is_known(&self) -> bool {
        self.is_latest || self.connections > 0
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        let mut servers = self.identities.lock();
        if let Some(server) = servers.get_mut(&self.run_id) {
            server.connections = server.connections.saturating_sub(1);
            server.left = (server.connections == 0).then(Instant::now);
        }
        servers.retain(|_, server| server.is_known());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_server_is_one_node_at_most() {
        let identities = Identities::new(MINUTE);
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
        let identities = Identities::new(MINUTE);
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

    #[tokio::test(start_paused = true)]
    async fn servers_may_change_places_once_no_lock_of_before_lasts() {
        let identities = Identities::new(MINUTE);
        let connect = |node, run_id| identities.connect(node, run_id);
        drop((connect("a", "1").unwrap(), connect("b", "2").unwrap()));
        tokio::time::advance(MINUTE).await;
        assert_eq!(connect("a", "2").unwrap_err(), "b");
        assert_eq!(connect("b", "1").unwrap_err(), "a");
        tokio::time::advance(Duration::from_millis(1)).await;
        let _changed = (connect("a", "2").unwrap(), connect("b", "1").unwrap());
    }
}
