//! Faults of the network, made by a proxy.

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
    Fault { name: "delay-commands", evidence: SLOW, round: delay_commands, ..NETWORK },
    Fault { name: "delay-replies", evidence: SLOW, round: delay_replies, ..NETWORK },
    Fault { name: "black-hole", round: black_hole, ..NETWORK },
    Fault { name: "cut", round: cut, ..NETWORK },
    Fault { name: "corrupt", round: corrupt, ..NETWORK },
];

const NETWORK: Fault = Fault {
    name: "",
    road: Road::Proxy,
    wall: Wall::Nobody,
    servers: Layout::One(&[]),
    loses: Loses::Never,
    needs: 3,
    round_trip: 1_000,
    evidence: Evidence::Unknown,
    round: |_| Ok(0),
};

const SLOW: Evidence = Evidence::Slow(Duration::from_millis(50));

/// Commands arrive late, some when the caller has given up and the time to live is over.
fn delay_commands(stage: &mut Stage) -> Result<u64> {
    let delay = delay(stage);
    stage.proxy()?.delay_commands(delay);
    pass(stage)
}

/// Replies arrive late.
fn delay_replies(stage: &mut Stage) -> Result<u64> {
    let delay = delay(stage);
    stage.proxy()?.delay_replies(delay);
    pass(stage)
}

/// All bytes vanish, on all connections that are open or opened meanwhile.
fn black_hole(stage: &mut Stage) -> Result<u64> {
    stage.proxy()?.swallow();
    pass(stage)
}

/// Connections break while replies are on their way.
fn cut(stage: &mut Stage) -> Result<u64> {
    stage.proxy()?.hold_replies();
    stage.wait(20..=200);
    stage.proxy()?.cut();
    Ok(1)
}

/// Bytes that are no reply are put before replies. A client cannot know which replies they replace, so the
/// connection is lost to it.
fn corrupt(stage: &mut Stage) -> Result<u64> {
    stage.proxy()?.corrupt_replies();
    pass(stage)
}

/// A delay in which many locks end before their caller gives up, a shorter one, or one that is longer than callers
/// wait.
fn delay(stage: &mut Stage) -> Duration {
    match stage.random.u8(..4) {
        0 => stage.some(50..=400),
        1 => stage.some(1_000..=4_000),
        _ => stage.some(400..=900),
    }
}

/// Lets the fault last a while, and mends the network.
fn pass(stage: &mut Stage) -> Result<u64> {
    stage.wait(200..=2_500);
    stage.proxy()?.mend();
    Ok(1)
}
