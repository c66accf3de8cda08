//! Faults of the network below TCP: the kernel sends lost packets again when the network is mended, even after the
//! socket was closed.

use anyhow::{Context, Result};

use crate::{
    check::violation::Loses,
    fault::{Evidence, Fault},
    namespace::Cut,
    servers::Layout,
    stage::{Road, Stage, Wall},
};

/// This family.
pub const FAULTS: &[Fault] = &[Fault {
    name: "partition",
    road: Road::Namespace,
    wall: Wall::Nobody,
    servers: Layout::One(&[]),
    loses: Loses::Never,
    needs: 5,
    round_trip: 1_000,
    evidence: Evidence::Unknown,
    round: partition,
}];

/// No packet arrives, in one direction or both.
fn partition(stage: &mut Stage) -> Result<u64> {
    let what = stage.random.choice([Cut::Commands, Cut::Replies, Cut::Both]).unwrap_or(Cut::Both);
    let length = stage.some(500..=4_000);
    let namespace = stage.namespace.as_ref().context("the workers have no namespace")?;
    namespace.cut(what)?;
    std::thread::sleep(length);
    namespace.mend()?;
    Ok(1)
}
