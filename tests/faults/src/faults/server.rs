//! Faults of the server's process: it is killed, or stands still.

use std::{thread, time::Duration};

use anyhow::Result;

use crate::{
    check::violation::Loses,
    fault::{Evidence, Fault},
    history::{Broken, now},
    servers::Layout,
    stage::{Road, Stage, Wall},
};

/// This family.
pub const FAULTS: &[Fault] = &[
    Fault { needs: 50, round: |stage| stop(stage, 40_000), ..STOPPED },
    Fault { name: "stop-5s", needs: 6, round: |stage| stop(stage, 5_000), ..STOPPED },
    Fault { name: "stop-2s", needs: 3, round: |stage| stop(stage, 2_000), ..STOPPED },
    Fault {
        name: "stop-0.5s",
        needs: 1,
        round_trip: 500,
        evidence: Evidence::Slow(Duration::from_millis(300)),
        round: |stage| stop(stage, 500),
        ..STOPPED
    },
    Fault {
        name: "kill-server",
        road: Road::Direct,
        wall: Wall::Nobody,
        servers: Layout::One(&["--appendonly", "yes", "--appendfsync", "always"]),
        loses: Loses::Never,
        needs: 1,
        round_trip: 0,
        evidence: Evidence::Failed,
        round: kill,
    },
    Fault {
        name: "lose-data",
        road: Road::Direct,
        wall: Wall::Nobody,
        servers: Layout::One(&[]),
        loses: Loses::Never,
        needs: 1,
        round_trip: 0,
        evidence: Evidence::Failed,
        round: lose,
    },
];

const STOPPED: Fault = Fault {
    name: "stop-40s",
    road: Road::Direct,
    wall: Wall::Nobody,
    servers: Layout::One(&[]),
    loses: Loses::Never,
    needs: 50,
    round_trip: 1_000,
    evidence: Evidence::Unknown,
    round: |_| Ok(0),
};

/// The server stands still (SIGSTOP). Commands to it wait in its buffers.
fn stop(stage: &mut Stage, milliseconds: u64) -> Result<u64> {
    stage.server()?.suspend();
    thread::sleep(Duration::from_millis(milliseconds));
    stage.server()?.resume();
    Ok(1)
}

/// The server is killed, and starts again with its data: it writes every command down before it answers.
fn kill(stage: &mut Stage) -> Result<u64> {
    stage.server()?.kill();
    stage.wait(0..=500);
    stage.server()?.restart();
    Ok(1)
}

/// The server is killed, and starts again without its data.
fn lose(stage: &mut Stage) -> Result<u64> {
    let start = now();
    stage.server()?.kill();
    stage.record.broken(Broken::Amnesia, start);
    stage.wait(0..=500);
    stage.server()?.restart();
    Ok(1)
}
