//! Faults of a Redis Cluster: slots move, and replicas are promoted, in place of masters that are cut off too.

use std::{thread, time::Duration};

use anyhow::Result;
use holdfast_tests::redis_cluster::RedisCluster;

use crate::{
    check::violation::Loses,
    fault::{Evidence, Fault},
    history::{Broken, now},
    servers::{
        Guard, Layout,
        cluster::{MASTERS, partner},
    },
    stage::{Road, Stage, Wall},
    task::{is_lock, key},
};

/// This family. Failovers and partitions are run without and with a replica that must have a lock.
pub const FAULTS: &[Fault] = &[
    Fault {
        name: "cluster-migration",
        loses: Loses::Never,
        evidence: Evidence::Counted,
        round: migrate,
        ..CLUSTER
    },
    Fault { name: "cluster-failover", ..CLUSTER },
    Fault { name: "cluster-failover-guarded", ..GUARDED },
    Fault { name: "cluster-partition", road: Road::Wires, round: partition, ..CLUSTER },
    Fault { name: "cluster-partition-guarded", road: Road::Wires, round: partition, ..GUARDED },
];

const CLUSTER: Fault = Fault {
    name: "",
    road: Road::Direct,
    wall: Wall::Nobody,
    servers: Layout::Cluster(Guard::None),
    loses: Loses::InFailover,
    needs: 10,
    round_trip: 1_000,
    evidence: Evidence::Failed,
    round: fail_over,
};

const GUARDED: Fault =
    Fault { servers: Layout::Cluster(Guard::Replica), loses: Loses::Never, ..CLUSTER };

/// How long, in milliseconds, a node of Redis 7.0 may count the votes of an election again in the next election, which
/// it then wins in vain: four times the timeout of a node, and the time that the election was under way.
const ELECTION: u64 = 5_000;

/// The slot of all locks moves to another master, and takes some time. Counts the locks that moved.
fn migrate(stage: &mut Stage) -> Result<u64> {
    let runtime = stage.runtime.clone();
    let steps = [stage.some(0..=300), stage.some(0..=300)];
    let further = stage.random.usize(1..MASTERS);
    let cluster = stage.cluster()?;
    let slot = cluster.slot_of(&key(0));
    let from = cluster.owner_of(slot);
    cluster.begin_migration(slot, (from + further) % MASTERS);
    thread::sleep(steps[0]);
    let mut moved = cluster.migrate_keys(slot);
    thread::sleep(steps[1]);
    moved.extend(cluster.migrate_keys(slot));
    runtime.block_on(cluster.end_migration(slot));
    Ok(moved.iter().filter(|key| is_lock(key)).count() as u64)
}

/// The replica of the master with all locks is promoted by order, or because its master is killed. It lacks the last
/// commands of a killed master. The master starts again without its data, as a replica.
fn fail_over(stage: &mut Stage) -> Result<u64> {
    let runtime = stage.runtime.clone();
    let (kills, lag) = (stage.random.bool(), stage.some(300..=800));
    stage.wait(ELECTION..=ELECTION + 1_000);
    let start = now();
    let cluster = stage.cluster()?;
    let slot = cluster.slot_of(&key(0));
    let master = cluster.owner_of(slot);
    if kills {
        cut_off(cluster, master, lag);
        cluster.kill(master);
        cluster.nodes()[partner(master)].resume();
        runtime.block_on(cluster.promoted(slot, master));
        cluster.restart(master);
        runtime.block_on(cluster.settled());
    } else {
        runtime.block_on(cluster.failover(partner(master)));
    }
    stage.record.broken(Broken::Failover, start);
    Ok(1)
}

/// The master with all locks is cut off from all other nodes, which promote its replica, unless it comes back before.
/// Clients reach both sides.
fn partition(stage: &mut Stage) -> Result<u64> {
    let runtime = stage.runtime.clone();
    let comes_back = (stage.random.u8(..4) == 0).then(|| stage.some(200..=1_500));
    let later = stage.some(0..=1_000);
    stage.wait(ELECTION..=ELECTION + 1_000);
    let start = now();
    let cluster = stage.cluster()?;
    let slot = cluster.slot_of(&key(0));
    let master = cluster.owner_of(slot);
    let ends = cluster.ends(master);
    stage.wires()?.cut_off(&ends)?;
    if let Some(length) = comes_back {
        thread::sleep(length);
        stage.wires()?.mend();
    } else {
        let cluster = stage.cluster()?;
        cluster.isolated(master);
        runtime.block_on(cluster.promoted(slot, master));
        thread::sleep(later);
        stage.wires()?.mend();
        stage.cluster()?.rejoined(master);
    }
    runtime.block_on(stage.cluster()?.settled());
    stage.record.broken(Broken::Failover, start);
    Ok(1)
}

/// The master works for a while without its replica, which stands still from then on.
fn cut_off(cluster: &RedisCluster, master: usize, length: Duration) {
    cluster.nodes()[partner(master)].suspend();
    // Otherwise data that is on its way would still arrive.
    cluster.nodes()[master].run::<()>(&["CLIENT", "KILL", "TYPE", "replica"]);
    thread::sleep(length);
}
