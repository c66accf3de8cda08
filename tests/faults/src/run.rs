//! One run: workers take locks while one fault is repeatedly broken and mended, and the checker looks at the history.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use tokio::runtime::Handle;

use crate::{
    check::{
        check, losses,
        violation::{Loses, Rules, Violation},
    },
    crew::{CALL_LIMIT, PATIENCE},
    fault::Fault,
    history::{Answer, Broken, History, Nanos, ms, nanos, now},
    probe::Probe,
    servers::Layout,
    stage::{Size, Stage},
    task::{LONGEST_TTL, key},
};

/// How late things may be: the driver and the servers share the processors.
const SLACK: Nanos = ms(100);

/// The slowest round trip that the load alone can cause.
const ROUND_TRIP: Nanos = ms(300);

/// How long the workers work before the first round, and after the last.
const CALM: Duration = Duration::from_millis(1_000);

/// The outcome of a run.
pub struct Outcome {
    /// The fault.
    pub fault: &'static str,
    /// How often it was broken and mended.
    pub rounds: u64,
    /// How often it was felt.
    pub felt: u64,
    /// Which locks it may lose.
    pub loses: Loses,
    /// How many locks failovers have lost.
    pub lost: u64,
    /// The history.
    pub history: History,
    /// The broken promises.
    pub violations: Vec<Violation>,
}

/// Runs one fault for this long.
pub fn run(
    fault: &Fault,
    length: Duration,
    size: Size,
    seed: u64,
    runtime: &Handle,
) -> Result<Outcome> {
    let mut stage = Stage::set(fault.road, fault.wall, fault.servers, size, seed, runtime)?;
    let keys: Vec<_> = (0..size.keys).map(key).collect();
    let probe = Probe::start(stage.servers.view(), keys, stage.record.clone());
    thread::sleep(CALM);
    let (mut rounds, mut counted) = (0, 0);
    let deadline = Instant::now() + length;
    while rounds == 0 || Instant::now() < deadline {
        let start = now();
        counted += (fault.round)(&mut stage).with_context(|| format!("round {rounds}"))?;
        stage.record.broken(Broken::Fault, start);
        rounds += 1;
        stage.wait(100..=1_000);
    }
    thread::sleep(CALM);
    let Stage { servers, proxy, sides, namespace, wires, crew, clock, record, .. } = stage;
    crew.finish()?;
    let settled = now() + ms(LONGEST_TTL) + SLACK;
    thread::sleep(Duration::from_nanos(settled - now()) + CALM / 4);
    probe.finish();
    drop((proxy, sides, namespace, servers, wires, clock));
    let history = record.take(settled);
    let rules = Rules {
        slack: SLACK,
        rounding: ms(2),
        round_trip: ROUND_TRIP.max(ms(fault.round_trip)),
        patience: PATIENCE,
        limit: CALL_LIMIT,
        loses: fault.loses,
        by_majority: matches!(fault.servers, Layout::Quorum),
    };
    let violations = check(&history, &rules);
    let lost = losses::count(&history, &rules);
    let felt = fault.evidence.count(&history, counted);
    Ok(Outcome { fault: fault.name, rounds, felt, loses: fault.loses, lost, history, violations })
}

impl Outcome {
    /// How many calls ended in a way.
    pub fn count(&self, ended: impl Fn(&Answer) -> bool) -> u64 {
        self.history.events.iter().filter(|event| ended(&event.answer)).count() as u64
    }

    /// When the first call began.
    pub fn zero(&self) -> u64 {
        self.history.events.first().map_or(0, |event| event.start)
    }

    /// Whether no promise was broken and the fault was felt.
    pub fn is_good(&self) -> bool {
        self.violations.is_empty() && self.felt > 0
    }
}

/// The time that a run takes besides its rounds.
pub fn overhead() -> Duration {
    CALM * 2 + CALM / 4 + Duration::from_nanos(ms(LONGEST_TTL) + SLACK)
}

/// A length of time in seconds, for people.
pub fn seconds(length: u64) -> f64 {
    length as f64 / nanos(Duration::from_secs(1)) as f64
}
