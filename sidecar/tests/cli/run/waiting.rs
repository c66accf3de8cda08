//! `holdfast run --wait`: waiting for the lock.

use holdfast_tests::holdfast::{Holdfast, command};
use rustix::process::Signal;

use super::{KEY, Place, WORK};
use crate::{HOLDFAST, signalled};

#[test]
fn the_command_starts_when_the_lock_is_released() {
    let place = Place::new();
    place.hold();
    let mut running = place.start(&["--wait", "1h"], "echo ran > said");
    place.wait_until_awaited();
    assert_eq!(place.said("said"), "");
    place.redis.run::<()>(&["DEL", KEY]);
    assert_eq!(running.wait(), Some(0), "{}", running.log());
    assert_eq!(place.said("said"), "ran\n");
    assert!(place.is_free());
}

#[test]
fn a_signal_ends_the_wait_and_leaves_nothing_behind() {
    let place = Place::new();
    place.hold();
    for (signal, code) in
        [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129), (Signal::QUIT, 131)]
    {
        let mut running = place.start(&["--wait", "1h"], "echo ran > said");
        place.wait_until_awaited();
        // It has no command yet, to which it could be passed on.
        running.signal(Signal::USR1);
        // Ctrl-Z, and fg.
        let state = format!("/proc/{}/stat", running.id());
        running.signal(Signal::TSTP);
        super::wait_until("it stops", || std::fs::read_to_string(&state).unwrap().contains(") T "));
        running.signal(Signal::CONT);
        assert_eq!(running.end_by(signal), Some(code), "{}", running.log());
        assert_eq!(running.log().matches("holdfast: ").count(), 0, "{}", running.log());
    }
    assert_eq!(place.owner().unwrap(), "somebody-else");
    place.redis.run::<()>(&["DEL", KEY]);
    assert!(place.is_free());
    assert_eq!(place.said("said"), "");
}

/// Signals that are there before the program begins, which is as early as they can come.
#[test]
fn signals_are_taken_from_the_first_moment() {
    let place = Place::new();
    for (signal, code) in [
        ("TERM", 143),
        ("INT", 130),
        ("HUP", 129),
        ("QUIT", 131),
        ("USR1", 0),
        ("USR2", 0),
        ("CONT", 0),
    ] {
        let _ = std::fs::remove_file(place.folder.path().join("said"));
        let run = place.command(&[], &["sh", "-c", "echo ran > said"]);
        let mut running = Holdfast::start(signalled(&run, signal));
        assert_eq!(running.wait(), Some(code), "{signal}: {}", running.log());
        assert_eq!(place.said("said"), if code == 0 { "ran\n" } else { "" }, "{signal}");
        assert!(place.is_free(), "{signal}");
    }
}

#[test]
fn a_signal_ends_the_attempt_to_reach_a_server_that_hangs() {
    let place = Place::new();
    place.redis.suspend();
    let mut running = place.start(&["--log-level", "debug"], "echo ran > said");
    // Signals have the same effect at any moment from the installation of the handler on.
    super::wait_until("a handler", || handles(&running, Signal::TERM));
    assert_eq!(running.end_by(Signal::TERM), Some(143), "{}", running.log());
    place.redis.resume();
    assert!(place.is_free());
}

/// Two signals end it though Redis hangs: `holdfast run` neither waits for the release nor forgets the exit code.
#[test]
fn a_release_that_hangs_is_ended_by_a_signal() {
    let place = Place::new();
    let script = "trap '' TERM; echo ready > said; while [ ! -e go ]; do sleep 0.05; done; exit 3";
    let mut running = place.start(&["--ttl", "1m"], script);
    place.wait_until_said("said", "ready");
    place.redis.suspend();
    std::fs::write(place.folder.path().join("go"), "").unwrap();
    let begun = std::time::Instant::now();
    while !running.log().contains("job: could not release the lock, which expires by itself") {
        assert!(begun.elapsed() < holdfast_tests::LONG, "{}", running.log());
        running.signal(Signal::TERM);
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(running.wait(), Some(3), "{}", running.log());
}

#[test]
fn a_release_that_fails_is_a_warning() {
    let mut place = Place::new();
    let script = "echo ready > said; while [ ! -e go ]; do sleep 0.05; done; exit 3";
    let mut running = place.start(&["--ttl", "1m"], script);
    place.wait_until_said("said", "ready");
    place.redis.kill();
    std::fs::write(place.folder.path().join("go"), "").unwrap();
    assert_eq!(running.wait(), Some(3), "{}", running.log());
    let log = running.log();
    assert!(log.contains("job: could not release the lock, which expires by itself: "), "{log}");
}

#[test]
fn a_lock_that_was_gone_at_the_end_is_a_warning() {
    let place = Place::without_push();
    let script = "echo ready > said; while [ ! -e go ]; do sleep 0.05; done; exit 3";
    let mut running = place.start(&["--ttl", "1h"], script);
    place.wait_until_said("said", "ready");
    place.hold();
    std::fs::write(place.folder.path().join("go"), "").unwrap();
    assert_eq!(running.wait(), Some(3), "{}", running.log());
    assert!(running.log().contains("the lock was no longer held"), "{}", running.log());
    assert_eq!(place.owner().unwrap(), "somebody-else");
}

/// As under nohup, or in the background of a script.
#[test]
fn signals_that_are_ignored_stay_ignored() {
    let place = Place::new();
    let script = format!("trap 'echo usr1 >> said' USR1; {WORK}");
    let run = place.command(&[], &["sh", "-c", &script]);
    let mut command = command("sh");
    command.args(["-c", "trap '' HUP; exec \"$@\"", "sh", HOLDFAST]).args(run.get_args());
    command.current_dir(place.folder.path());
    let mut running = Holdfast::start(command);
    place.process("leader");
    running.signal(Signal::HUP);
    running.signal(Signal::USR1);
    place.wait_until_said("said", "usr1");
    assert_eq!(running.end_by(Signal::TERM), Some(143), "{}", running.log());
}

/// Whether a process has a handler for a signal.
fn handles(running: &Holdfast, signal: Signal) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/status", running.id())).unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
    let caught = u64::from_str_radix(caught.trim(), 16).unwrap();
    caught & (1 << (signal.as_raw() - 1)) != 0
}
