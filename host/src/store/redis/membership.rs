//! The quorum node that a store is, and the servers to which its connections lead.

use std::sync::{Arc, OnceLock};

use super::dial_error::DialError;
use crate::store::identities::{Connected, Identities};

/// The quorum node that a store is, if it is one. All clients of the store share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Membership(Arc<OnceLock<Member>>);

/// A node of a quorum.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) node: String,
    pub(super) servers: Arc<Identities>,
}

/// The server to which a connection leads.
#[derive(Clone, Debug, Default)]
pub(super) struct Identity {
    /// The server's name for itself, if it reports one.
    pub(super) run_id: Option<String>,
    /// Set when the server is noted. The last clone must be dropped when the connection has ended.
    noted: Arc<OnceLock<Connected>>,
}

impl Membership {
    /// The membership of a store that is this node, or that may join a quorum later.
    pub(super) fn of(member: Option<Member>) -> Self {
        Self(Arc::new(member.map_or_else(OnceLock::new, OnceLock::from)))
    }

    /// Makes the store a node of a quorum. The first call counts.
    pub(super) fn join(&self, node: &str, servers: &Arc<Identities>) {
        self.0.get_or_init(|| Member { node: node.to_owned(), servers: servers.clone() });
    }

    /// Notes the server of the quorum to which a connection leads, if the store is a node. Fails if the server is
    /// another node.
    pub(super) fn note(&self, identity: &Identity) -> Result<(), DialError> {
        let (Some(member), Some(run_id)) = (self.0.get(), &identity.run_id) else { return Ok(()) };
        if identity.noted.get().is_some() {
            return Ok(());
        }
        let connected = member.servers.connect(&member.node, run_id);
        let connected = connected.map_err(|first| DialError::twin_of(&first))?;
        identity.noted.get_or_init(|| connected);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn identity(run_id: Option<&str>) -> Identity {
        Identity { run_id: run_id.map(str::to_owned), ..Identity::default() }
    }

    #[test]
    fn a_connection_of_before_is_noted_when_its_store_joins() {
        let servers = Identities::new(Duration::from_secs(60));
        let [one, other] = [(); 2].map(|()| Membership::default());
        let (first, twin, silent) = (identity(Some("1")), identity(Some("1")), identity(None));
        for (store, identity) in [(&one, &first), (&other, &twin), (&other, &silent)] {
            assert_eq!(store.note(identity), Ok(()));
        }
        one.join("a", &servers);
        other.join("b", &servers);
        // A second quorum does not count.
        other.join("c", &Identities::new(Duration::from_secs(60)));
        assert_eq!((one.note(&first), one.note(&first)), (Ok(()), Ok(())));
        assert_eq!(other.note(&twin), Err(DialError::twin_of("a")));
        assert_eq!(other.note(&silent), Ok(()));
    }

    #[test]
    fn a_server_is_known_until_all_connections_to_it_have_ended_and_the_node_has_another() {
        let servers = Identities::new(Duration::from_secs(60));
        let member = |node: &str| Member { node: node.to_owned(), servers: servers.clone() };
        let [one, other] = ["a", "b"].map(|node| Membership::of(Some(member(node))));
        let (old, new) = (identity(Some("1")), identity(Some("2")));
        assert_eq!((one.note(&old), one.note(&new)), (Ok(()), Ok(())));
        let kept = old.clone();
        drop(old);
        let moved = identity(Some("1"));
        assert_eq!(other.note(&moved), Err(DialError::twin_of("a")));
        drop(kept);
        assert_eq!(other.note(&moved), Ok(()));
    }
}
