//! Faults that are a command of another client.

use anyhow::Result;

use crate::{
    check::violation::Loses,
    fault::{Evidence, Fault},
    history::{Broken, now},
    servers::Layout,
    stage::{Road, Stage, Wall},
};

/// This family. Each fault counts its effects.
pub const FAULTS: &[Fault] = &[
    Fault { name: "client-kill", round: client_kill, ..COMMAND },
    Fault { name: "script-flush", round: script_flush, ..COMMAND },
    Fault { name: "flushall", round: flushall, ..COMMAND },
];

const COMMAND: Fault = Fault {
    name: "",
    road: Road::Direct,
    wall: Wall::Nobody,
    servers: Layout::One(&[]),
    loses: Loses::Never,
    needs: 1,
    round_trip: 0,
    evidence: Evidence::Counted,
    round: |_| Ok(0),
};

/// The server repeatedly closes all connections.
fn client_kill(stage: &mut Stage) -> Result<u64> {
    let mut admin = stage.admin()?;
    let mut killed = 0;
    for _ in 0..10 {
        // One of them is the probe's.
        killed += admin.kill_clients()?.saturating_sub(1);
        stage.wait(1..=60);
    }
    Ok(killed)
}

/// The server repeatedly forgets the scripts.
fn script_flush(stage: &mut Stage) -> Result<u64> {
    let mut admin = stage.admin()?;
    let before = admin.figure("errorstats", "errorstat_NOSCRIPT:count=")?;
    for _ in 0..10 {
        admin.run::<()>(&["SCRIPT", "FLUSH"])?;
        stage.wait(1..=60);
    }
    Ok(admin.figure("errorstats", "errorstat_NOSCRIPT:count=")? - before)
}

/// Another client deletes everything.
fn flushall(stage: &mut Stage) -> Result<u64> {
    let keys = stage.locks()?;
    let mut admin = stage.admin()?;
    let start = now();
    admin.run::<()>(&["FLUSHALL"])?;
    stage.record.broken(Broken::Amnesia, start);
    Ok(keys)
}
