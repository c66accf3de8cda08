//! Faults of a master that sentinels watch: a replica is promoted in its place.

use anyhow::Result;

use crate::{
    check::violation::Loses,
    fault::{Evidence, Fault},
    history::{Broken, now},
    servers::{Guard, Layout},
    stage::{Road, Stage, Wall},
};

/// This family. Each is run without and with a replica that must have a lock.
pub const FAULTS: &[Fault] = &[
    Fault { name: "sentinel-failover", round: fail_over, ..SENTINEL },
    Fault { name: "sentinel-failover-guarded", round: fail_over, ..GUARDED },
    Fault { name: "sentinel-partition", round: partition, ..SENTINEL },
    Fault { name: "sentinel-partition-guarded", round: partition, ..GUARDED },
];

const SENTINEL: Fault = Fault {
    name: "",
    road: Road::Direct,
    wall: Wall::Nobody,
    servers: Layout::Sentinel(Guard::None),
    loses: Loses::InFailover,
    needs: 10,
    round_trip: 1_000,
    evidence: Evidence::Failed,
    round: |_| Ok(0),
};

const GUARDED: Fault =
    Fault { servers: Layout::Sentinel(Guard::Replica), loses: Loses::Never, ..SENTINEL };

/// The sentinels promote the replica by order, or because the master is killed. It starts again
/// without its data, as a replica.
fn fail_over(stage: &mut Stage) -> Result<u64> {
    let runtime = stage.runtime.clone();
    let kills = stage.random.bool();
    let start = now();
    let group = stage.sentinel()?;
    if kills {
        let old = runtime.block_on(group.kill_master());
        group.restart_node(old);
        runtime.block_on(group.settled());
    } else {
        runtime.block_on(group.failover());
    }
    stage.record.broken(Broken::Failover, start);
    Ok(1)
}

/// The master is cut off from its replica and the sentinels, which promote the replica. Clients reach both.
fn partition(stage: &mut Stage) -> Result<u64> {
    let runtime = stage.runtime.clone();
    let start = now();
    let old = runtime.block_on(stage.sentinel()?.isolate_master());
    stage.wait(0..=1_000);
    let group = stage.sentinel()?;
    group.rejoin(old);
    runtime.block_on(group.settled());
    stage.record.broken(Broken::Failover, start);
    Ok(1)
}
