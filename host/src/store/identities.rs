//! The servers of a quorum's nodes. A server under two names would count twice.
//!
//! [`QuorumStore`](super::quorum::QuorumStore) gives its [`Identities`] to its nodes by
//! [`Store::join_quorum`](super::Store::join_quorum). A store whose servers report their own names passes each name to
//! [`Identities::connect`] before it uses the connection.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// The servers of a quorum, by their own names. All nodes share it.
#[derive(Debug)]
pub struct Identities {
    servers: Mutex<HashMap<String, KnownServer>>,
    /// The longest time that a lock lasts.
    longest_ttl: Duration,
}

#[derive(Debug)]
struct KnownServer {
    /// The node to which the server belongs.
    node: String,
    /// How many connections lead to the server.
    connections: usize,
    /// Whether the latest connection of the node leads to the server.
    is_latest: bool,
    /// When the last connection to the server ended; `None` if one is open.
    left: Option<Instant>,
}

/// A connection to a server. Drop it when the connection ends, and not before.
#[derive(Debug)]
pub struct Connected {
    identities: Arc<Identities>,
    run_id: String,
}

impl Identities {
    /// The servers of a quorum whose locks last for at most this time.
    pub fn new(longest_ttl: Duration) -> Arc<Self> {
        Arc::new(Self { servers: Mutex::default(), longest_ttl })
    }

    /// Notes that a connection of this node leads to the server with the name `run_id`, which no other server has.
    ///
    /// A server stays the same node while that node has no connection: it may have counted a lock there, which must not
    /// count again under another name. The server may become another node if its node has come to another server, and
    /// no connection leads to the server any more; or if none has led to it for as long as a lock lasts.
    ///
    /// # Errors
    ///
    /// If the server is another node. The error is the name of that node, and the connection must not be used.
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
        // A refused connection changes nothing.
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
