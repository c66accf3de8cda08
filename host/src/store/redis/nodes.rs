//! The servers of a store: one server, or those of a cluster.

use std::{fmt, sync::Arc};

use holdfast_redis_rules::{
    list::{self, Part},
    settings::Servers,
    slot::slot,
};

use super::{
    ask_all,
    client::Client,
    cluster::{self, Cluster, Hop},
    connect_budget::{ConnectBudget, Leg},
    endpoint::Endpoint,
    membership::Membership,
    outcome::{Ended, NoOutcome},
    sentinel::Sentinels,
    settings::RedisSettings,
    stream::{Streams, certified},
    watch::NotWatched,
};
use crate::store::Watched;

/// The most times that a command is sent on to another node.
const MAX_HOPS: usize = 5;

/// The servers of a store.
pub(super) enum Nodes {
    /// One server, which Sentinel may replace by another.
    One(Client),
    /// A cluster.
    Cluster(Arc<Cluster>),
}

impl Nodes {
    /// Makes the clients without a connection. `name` is the store's.
    ///
    /// Fails with the cause if the settings of TLS cannot be used.
    pub(super) fn new(
        name: &str,
        settings: RedisSettings,
        membership: Membership,
    ) -> Result<Self, String> {
        let settings = Arc::new(settings);
        let streams = Streams::new(settings.enabled_tls(), settings.common.dial_timeout)?;
        let streams = Arc::new(streams);
        let endpoint = match &settings.servers {
            Servers::One(address) => {
                if settings.enabled_tls().is_some() {
                    certified(address)?;
                }
                Endpoint::Fixed(address.clone())
            }
            Servers::Sentinel(sentinel) => {
                let limit = ask_all::limit(settings.common.dial_timeout);
                let (sentinel, timeouts) = (sentinel.clone(), settings.timeouts());
                Endpoint::Master(Arc::new(Sentinels::new(
                    sentinel,
                    streams.clone(),
                    timeouts,
                    limit,
                )))
            }
            Servers::Cluster(listed) => {
                let listed = listed.clone();
                let cluster = Cluster::new(name, settings.clone(), listed, streams, membership);
                return Ok(Self::Cluster(cluster));
            }
            Servers::Quorum(_) => {
                return Err(
                    "a quorum is several stores: `redis::connect` makes one of them".to_owned()
                );
            }
        };
        Ok(Self::One(Client::new(name, settings, endpoint, streams, membership)))
    }

    /// The route of a command to the server that has the key.
    pub(super) async fn route(&self, key: &str) -> Result<Route<'_>, NoOutcome> {
        match self {
            Self::One(client) => Ok(Route { budget: client.budget(), to: To::Server(client) }),
            Self::Cluster(cluster) => {
                let slot = slot(key);
                // Boxed, here and below, because these futures are larger than the route to a single server.
                let node = Box::pin(cluster.owner(slot)).await?;
                let hop = Hop { node, asking: false };
                let budget = hop.node.budget();
                Ok(Route { budget, to: To::Node { cluster, slot, hop, hops: 0 } })
            }
        }
    }

    /// The locks of one part of the keys.
    pub(super) async fn list(&self, pattern: &str, cursor: Option<&str>) -> Result<Part, Ended> {
        match self {
            Self::One(client) => client.list(pattern, cursor).await.map_err(Ended::from),
            Self::Cluster(cluster) => cluster.list(pattern, cursor).await,
        }
    }

    /// Whether a text can be a cursor of [`list`](Self::list).
    pub(super) fn is_cursor(&self, cursor: &str) -> bool {
        match self {
            Self::One(_) => list::is_cursor(cursor),
            Self::Cluster(_) => cluster::is_cursor(cursor),
        }
    }

    /// Watches a key at the server that has it; `None` if that server cannot notify of changes.
    pub(super) async fn watch(&self, key: &str) -> Option<Watched> {
        let mut route = self.route(key).await.ok()?;
        loop {
            let watched = match route.server().watch(key, route.leg().asking).await {
                Ok(watched) => Ok(watched),
                Err(NotWatched::Never) => return None,
                // The key, or the slots of a lost node, may be at another node.
                Err(NotWatched::Failed(cause)) => Err(NoOutcome::nothing_done(cause)),
            };
            if let Some(watched) = route.end(watched).await {
                return watched.ok();
            }
        }
    }

    /// See [`Connections::leave_twins`](super::connections::Connections::leave_twins).
    pub(super) fn leave_twins(&self) {
        match self {
            Self::One(client) => client.connections().leave_twins(),
            Self::Cluster(cluster) => {
                cluster.nodes().iter().for_each(|node| node.connections().leave_twins());
            }
        }
    }

    /// A readable reason why a command would have to wait now.
    pub(super) fn waits_for(&self) -> String {
        match self {
            Self::One(client) => client.waits_for(),
            Self::Cluster(cluster) => cluster.waits_for(),
        }
    }

    /// The servers, each with its description of itself.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::One(client) => client.describe(),
            Self::Cluster(cluster) => cluster.describe(),
        }
    }

    /// See [`Client::close`].
    pub(super) async fn close(&self) {
        match self {
            Self::One(client) => client.close().await,
            Self::Cluster(cluster) => cluster.close().await,
        }
    }
}

/// The route of a command to the server that has its key.
pub(super) struct Route<'a> {
    budget: ConnectBudget,
    to: To<'a>,
}

enum To<'a> {
    Server(&'a Client),
    Node { cluster: &'a Arc<Cluster>, slot: u16, hop: Hop, hops: usize },
}

impl Route<'_> {
    /// The server to which the command goes next.
    pub(super) fn server(&self) -> &Client {
        match &self.to {
            To::Server(client) => client,
            To::Node { hop, .. } => &hop.node,
        }
    }

    /// The data that the command carries there.
    pub(super) fn leg(&self) -> Leg<'_> {
        match &self.to {
            To::Server(_) => Leg::only(&self.budget),
            To::Node { hop, .. } => Leg::to_node(&self.budget, hop.asking),
        }
    }

    /// Returns how the command has ended, or `None` if it did nothing at this server and goes on to another.
    pub(super) async fn end<T>(
        &mut self,
        outcome: Result<T, NoOutcome>,
    ) -> Option<Result<T, Ended>> {
        match (&mut self.to, outcome) {
            (To::Node { cluster, slot, hop, hops }, Err(no_outcome)) if *hops < MAX_HOPS => {
                match Box::pin(cluster.elsewhere(*slot, &hop.node, no_outcome)).await {
                    Ok(next) => {
                        *hop = next;
                        *hops += 1;
                        None
                    }
                    Err(no_outcome) => Some(Err(Ended::at(hop.node.address(), no_outcome))),
                }
            }
            (To::Node { hop, .. }, Err(no_outcome)) => {
                Some(Err(Ended::at(hop.node.address(), no_outcome)))
            }
            (_, outcome) => Some(outcome.map_err(Ended::from)),
        }
    }
}

/// Runs a command at the server that has the key. A macro, because the compiler cannot show that the future of a
/// closure that borrows is `Send`.
macro_rules! run {
    ($nodes:expr, $key:expr, |$server:ident, $leg:ident| $command:expr) => {
        match $nodes.route($key).await {
            Ok(mut route) => loop {
                let outcome = {
                    let ($server, $leg) = (route.server(), route.leg());
                    $command.await
                };
                if let Some(outcome) = route.end(outcome).await {
                    break outcome;
                }
            },
            Err(error) => Err($crate::store::redis::outcome::Ended::from(error)),
        }
    };
}

pub(super) use run;

impl fmt::Debug for Nodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.describe())
    }
}
