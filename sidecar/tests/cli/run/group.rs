//! The process group of the command: signals, and until when the lock is held.

use std::fs;

use holdfast_tests::holdfast::Holdfast;
use rustix::process::Signal;

use super::{KEY, Place, WORK, is_over, wait_until};
use crate::in_pid_namespace;

#[test]
fn signals_are_passed_on_to_the_whole_group() {
    let place = Place::new();
    let child = "trap 'echo child >> said' USR2; echo $$ > child
         while [ -e here ]; do sleep 0.05; done";
    let script = format!(
        "sh -c \"{child}\" & trap 'echo leader >> said' USR2
         trap 'echo hup >> said' HUP; trap 'echo quit >> said; exit 5' QUIT; {WORK}"
    );
    let mut running = place.start(&[], &script.replace("$$ > child", "\\$\\$ > child"));
    place.process("child");
    place.process("leader");
    running.signal(Signal::USR2);
    place.wait_until_said("said", "leader");
    place.wait_until_said("said", "child");
    running.signal(Signal::HUP);
    place.wait_until_said("said", "hup");
    assert_eq!(running.end_by(Signal::QUIT), Some(5), "{}", running.log());
    assert!(place.is_free());
}

/// While this process is stopped, nobody renews the lock.
#[test]
fn a_signal_that_stops_holdfast_stops_the_command_and_sigcont_continues_both() {
    let place = Place::new();
    // A shell that is just starting a program does not stop before it has.
    let mut running = place.start(&["--ttl", "1h"], "echo $$ > leader; exec sleep 120");
    let leader = place.process("leader");
    let ids = [leader.to_string(), running.id().to_string()];
    running.signal(Signal::TSTP);
    ids.iter().for_each(|id| wait_until("it stops", || is_stopped(id)));
    running.signal(Signal::CONT);
    ids.iter().for_each(|id| wait_until("it goes on", || !is_stopped(id)));
    assert_eq!(running.end_by(Signal::TERM), Some(143), "{}", running.log());
}

/// As in a container in which a program is started from outside.
#[test]
fn it_stops_and_goes_on_where_its_session_lies_outside_of_its_pid_namespace() {
    let place = Place::new();
    let steps = "\"$@\" & while [ ! -s leader ]; do sleep 0.05; done
         kill -TSTP $!; while ! grep -q ') T ' /proc/$!/stat; do sleep 0.05; done; echo stopped >> said
         kill -CONT $!; while grep -q ') T ' /proc/$!/stat; do sleep 0.05; done; echo goes on >> said
         kill -TERM $!; wait $!";
    let Some(mut running) = start_in_pid_namespace(&place, steps, WORK) else { return };
    place.wait_until_said("said", "goes on");
    assert_eq!(running.wait(), Some(143), "{}", running.log());
    assert_eq!(place.said("said"), "stopped\ngoes on\n");
}

/// As in a container whose first process is not an init system.
#[test]
fn it_ends_where_nobody_asks_for_the_end_of_a_process_without_parents() {
    let place = Place::new();
    let script = "(while [ ! -e go ]; do sleep 0.05; done) & echo $$ > leader";
    let steps = "\"$@\" & exec sleep 120";
    let Some(running) = start_in_pid_namespace(&place, steps, script) else { return };
    place.process("leader");
    running.wait_for("sh has ended, but not all processes that it started");
    assert!(!place.is_free());
    fs::write(place.folder.path().join("go"), "").unwrap();
    wait_until("the lock is free", || place.is_free());
}

/// They would fill the table of processes while the command works.
#[test]
fn an_orphaned_process_leaves_nothing_behind_when_it_ends() {
    let place = Place::new();
    let script = format!("for i in 1 2 3; do (true &); (setsid true &); done; {WORK}");
    let mut running = place.start(&[], &script);
    place.process("leader");
    let zombies = || {
        let children = format!("/proc/{0}/task/{0}/children", running.id());
        let children = fs::read_to_string(children).unwrap();
        let is_zombie = |id: &&str| {
            fs::read_to_string(format!("/proc/{id}/stat")).is_ok_and(|stat| stat.contains(") Z "))
        };
        children.split_whitespace().filter(is_zombie).count()
    };
    wait_until("nobody is left", || zombies() == 0);
    assert_eq!(running.end_by(Signal::TERM), Some(143), "{}", running.log());
    assert!(place.is_free());
}

/// Runs a shell as the first process of a PID namespace: its arguments run a script under the lock.
fn start_in_pid_namespace(place: &Place, steps: &str, script: &str) -> Option<Holdfast> {
    let mut inside = in_pid_namespace()?;
    let run = place.command(&[], &["sh", "-c", script]);
    inside.args(["sh", "-c", steps, "sh"]).arg(run.get_program()).args(run.get_args());
    inside.current_dir(place.folder.path());
    Some(Holdfast::start(inside))
}

fn is_stopped(id: &str) -> bool {
    fs::read_to_string(format!("/proc/{id}/stat")).unwrap().contains(") T ")
}

#[test]
fn a_command_that_a_passed_signal_ends_has_the_code_of_that_signal() {
    let place = Place::new();
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130), (Signal::USR1, 138)] {
        let mut running = place.start(&[], WORK);
        place.process("leader");
        assert_eq!(running.end_by(signal), Some(code), "{}", running.log());
        assert!(place.is_free());
        fs::remove_file(place.folder.path().join("leader")).unwrap();
    }
}

/// Processes that are left work under the lock, too: they end before the lock is freed.
#[test]
fn the_lock_is_held_until_the_last_process_of_the_group_ends() {
    let place = Place::new();
    let script = "echo $$ > leader; (while [ ! -e go ]; do sleep 0.05; done) & exit 3";
    let mut running = place.start(&[], script);
    let leader = place.process("leader");
    running.wait_for("sh has ended, but not all processes that it started");
    assert!(is_over(leader) && !place.is_free());
    fs::write(place.folder.path().join("go"), "").unwrap();
    assert_eq!(running.wait(), Some(3), "{}", running.log());
    assert!(place.is_free());
}

#[test]
fn what_the_command_has_left_behind_ends_when_the_lock_is_lost() {
    let place = Place::new();
    let script = "(while [ -e here ]; do sleep 0.05; done) & echo $! > child; echo $$ > leader";
    let mut running = place.start(&["--ttl", "3s"], script);
    let (leader, child) = (place.process("leader"), place.process("child"));
    wait_until("the end of the leader", || is_over(leader));
    place.redis.run::<()>(&["DEL", KEY]);
    assert_eq!(running.wait(), Some(193), "{}", running.log());
    assert!(is_over(child));
}

#[test]
fn a_daemon_with_a_session_of_its_own_keeps_no_lock() {
    let place = Place::new();
    // The daemon has none of the open files either, or this test could not see the end of the log.
    let daemon = "echo $$ > daemon; while [ -e here ]; do sleep 0.05; done";
    let script = format!(
        "setsid sh -c '{daemon}' > /dev/null 2>&1 < /dev/null &
         while [ ! -s daemon ]; do sleep 0.05; done"
    );
    let (code, log) = place.run(&[], &script);
    assert_eq!(code, Some(0), "{log}");
    assert!(place.is_free());
    assert!(!is_over(place.process("daemon")));
}
