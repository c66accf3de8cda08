//! The use of fencing tokens: a holder stood still for too long, and writes after another holder has written.

use std::fs;

use holdfast_tests::process::suspend;
use rustix::process::{Signal, kill_process};

use super::{Place, wait_until};

/// Adds one to a number in a file, as a program that reads it first and writes later does. The keeper of the file
/// compares the fencing token, if the grant has one.
const ADD: &str = r#"
trap '' TERM
old=$(cat counter)
echo $$ > leader
while [ ! -e go-on ]; do sleep 0.05; done
exec 9> guard
flock 9
token=${HOLDFAST_FENCING_TOKEN:-0}
if [ "$token" -lt "$(cat latest)" ]; then echo refused >> said; exit 1; fi
echo "$token" > latest
echo $((old + 1)) > counter
echo added >> said
"#;

/// The file after a holder was stopped beyond its lease while another one added, and the reports to both.
fn after_a_late_write(options: &[&str]) -> (String, String) {
    let place = Place::new();
    let file = |name: &str| place.folder.path().join(name);
    fs::write(file("counter"), "0\n").unwrap();
    fs::write(file("latest"), "0\n").unwrap();
    let options = [&["--ttl", "2s", "--grace", "1h", "--wait", "1m"], options].concat();

    let mut late = place.start(&options, ADD);
    let leader = place.process("leader");
    suspend(leader).unwrap();
    late.suspend();
    wait_until("the lock expires", || place.is_free());

    fs::write(file("go-on"), "").unwrap();
    assert_eq!(place.run(&options, ADD).0, Some(0));
    assert_eq!(place.said("counter"), "1\n");

    kill_process(leader, Signal::CONT).unwrap();
    late.signal(Signal::CONT);
    assert_eq!(late.wait(), Some(193), "{}", late.log());
    (place.said("counter"), place.said("said"))
}

#[test]
fn with_a_number_a_late_write_is_refused_and_nothing_is_lost() {
    let (counter, said) = after_a_late_write(&[]);
    assert_eq!((&*counter, &*said), ("1\n", "added\nrefused\n"));
}

/// So that the test above can fail.
#[test]
fn without_a_number_a_late_write_loses_what_another_holder_wrote() {
    let (counter, said) = after_a_late_write(&["--no-fencing"]);
    assert_eq!((&*counter, &*said), ("1\n", "added\nadded\n"));
}
