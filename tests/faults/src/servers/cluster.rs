//! A Redis Cluster whose masters have one replica each: if one replica has a lock, each node that can be promoted has
//! it.

use holdfast_tests::{
    redis_cluster::{ClusterOptions, RedisCluster},
    redis_server::RedisServer,
};

use crate::view::cluster::ClusterView;

/// How many masters there are. As many nodes follow, their replicas.
pub const MASTERS: usize = 3;

/// Starts it, with a network of its own or not.
pub async fn start(network: Option<String>) -> RedisCluster {
    let options =
        ClusterOptions { masters: MASTERS, replicas: 1, network, ..ClusterOptions::default() };
    RedisCluster::start_with(options).await
}

/// The replica of a master, or the node that was promoted in its place and is its master now.
pub fn partner(node: usize) -> usize {
    (node + MASTERS) % (2 * MASTERS)
}

/// The settings of the workers.
pub fn settings() -> Vec<String> {
    vec!["redisType=cluster".to_owned()]
}

/// The view of the masters.
pub fn view(cluster: &RedisCluster) -> ClusterView {
    ClusterView::new(cluster.nodes().iter().map(RedisServer::port).collect())
}
