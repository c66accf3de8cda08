//! `holdfast run` when the lock is lost.

use holdfast_tests::{holdfast::Holdfast, process::suspend};
use rustix::process::{Signal, kill_process};

use super::{KEY, Place, WORK, is_over, wait_until};

/// A time to live that a slow machine keeps, and a test can wait for.
const TTL: [&str; 2] = ["--ttl", "3s"];

/// Starts a script that says when it gets SIGTERM.
fn start(place: &Place) -> Holdfast {
    let script = format!("trap 'echo term > said; exit 0' TERM; {WORK}");
    let running = place.start(&TTL, &script);
    place.process("leader");
    running
}

fn is_lost(place: &Place, mut running: Holdfast, why: &str) {
    assert_eq!(running.wait(), Some(193), "{}", running.log());
    assert!(running.log().contains("holdfast: job: the lock is lost: "), "{}", running.log());
    assert!(running.log().contains(why), "{why}: {}", running.log());
    assert_eq!(place.said("said"), "term\n");
}

#[test]
fn a_lock_that_is_deleted_is_lost() {
    let place = Place::new();
    let running = start(&place);
    place.redis.run::<()>(&["DEL", KEY]);
    is_lost(&place, running, "the lock is gone; ending sh");
    assert!(place.is_free());
}

#[test]
fn a_server_that_forgets_everything_loses_the_lock() {
    let place = Place::new();
    let running = start(&place);
    place.redis.run::<()>(&["FLUSHALL"]);
    is_lost(&place, running, "the lock is gone");
}

#[test]
fn a_lock_of_another_owner_is_lost_and_stays_with_that_owner() {
    let place = Place::new();
    let running = start(&place);
    place.hold();
    is_lost(&place, running, "another owner holds the lock");
    assert_eq!(place.owner().unwrap(), "somebody-else");
}

#[test]
fn a_lock_that_cannot_be_renewed_is_lost() {
    let mut place = Place::new();
    let running = start(&place);
    place.redis.kill();
    is_lost(&place, running, "the lock could not be renewed in time");
}

#[test]
fn a_holder_that_stalls_for_too_long_finds_the_loss() {
    let place = Place::new();
    let mut running = start(&place);
    running.suspend();
    wait_until("the lock expires", || place.is_free());
    place.hold();
    running.signal(Signal::CONT);
    is_lost(&place, running, "the lock");
    assert_eq!(place.owner().unwrap(), "somebody-else");
}

#[test]
fn a_lock_is_renewed_for_as_long_as_the_command_runs() {
    let place = Place::new();
    let mut running = start(&place);
    // More renewals than a time to live has.
    let renewals = || place.redis.calls("pexpire");
    wait_until("renewals", || renewals() >= 5);
    assert!(!place.is_free());
    assert_eq!(running.end_by(Signal::TERM), Some(0), "{}", running.log());
}

#[test]
fn a_command_that_ignores_sigterm_is_killed_after_the_grace() {
    let place = Place::new();
    let script = format!("trap '' TERM; {WORK}");
    let mut running = place.start(&[&TTL[..], &["--grace", "300ms"]].concat(), &script);
    let leader = place.process("leader");
    place.redis.run::<()>(&["DEL", KEY]);
    assert_eq!(running.wait(), Some(193), "{}", running.log());
    let log = running.log();
    assert!(log.contains("sh did not end within --grace 300ms: killing it"), "{log}");
    assert!(is_over(leader));
}

#[test]
fn what_the_command_has_forked_ends_too() {
    let place = Place::new();
    // Its children ignore SIGTERM, and it does not wait for them.
    let script = format!(
        "(trap '' TERM; while [ -e here ]; do sleep 0.05; done) & echo $! > child
         trap 'exit 0' TERM; {WORK}"
    );
    let mut running = place.start(&[&TTL[..], &["--grace", "300ms"]].concat(), &script);
    let (leader, child) = (place.process("leader"), place.process("child"));
    place.redis.run::<()>(&["DEL", KEY]);
    assert_eq!(running.wait(), Some(193), "{}", running.log());
    assert!(is_over(leader) && is_over(child));
}

#[test]
fn a_command_that_is_stopped_ends_too() {
    let place = Place::new();
    let script = format!("trap 'echo term > said; exit 0' TERM; {WORK}");
    let running = place.start(&[&TTL[..], &["--grace", "1h"]].concat(), &script);
    suspend(place.process("leader")).unwrap();
    place.redis.run::<()>(&["DEL", KEY]);
    is_lost(&place, running, "the lock is gone");
}

/// The lock is held until the command has ended: nobody else may work before.
#[test]
fn a_command_that_holds_the_lock_for_too_long_is_ended_before_the_lock_is_freed() {
    let place = Place::new();
    let script = format!(
        "trap 'echo term > said; while [ ! -e go ]; do sleep 0.05; done; exit 0' TERM; {WORK}"
    );
    let options = [&TTL[..], &["--max-hold", "200ms", "--grace", "1h"]].concat();
    let mut running = place.start(&options, &script);
    place.wait_until_said("said", "term");
    assert!(!place.is_free());
    std::fs::write(place.folder.path().join("go"), "").unwrap();
    assert_eq!(running.wait(), Some(194), "{}", running.log());
    assert!(running.log().contains("as long as --max-hold allows; ending sh"), "{}", running.log());
    assert!(place.is_free());
}

#[test]
fn a_lock_that_was_lost_is_not_taken_from_the_next_owner_of_the_same_name() {
    let place = Place::new();
    let script = format!(
        "trap 'echo term > said; while [ ! -e go ]; do sleep 0.05; done; exit 0' TERM; {WORK}"
    );
    let options = ["--ttl", "1h", "--owner", "same", "--grace", "1h"];
    let mut running = place.start(&options, &script);
    place.process("leader");
    place.redis.run::<()>(&["DEL", KEY]);
    place.wait_until_said("said", "term");
    place.redis.run::<()>(&["SET", KEY, "same", "NX"]);
    std::fs::write(place.folder.path().join("go"), "").unwrap();
    assert_eq!(running.wait(), Some(193), "{}", running.log());
    assert_eq!(place.owner().unwrap(), "same");
}

/// Leaves a process in its group that nothing can kill: a process that has ended stays there until its parent waits for
/// it, and this parent, which has left the group, never does.
const UNKILLABLE: &str = "(sleep 120 & exec setsid sh -c 'echo $$ > parent; exec sleep 120' \
                          > /dev/null 2>&1 < /dev/null) &
                          echo $$ > leader; while [ -e here ]; do sleep 0.05; done";

#[test]
fn a_group_that_cannot_be_killed_keeps_the_lock_until_it_ends() {
    let place = Place::new();
    let options = [&TTL[..], &["--max-hold", "1s", "--grace", "0"]].concat();
    let mut running = place.start(&options, UNKILLABLE);
    let parent = place.process("parent");
    running.wait_for("sh cannot be killed");
    let renewals = || place.redis.calls("pexpire");
    let before = renewals();
    wait_until("renewals go on", || renewals() >= before + 2);
    assert!(!place.is_free());
    // Without its parent, the process that is left is reaped by `holdfast run`.
    kill_process(parent, Signal::KILL).unwrap();
    assert_eq!(running.wait(), Some(194), "{}", running.log());
    assert!(place.is_free());
}

#[test]
fn a_second_signal_ends_holdfast_and_frees_no_lock_of_a_group_that_cannot_be_killed() {
    let place = Place::new();
    let options = ["--ttl", "1h", "--max-hold", "1s", "--grace", "0"];
    let mut running = place.start(&options, UNKILLABLE);
    let parent = place.process("parent");
    running.wait_for("job: sh cannot be killed: the lock is held until it ends");
    running.signal(Signal::TERM);
    running.wait_for("another signal ends holdfast, and the lock then expires");
    assert_eq!(running.end_by_many(Signal::TERM), Some(194), "{}", running.log());
    let expected = "holdfast: job: the lock is not released, and expires by itself; sh goes on";
    assert!(running.log().contains(expected), "{}", running.log());
    assert!(!place.is_free());
    kill_process(parent, Signal::KILL).unwrap();
}

/// The lock may have been held again since it was lost.
#[test]
fn a_lost_lock_is_not_released_while_a_group_that_cannot_be_killed_goes_on() {
    let place = Place::new();
    let options = [&TTL[..], &["--owner", "same", "--grace", "0"]].concat();
    let mut running = place.start(&options, UNKILLABLE);
    let parent = place.process("parent");
    place.redis.pause_writes();
    running.wait_for("the lock is lost: the lock could not be renewed in time");
    place.redis.unpause();
    wait_until("the lock expires", || place.is_free());
    place.redis.run::<()>(&["SET", KEY, "same", "NX"]);
    assert_eq!(running.wait(), Some(193), "{}", running.log());
    let expected = "job: sh cannot be killed, and goes on without the lock";
    assert!(running.log().contains(expected), "{}", running.log());
    assert_eq!(place.owner().unwrap(), "same");
    kill_process(parent, Signal::KILL).unwrap();
}
