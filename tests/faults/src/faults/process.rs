//! Faults of a worker's process.

use std::time::Duration;

use anyhow::Result;

use crate::{
    check::violation::Loses,
    fault::{Evidence, Fault},
    servers::Layout,
    stage::{Road, Stage, Wall},
};

/// This family.
pub const FAULTS: &[Fault] = &[
    Fault {
        name: "stop-worker",
        road: Road::Proxy,
        wall: Wall::Nobody,
        servers: Layout::One(&[]),
        loses: Loses::Never,
        needs: 5,
        round_trip: 4_000,
        evidence: Evidence::Slow(Duration::from_millis(100)),
        round: stop,
    },
    Fault {
        name: "kill-worker",
        road: Road::Proxy,
        wall: Wall::Nobody,
        servers: Layout::One(&[]),
        loses: Loses::Never,
        needs: 1,
        round_trip: 0,
        evidence: Evidence::Died,
        round: kill,
    },
];

/// A worker stands still (SIGSTOP), often for longer than its locks last. Replies are slow, so that it has calls
/// under way.
fn stop(stage: &mut Stage) -> Result<u64> {
    stage.proxy()?.delay_replies(Duration::from_millis(50));
    stage.wait(50..=150);
    let worker = stage.someone();
    let length = stage.some(100..=4_000);
    stage.crew.stop(worker, length)?;
    stage.proxy()?.mend();
    Ok(1)
}

/// A worker is killed while its calls are under way, and another one takes its place.
fn kill(stage: &mut Stage) -> Result<u64> {
    stage.proxy()?.delay_replies(Duration::from_millis(50));
    stage.wait(50..=150);
    let worker = stage.someone();
    let killed = stage.crew.replace(worker)?;
    stage.proxy()?.mend();
    Ok(killed as u64)
}
