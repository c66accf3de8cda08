//! Locks at several servers, against locks at one: throughput, and handing a contended lock over.

use std::sync::Arc;

use anyhow::Result;
use holdfast::{
    Locks,
    store::redis::{self, RedisSettings},
};
use holdfast_tests::{
    redis_cluster::{ClusterOptions, RedisCluster},
    redis_server::RedisServer,
    sentinel_group::SentinelGroup,
};
use tokio::runtime::Runtime;

use crate::{
    handover::notified,
    redis_locks::{Through, drive},
    rounds::{Rounds, Turn},
    table::Table,
    workload::{APP_ID, STORE_NAME},
};

/// How many callers there are at once.
const CALLERS: [usize; 2] = [16, 64];

/// Locks at servers of one kind, for two processes.
struct Contestant {
    name: &'static str,
    pair: [Locks; 2],
}

/// Measures each kind of servers beside one server, and adds the rows.
pub fn measure(rounds: Rounds, table: &mut Table) -> Result<()> {
    let runtime = Runtime::new()?;
    let alone = RedisServer::start();
    let group = runtime.block_on(SentinelGroup::start());
    let options = ClusterOptions { replicas: 0, ..ClusterOptions::default() };
    let cluster = runtime.block_on(RedisCluster::start_with(options));
    let persistent = ["--appendonly", "yes", "--appendfsync", "always"];
    let quorum: [RedisServer; 3] = std::array::from_fn(|_| RedisServer::start_with(&persistent));
    let open = |name, settings: RedisSettings| {
        let locks = || runtime.block_on(locks(settings.clone()));
        Ok::<_, anyhow::Error>(Contestant { name, pair: [locks()?, locks()?] })
    };
    let behind_sentinels = || RedisSettings::sentinel(group.name(), group.addresses());
    let contestants = [
        open("one server", RedisSettings::new("127.0.0.1").port(alone.port()))?,
        open("Sentinel", behind_sentinels())?,
        open("Sentinel, one replica must have it", behind_sentinels().min_replicas(1))?,
        open("a Cluster of 3 masters", RedisSettings::cluster(cluster.addresses()))?,
        open("a quorum of 3", RedisSettings::quorum(quorum.iter().map(RedisServer::address)))?,
    ];
    for callers in CALLERS {
        let through: Vec<_> = contestants.iter().map(|it| Through(it.pair[0].clone())).collect();
        let mut turns: Vec<_> =
            through.iter().map(|by| |length| drive(&runtime, callers, length, by)).collect();
        let turns = turns.iter_mut().map(|turn| turn as Turn<'_>).collect();
        let rates = rounds.run_all(turns)?;
        for (Contestant { name, .. }, ours) in contestants.iter().zip(&rates).skip(1) {
            let what = format!("acquire + release, {callers} at once: {name} / one server");
            table.throughput(&what, ours, &rates[0], None);
        }
    }
    let mut turns: Vec<_> = contestants
        .iter()
        .map(|it| |length| runtime.block_on(notified(length, &it.pair)))
        .collect();
    let turns = turns.iter_mut().map(|turn| turn as Turn<'_>).collect();
    let rates = rounds.run_all(turns)?;
    for (Contestant { name, .. }, ours) in contestants.iter().zip(&rates).skip(1) {
        let what = format!("hand-over of a contended lock: {name} / one server");
        table.call(&what, ours, &rates[0], "");
    }
    Ok(())
}

async fn locks(settings: RedisSettings) -> Result<Locks> {
    let store = redis::connect(STORE_NAME, settings).await?;
    Ok(Locks::builder().app_id(APP_ID).store(STORE_NAME, Arc::clone(&store)).build()?)
}
