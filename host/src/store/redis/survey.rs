//! What an operator sees of the servers: their roles, and what their locks can promise.

use futures_util::future::join_all;
use holdfast_redis_rules::{address::Address, disk, fitness, reply::Reply, settings::Servers};

use super::{
    client::Client, description, endpoint::Endpoint, nodes::Nodes, settings::RedisSettings,
};
use crate::store::{Role, Server, Survey};

/// The text for a server that closes the connection when it is asked what it is.
const SILENT: &str = "it does not answer INFO";

/// The role of the server that takes locks, if it has no replicas or does not answer.
fn role(settings: &RedisSettings) -> Role {
    match settings.expected().role {
        fitness::Role::Alone => Role::Alone,
        fitness::Role::Master { .. } | fitness::Role::ClusterMaster { .. } => Role::Master,
    }
}

/// Asks all servers what they are.
pub(super) async fn survey(nodes: &Nodes, settings: &RedisSettings) -> Survey {
    let servers = match nodes {
        Nodes::One(client) => match client.endpoint() {
            Endpoint::Fixed(address) | Endpoint::Named { address, .. } => {
                master(client, address.to_string(), role(settings)).await
            }
            Endpoint::Master(sentinels) => {
                let mut servers = match client.connections().find_server().await {
                    Ok(address) => master(client, address.to_string(), role(settings)).await,
                    Err(_) => Vec::new(),
                };
                let told = sentinels.survey().await.into_iter().map(|(sentinel, told)| Server {
                    address: sentinel.to_string(),
                    role: Role::Sentinel,
                    about: match told {
                        Ok(master) => format!("the master is {master}"),
                        Err(error) => error.cause,
                    },
                });
                servers.extend(told);
                servers
            }
        },
        Nodes::Cluster(cluster) => {
            // If no node answers, the known nodes are shown.
            let _ = cluster.ask().await;
            let masters = cluster.masters();
            let told = masters.iter().map(async |(client, slots)| {
                let mut servers = master(client, client.address().to_owned(), Role::Master).await;
                if let Some(first) = servers.first_mut() {
                    first.about = format!("{slots} slots, {}", first.about);
                }
                servers
            });
            join_all(told).await.concat()
        }
    };
    Survey { servers, promise: promise(settings) }
}

/// A server that takes locks, and the replicas that it reports.
async fn master(client: &Client, address: String, role: Role) -> Vec<Server> {
    if client.connections().dialer().is_silent() {
        return vec![Server { address, role, about: SILENT.to_owned() }];
    }
    let info = match client.info().await {
        Ok(info) => info,
        Err(about) => return vec![Server { address, role, about }],
    };
    let replicas: Vec<Server> = fitness::replicas(&info)
        .map(|(host, port, state)| Server {
            address: Address { host: host.to_owned(), port }.to_string(),
            role: Role::Replica,
            about: state.to_owned(),
        })
        .collect();
    let info = Reply::Text(info);
    let policy = if disk::keeps_file(&info) { client.disk_policy().await } else { None };
    let about = description::describe(&info, policy.as_deref()).unwrap_or_default();
    let about = match client.connections().absence() {
        Some(absence) => format!("{absence}; {about}"),
        None => about,
    };
    [vec![Server { address, role, about }], replicas].concat()
}

/// What can end a lock early.
fn promise(settings: &RedisSettings) -> String {
    const FORGETS: &str = "a server that loses its data loses its locks";
    let common = &settings.common;
    let failover = match (common.min_replicas, common.replicas_on_disk) {
        (0, _) => {
            "a failover can lose a lock that was taken just before (minReplicas is 0)".to_owned()
        }
        (replicas, on_disk) => {
            let have = match (replicas, on_disk) {
                (1, false) => "1 replica has a lock".to_owned(),
                (1, true) => "1 replica has a lock on its disk".to_owned(),
                (_, false) => format!("{replicas} replicas have a lock"),
                (_, true) => format!("{replicas} replicas have a lock on their disks"),
            };
            format!(
                "{have} when its owner gets it; a failover to one that does not have it loses it"
            )
        }
    };
    match &settings.servers {
        Servers::One(_) if common.min_replicas == 0 => {
            format!("A lock is as safe as this one server: {FORGETS}.")
        }
        Servers::One(_) | Servers::Sentinel(_) | Servers::Cluster(_) => {
            format!(
                "A lock is as safe as its master and the replica that takes its place: {failover}."
            )
        }
        Servers::Quorum(_) => String::new(),
    }
}
