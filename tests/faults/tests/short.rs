//! A short run of all faults that fit into it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::{Command, Stdio};

/// The faults that must have been run. `partition` is one more, where the system lets it.
const FAULTS: [&str; 20] = [
    "stop-5s",
    "stop-2s",
    "stop-0.5s",
    "kill-server",
    "lose-data",
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

#[test]
fn a_lock_has_one_holder_whatever_fails() {
    let mut driver = Command::new(env!("CARGO_BIN_EXE_holdfast-faults"));
    driver.args(["--seconds", "8"]).stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = driver.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    println!("{text}");
    for fault in FAULTS {
        let row = text.lines().find(|line| line.split_whitespace().next() == Some(fault));
        let row = row.unwrap_or_else(|| panic!("{fault} was not run"));
        let figures: Vec<u64> =
            row.split_whitespace().skip(1).map(|figure| figure.parse().unwrap()).collect();
        let [rounds, operations, grants, _failed, _unknown, felt, violations] = figures[..] else {
            panic!("{row}");
        };
        assert!(rounds > 0 && operations > 0 && grants > 0, "{row}");
        assert!(felt > 0, "nobody felt it: {row}");
        assert_eq!(violations, 0, "{row}");
    }
    assert!(output.status.success());
}
