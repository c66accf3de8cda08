//! Faults of a quorum of five servers, any three of which decide.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;

use crate::{
    check::violation::Loses,
    fault::{Evidence, Fault},
    history::{Broken, now, wall},
    servers::{
        Layout,
        quorum::{NODES, Quorum},
    },
    sides::Loss,
    stage::{Road, Stage, Wall},
};

/// This family.
pub const FAULTS: &[Fault] = &[
    Fault {
        name: "quorum-restarted-empty",
        evidence: Evidence::Cause("may have lost locks"),
        round: restart_empty,
        ..QUORUM
    },
    Fault { name: "quorum-two-stopped", evidence: Evidence::Meanwhile, round: stop_two, ..QUORUM },
    Fault { name: "quorum-minority", round: cut_minority, ..QUORUM },
    Fault { name: "quorum-majority", evidence: Evidence::Refused, round: cut_majority, ..QUORUM },
    Fault { name: "quorum-split", round: split, ..QUORUM },
    Fault { name: "quorum-clocks", wall: Wall::Apart, round: clocks, ..QUORUM },
];

const QUORUM: Fault = Fault {
    name: "",
    road: Road::Sides,
    wall: Wall::Nobody,
    servers: Layout::Quorum,
    loses: Loses::Never,
    needs: 10,
    round_trip: 1_000,
    evidence: Evidence::Counted,
    round: |_| Ok(0),
};

/// The servers that each side does not reach while they are split. They have one server in common.
const SPLIT: [&[usize]; 2] = [&[3, 4], &[0, 1]];

/// The server that both sides reach then.
const COMMON: usize = 2;

/// Two servers are cut off from all workers. Counts the locks that only the other servers had.
fn cut_minority(stage: &mut Stage) -> Result<u64> {
    let order = some_order(stage);
    let (out, others) = order.split_at(2);
    let length = stage.some(500..=3_000);
    let loss = some_loss(stage, length);
    stage.sides()?.cut([out, out], loss);
    let counted = count(stage, length, |quorum, keys| quorum.held_by(others, out, keys));
    stage.sides()?.mend();
    counted
}

/// Three servers are cut off from all workers.
fn cut_majority(stage: &mut Stage) -> Result<u64> {
    let order = some_order(stage);
    let length = stage.some(500..=3_000);
    let loss = some_loss(stage, length);
    stage.sides()?.cut([&order[..3]; 2], loss);
    let (start, begun) = (now(), Instant::now());
    thread::sleep(length);
    // Late commands arrive later than this.
    if begun.elapsed() < length + LATER {
        stage.record.broken(Broken::MajorityGone, start);
    }
    stage.sides()?.mend();
    Ok(1)
}

/// The sides reach three servers each. Counts the locks that one side has taken, or the other, whichever are fewer.
fn split(stage: &mut Stage) -> Result<u64> {
    let length = stage.some(500..=3_000);
    let loss = some_loss(stage, length);
    stage.sides()?.cut(SPLIT, loss);
    let mut taken = [0; 2];
    let counted = count(stage, length, |quorum, keys| {
        taken[0] += quorum.held_by(&[0, 1, COMMON], SPLIT[0], keys);
        taken[1] += quorum.held_by(&[COMMON, 3, 4], SPLIT[1], keys);
        0
    });
    stage.sides()?.mend();
    counted.map(|_| taken[0].min(taken[1]))
}

/// Two servers stand still (SIGSTOP), or are killed and start again without their locks.
fn stop_two(stage: &mut Stage) -> Result<u64> {
    let order = some_order(stage);
    let length = stage.some(500..=3_000);
    let two = [0, 1].map(|place| (order[place], stage.random.bool()));
    let start = now();
    for (node, is_killed) in two {
        let node = &mut stage.quorum()?.nodes[node];
        if is_killed { node.kill() } else { node.suspend() }
    }
    let gone = now();
    if two.iter().any(|(_, is_killed)| *is_killed) {
        stage.record.broken(Broken::MinorityAmnesia, start);
    }
    thread::sleep(length);
    stage.record.broken(Broken::MinorityGone, gone);
    for (node, is_killed) in two {
        let node = &mut stage.quorum()?.nodes[node];
        if is_killed { node.restart() } else { node.resume() }
    }
    // No more than a minority may have forgotten locks that have not ended.
    two.iter().try_for_each(|(node, _)| stage.quorum()?.takes_part(*node))?;
    Ok(1)
}

/// The server that both sides reach is killed and starts again without its locks, while they reach only two more each.
fn restart_empty(stage: &mut Stage) -> Result<u64> {
    stage.sides()?.cut(SPLIT, Loss::All);
    stage.wait(300..=1_000);
    let start = now();
    stage.quorum()?.nodes[COMMON].kill();
    stage.record.broken(Broken::MinorityAmnesia, start);
    match stage.random.bool() {
        true => stage.wait(0..=50),
        // The server counts the seconds of its clock that began since its start, so it soon reports that one has
        // passed.
        false => thread::sleep(Duration::from_millis(960_u64.saturating_sub(wall() % 1_000))),
    }
    let quorum = stage.quorum()?;
    quorum.nodes[COMMON].restart();
    quorum.takes_part(COMMON)?;
    stage.wait(300..=1_000);
    stage.sides()?.mend();
    Ok(1)
}

/// Each side is cut off from two servers, so that locks are taken by one majority after another, whose clocks differ.
/// Counts those clocks.
fn clocks(stage: &mut Stage) -> Result<u64> {
    let orders = [some_order(stage), some_order(stage)];
    let length = stage.some(100..=600);
    let loss = some_loss(stage, length);
    stage.sides()?.cut([&orders[0][..2], &orders[1][..2]], loss);
    thread::sleep(length);
    stage.sides()?.mend();
    Ok(stage.quorum()?.strange_clocks())
}

/// How much later than its cut a road delivers.
const LATER: Duration = Duration::from_millis(500);

/// The effect of a cut of this length.
fn some_loss(stage: &mut Stage, length: Duration) -> Loss {
    match stage.random.u8(..3) {
        0 => Loss::All,
        1 => Loss::Commands(length + LATER),
        _ => Loss::Replies(length + LATER),
    }
}

/// The servers in any order.
fn some_order(stage: &mut Stage) -> [usize; NODES] {
    let mut order = std::array::from_fn(|node| node);
    stage.random.shuffle(&mut order);
    order
}

/// Repeatedly counts something in the servers, for this long.
fn count(
    stage: &mut Stage,
    length: Duration,
    mut held: impl FnMut(&Quorum, usize) -> u64,
) -> Result<u64> {
    let deadline = Instant::now() + length;
    let mut counted = 0;
    while Instant::now() < deadline {
        let keys = stage.keys;
        counted += held(stage.quorum()?, keys);
        thread::sleep(Duration::from_millis(50));
    }
    Ok(counted)
}
