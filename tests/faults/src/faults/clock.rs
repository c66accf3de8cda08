//! Faults of wall clocks: the server's, or those of all workers, are set while they run.

use anyhow::Result;

use crate::{
    check::violation::Loses,
    fault::{Evidence, Fault},
    servers::Layout,
    stage::{Road, Stage, Wall},
};

/// This family. The faults of the server's clock count the locks that exist when it is set.
pub const FAULTS: &[Fault] = &[
    Fault { name: "clock-forward", round: forward, ..SERVER },
    Fault { name: "clock-back", round: back, ..SERVER },
    Fault {
        name: "clock-workers",
        road: Road::Proxy,
        wall: Wall::Workers,
        evidence: Evidence::WallClock,
        round: workers,
        ..SERVER
    },
];

const SERVER: Fault = Fault {
    name: "",
    road: Road::Direct,
    wall: Wall::Server,
    servers: Layout::One(&[]),
    loses: Loses::Never,
    needs: 1,
    round_trip: 0,
    evidence: Evidence::Counted,
    round: |_| Ok(0),
};

const HOUR: i64 = 3_600_000;

/// The server's clock is set forward, and stays so.
fn forward(stage: &mut Stage) -> Result<u64> {
    let locks = stage.locks()?;
    let step = some_step(stage);
    stage.step_server(step)?;
    stage.wait(200..=1_000);
    Ok(locks)
}

/// The server's clock is set back, and after a while to the right time again. It is not left so: a lock that
/// nobody gave back would be held for an hour.
fn back(stage: &mut Stage) -> Result<u64> {
    let locks = stage.locks()?;
    let step = some_step(stage);
    stage.step_server(-step)?;
    stage.wait(200..=1_500);
    stage.step_server(step)?;
    stage.wait(100..=500);
    Ok(locks)
}

/// The workers' clocks are set forward or back, and to the right time again, each time with replies that get
/// lost: only the time that the error for such a call names depends on that clock.
fn workers(stage: &mut Stage) -> Result<u64> {
    let step = if stage.random.bool() { some_step(stage) } else { -some_step(stage) };
    for step in [step, -step] {
        stage.step_workers(step)?;
        stage.proxy()?.hold_replies();
        stage.wait(20..=200);
        stage.proxy()?.cut();
        stage.wait(100..=600);
    }
    Ok(1)
}

/// An hour, or much less, in milliseconds.
fn some_step(stage: &mut Stage) -> i64 {
    if stage.random.bool() { HOUR } else { stage.random.i64(50..=2_000) }
}
