//! A master with one replica: if one replica has a lock, each node that can be promoted has it.

use holdfast_tests::{
    redis_server::RedisServer,
    sentinel_group::{SentinelGroup, SentinelOptions},
};

use crate::view::sentinel::SentinelView;

/// Starts it, with three sentinels.
pub async fn start() -> SentinelGroup {
    SentinelGroup::start_with(SentinelOptions { replicas: 1, ..SentinelOptions::default() }).await
}

/// The settings of the workers.
pub fn settings(group: &SentinelGroup) -> Vec<String> {
    vec!["failover=true".to_owned(), format!("sentinelMasterName={}", group.name())]
}

/// The view of the master.
pub fn view(group: &SentinelGroup) -> SentinelView {
    let ports = |servers: &[RedisServer]| servers.iter().map(RedisServer::port).collect();
    SentinelView::new(group.name().to_owned(), ports(group.sentinels()), ports(group.nodes()))
}
