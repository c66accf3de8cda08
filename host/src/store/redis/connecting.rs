//! Connects the store that settings describe: one [`RedisStore`], or a quorum of several.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use holdfast_redis_rules::{
    address::Address,
    refusal::RefusedLogin,
    settings::{Quorum, Servers},
};
use tokio::time::{Instant, timeout_at};

use super::{connect_error::ConnectError, settings::RedisSettings, store::RedisStore};
use crate::store::{
    Store,
    identities::Identities,
    quorum::{Node, QuorumSettings, QuorumStore},
};

/// The longest wait for a server of a quorum, and how long the other servers have to connect after a majority is
/// connected.
const NODE_TIMEOUT: Duration = Duration::from_millis(500);

/// The problem with a server if the login is missing or wrong.
const REFUSES_LOGIN: &str = "refuses the login (redisUsername, redisPassword)";

/// Connects the store that the settings describe. `name` is the store's, for logs and metrics.
///
/// For a [quorum](RedisSettings::quorum), a majority of the servers must be reachable. The log warns of each other
/// server, which takes part as soon as it can be reached, unless it is one of the connected servers under another name.
/// Must be called in a Tokio runtime with time and I/O enabled.
///
/// # Errors
///
/// See [`ConnectError`].
pub async fn connect(name: &str, settings: RedisSettings) -> Result<Arc<dyn Store>, ConnectError> {
    connect_until(name, settings, None).await
}

/// The same as [`connect`], but gives up after `limit`: [`ConnectError::Late`] names the step that did not end.
///
/// # Errors
///
/// See [`ConnectError`].
pub async fn connect_within(
    name: &str,
    settings: RedisSettings,
    limit: Duration,
) -> Result<Arc<dyn Store>, ConnectError> {
    connect_until(name, settings, Instant::now().checked_add(limit)).await
}

async fn connect_until(
    name: &str,
    settings: RedisSettings,
    deadline: Option<Instant>,
) -> Result<Arc<dyn Store>, ConnectError> {
    match settings.servers.clone() {
        Servers::Quorum(quorum) => {
            let store = connect_quorum(name, settings.checked()?, quorum, deadline).await?;
            Ok(Arc::new(store))
        }
        _ => Ok(Arc::new(RedisStore::connect_until(name, settings, deadline).await?)),
    }
}

async fn connect_quorum(
    name: &str,
    settings: RedisSettings,
    quorum: Quorum,
    deadline: Option<Instant>,
) -> Result<QuorumStore, ConnectError> {
    let Quorum { nodes, longest_ttl } = quorum;
    let identities = Identities::new(longest_ttl);
    let of_node =
        |node: &Address| settings.clone().of_node(node.clone(), longest_ttl, identities.clone());
    let connect =
        async |node: &Address| RedisStore::connect_until(name, of_node(node), deadline).await;
    let stores = connect_majority(name, &nodes, connect, &settings.address()).await?;
    let nodes: Result<Vec<Node>, ConnectError> = nodes
        .iter()
        .zip(stores)
        .map(|(node, store)| {
            let store = store.map_or_else(|| RedisStore::unconnected(name, of_node(node)), Ok)?;
            Ok(Node::new(node.to_string(), Arc::new(store)))
        })
        .collect();
    let node_timeout = NODE_TIMEOUT.min(longest_ttl);
    let settings_of_all = QuorumSettings::new().longest_ttl(longest_ttl).node_timeout(node_timeout);
    let quorum = QuorumStore::new(name, nodes?, settings_of_all);
    quorum.map_err(|error| ConnectError::Unfit {
        address: settings.address(),
        cause: error.to_string(),
    })
}

/// Why a server of a quorum is not connected.
#[derive(Clone)]
struct Missing {
    cause: String,
    /// How the server refused the login, if it did.
    login: Option<RefusedLogin>,
}

impl Missing {
    /// The cause if the server has not answered yet.
    fn early() -> Self {
        Self { cause: "no connection yet".to_owned(), login: None }
    }
}

/// The servers of a quorum, and which of them are connected.
struct QuorumServers<'a> {
    /// The store's name, for the log.
    name: &'a str,
    addresses: &'a [Address],
    /// The store of each server; `None` for a server that is not connected.
    stores: Vec<Option<RedisStore>>,
    /// Why a server is not connected; meaningless for a connected one.
    causes: Vec<Missing>,
    /// Whether connecting to one of the servers took too long.
    is_late: bool,
}

impl<'a> QuorumServers<'a> {
    fn new(name: &'a str, addresses: &'a [Address]) -> Self {
        Self {
            name,
            addresses,
            stores: addresses.iter().map(|_| None).collect(),
            causes: vec![Missing::early(); addresses.len()],
            is_late: false,
        }
    }

    /// Notes the result of connecting to a server.
    ///
    /// # Errors
    ///
    /// If the failure is one that no majority can make up for.
    fn note(
        &mut self,
        index: usize,
        outcome: Result<RedisStore, ConnectError>,
    ) -> Result<(), ConnectError> {
        match outcome {
            Ok(store) => {
                if let Some(absence) = store.absence() {
                    let redis = &self.addresses[index];
                    tracing::warn!(store = self.name, %redis, "{absence}");
                }
                self.stores[index] = Some(store);
            }
            Err(ConnectError::Unreachable { cause, login, .. }) => {
                self.causes[index] = Missing { cause, login };
            }
            Err(ConnectError::Late { cause, .. }) => {
                self.causes[index] = Missing { cause, login: None };
                self.is_late = true;
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn connected(&self) -> usize {
        self.stores.iter().flatten().count()
    }

    fn have_majority(&self) -> bool {
        self.connected() > self.addresses.len() / 2
    }

    fn missing(&self) -> impl Iterator<Item = (&Address, &Missing)> {
        let all = self.addresses.iter().zip(&self.causes).zip(&self.stores);
        all.filter(|(_, store)| store.is_none()).map(|(missing, _)| missing)
    }

    /// The error for fewer than a majority.
    fn too_few(&self, address: String) -> ConnectError {
        let causes = self.missing().map(|(node, Missing { cause, login })| match login {
            Some(_) => format!("{node}: it {REFUSES_LOGIN}: {cause}"),
            None => format!("{node}: {cause}"),
        });
        let (all, causes) = (self.addresses.len(), causes.collect::<Vec<_>>().join("; "));
        let cause = format!("only {} of {all} servers can be used: {causes}", self.connected());
        let login = self.missing().filter_map(|(_, missing)| missing.login).max();
        match self.is_late {
            true => ConnectError::Late { address, cause },
            false => ConnectError::Unreachable { address, cause, login },
        }
    }

    fn warn_of_missing(&self) {
        let store = self.name;
        for (redis, Missing { cause, login }) in self.missing() {
            match login {
                // The problem does not pass by itself.
                Some(_) => {
                    tracing::warn!(store, %redis, cause, "a server of the quorum {REFUSES_LOGIN}");
                }
                None => {
                    tracing::warn!(store, %redis, cause, "a server of the quorum cannot be reached");
                }
            }
        }
    }
}

/// Connects to each server. `None` for one that cannot be reached at present.
async fn connect_majority(
    name: &str,
    nodes: &[Address],
    connect: impl AsyncFn(&Address) -> Result<RedisStore, ConnectError>,
    address: &str,
) -> Result<Vec<Option<RedisStore>>, ConnectError> {
    let mut connecting: FuturesUnordered<_> =
        nodes.iter().enumerate().map(async |(index, node)| (index, connect(node).await)).collect();
    let mut servers = QuorumServers::new(name, nodes);
    let mut deadline = None;
    loop {
        let next = match deadline {
            None => connecting.next().await,
            Some(deadline) => timeout_at(deadline, connecting.next()).await.ok().flatten(),
        };
        let Some((index, outcome)) = next else { break };
        servers.note(index, outcome)?;
        if servers.have_majority() {
            deadline.get_or_insert_with(|| Instant::now() + NODE_TIMEOUT);
        }
    }
    if !servers.have_majority() {
        return Err(servers.too_few(address.to_owned()));
    }
    servers.warn_of_missing();
    Ok(servers.stores)
}
