//! A short run of the faults that fit into it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    env,
    process::{Command, Stdio},
};

use holdfast_tests::clock::FAKETIME;

/// The faults that must have been run.
const FAULTS: [&str; 24] = [
    "stop-5s",
    "stop-2s",
    "stop-0.5s",
    "kill-server",
    "lose-data",
    "sentinel-failover-guarded",
    "cluster-migration",
    "quorum-restarted-empty",
    "quorum-majority",
    "delay-commands",
    "delay-replies",
    "black-hole",
    "cut",
    "corrupt",
    "stop-worker",
    "kill-worker",
    "misconf",
    "oom",
    "readonly",
    "password",
    "maxclients",
    "client-kill",
    "script-flush",
    "flushall",
];

/// Those that need libfaketime.
const CLOCKS: [&str; 4] = ["clock-forward", "clock-back", "clock-workers", "quorum-clocks"];

/// Runs where the system allows it.
const PARTITION: &str = "partition";

#[test]
fn a_lock_has_one_holder_whatever_fails() {
    let clocks = if env::var_os(FAKETIME).is_some() { &CLOCKS[..] } else { &[] };
    let faults: Vec<&str> = [&FAULTS, clocks].concat();
    let mut driver = Command::new(env!("CARGO_BIN_EXE_holdfast-faults"));
    driver.args(["--seconds", "2", "--lanes", "8", "--tasks", "3", "--keys", "6"]);
    driver.args(faults.iter().chain([&PARTITION]).flat_map(|fault| ["--fault", fault]));
    let output = driver.stdin(Stdio::null()).stderr(Stdio::inherit()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    println!("{text}");
    for fault in faults {
        let row = text.lines().find(|line| line.split_whitespace().next() == Some(fault));
        let row = row.unwrap_or_else(|| panic!("{fault} was not run"));
        let figures: Vec<u64> =
            row.split_whitespace().skip(1).map(|figure| figure.parse().unwrap()).collect();
        let [rounds, operations, grants, .., felt, _lost, violations] = figures[..] else {
            panic!("{row}");
        };
        assert!(rounds > 0 && operations > 0 && grants > 0, "{row}");
        assert!(felt > 0, "nobody felt it: {row}");
        assert_eq!(violations, 0, "{row}");
    }
    assert!(output.status.success());
}
