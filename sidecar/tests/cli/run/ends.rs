//! The end of `holdfast run`: its exit codes and its messages.

use std::{fs, process::Command};

use holdfast_tests::{
    STORE,
    holdfast::{Holdfast, within},
    redis_server::RedisServer,
    resources::Resources,
};

use super::{KEY, Place};
use crate::{run, run_in};

#[test]
fn the_exit_code_is_the_commands_and_the_lock_is_free_again() {
    let place = Place::new();
    for (script, code) in [("exit 0", 0), ("exit 7", 7), ("exit 255", 255), ("kill -KILL $$", 137)]
    {
        assert_eq!(place.run(&[], script).0, Some(code), "{script}");
        assert!(place.is_free(), "{script}");
    }
}

/// The parent of `run` may have blocked SIGCHLD.
#[test]
fn the_end_of_the_command_is_noticed_though_signals_are_blocked() {
    let place = Place::new();
    let run = place.command(&[], &["sleep", "1"]);
    let blocked = within(Command::new("env"), &["--block-signal=CHLD,TERM"], &run);
    assert_eq!(Holdfast::start(blocked).wait(), Some(0));
    assert!(place.is_free());
}

#[test]
fn a_command_that_cannot_be_started() {
    let place = Place::new();
    fs::write(place.folder.path().join("text"), "text").unwrap();
    for (program, code) in [("/no/such/program", 127), ("no-such-program", 127), ("./text", 126)] {
        let mut running = Holdfast::start(place.command(&[], &[program]));
        assert_eq!(running.wait(), Some(code), "{program}");
        let expected = format!("holdfast: cannot start {program}: ");
        assert!(running.log().contains(&expected), "{}", running.log());
        assert!(place.is_free(), "{program}");
    }
}

#[test]
fn a_lock_that_is_held_is_not_taken_and_the_command_does_not_start() {
    let place = Place::new();
    place.hold();
    let (code, log) = place.run(&[], "echo ran > said");
    assert_eq!(code, Some(124));
    assert!(log.contains("holdfast: job is held by another owner"), "{log}");
    assert_eq!(place.said("said"), "");
    assert_eq!(place.owner().unwrap(), "somebody-else");
    let (code, log) = place.run(&["--wait", "1500ms"], "echo ran > said");
    assert_eq!((code, place.said("said").as_str()), (Some(124), ""));
    assert!(log.contains("was not free within --wait 1.5s"), "{log}");
}

#[test]
fn the_command_knows_the_lock() {
    let place = Place::new();
    let mut numbers = Vec::new();
    let mut owners = Vec::new();
    for _ in 0..2 {
        let script = "env > environment; touch ready; while [ -e ready ]; do sleep 0.05; done";
        let mut running = place.start(&[], script);
        super::wait_until("ready", || place.folder.path().join("ready").exists());
        let environment = place.said("environment");
        let variable = |name: &str| {
            let start = format!("HOLDFAST_{name}=");
            let value = environment.lines().find_map(|line| line.strip_prefix(&start));
            value.unwrap_or_else(|| panic!("no {name}:\n{environment}")).to_owned()
        };
        assert_eq!(variable("RESOURCE"), "job");
        assert_eq!(Some(variable("OWNER")), place.owner());
        owners.push(variable("OWNER"));
        numbers.push(variable("FENCING_TOKEN").parse::<u64>().unwrap());
        fs::remove_file(place.folder.path().join("ready")).unwrap();
        assert_eq!(running.wait(), Some(0));
    }
    assert!(numbers[0] < numbers[1], "{numbers:?}");
    assert_ne!(owners[0], owners[1]);
}

#[test]
fn the_owner_can_be_chosen_and_the_number_left_out() {
    let place = Place::new();
    let script = "test \"$HOLDFAST_OWNER\" = me && test -z \"${HOLDFAST_FENCING_TOKEN+set}\"";
    let options = ["--owner", "me", "--no-fencing"];
    let mut command = place.command(&options, &["sh", "-c", script]);
    // The token of an outer lock.
    command.env("HOLDFAST_FENCING_TOKEN", "1");
    let mut running = Holdfast::start(command);
    assert_eq!(running.wait(), Some(0), "{}", running.log());
    let keys: Vec<String> = place.redis.run(&["KEYS", "*"]);
    assert_eq!(keys, [""; 0], "no number was kept");
}

#[test]
fn a_user_who_may_not_number_grants_learns_how_to_do_without() {
    let redis = RedisServer::start();
    redis.run::<()>(&["ACL", "SETUSER", "default", "resetkeys", "~lock||app1||*", "~holdfast*"]);
    let resources = Resources::in_redis(&redis, &[]);
    let options = ["--app-id", "app1", "--resources-path", resources.path()];
    let run = |more: &[&str]| {
        run(&[&["run", STORE, "job"], &options[..], more, &["--", "true"]].concat())
    };
    let (code, _, stderr) = run(&[]);
    assert_eq!(code, 125, "{stderr}");
    assert!(stderr.contains("--no-fencing"), "{stderr}");
    let (code, _, stderr) = run(&["--no-fencing"]);
    assert_eq!(code, 0, "{stderr}");
}

/// 125 is the code of GNU timeout: 2 could be one of the command.
#[test]
fn what_holdfast_cannot_do_exits_with_125_and_names_the_argument() {
    let place = Place::new();
    let folder = ["--resources-path", place.resources.path()];
    for (args, expected) in [
        (&["none", "job"][..], "holdfast: STORE: lock store none not found"),
        (&[STORE, ""], "holdfast: RESOURCE: ResourceId is empty"),
        (&[STORE, "a||b"], "holdfast: RESOURCE: "),
        (&[STORE, "job", "--owner", ""], "holdfast: --owner is empty: "),
        (&[STORE, "job", "--ttl", "0"], "holdfast: --ttl: ttl is not positive"),
        (&[STORE, "job", "--wait", "2147483648"], "holdfast: --wait: wait is above"),
        (&[STORE, "job", "--ttl", "soon"], "error: invalid value 'soon' for '--ttl <TIME>'"),
        (&[STORE, "job", "--nonsense"], "error: unexpected argument '--nonsense'"),
        (&[STORE, "job", "--address", "http://a:1"], "error: the argument '--address <URL>'"),
    ] {
        let (code, _, stderr) = run(&[&["run"], args, &folder, &["--", "true"]].concat());
        assert_eq!(code, 125, "{args:?}: {stderr}");
        assert!(stderr.contains(expected), "{args:?}: {stderr}");
    }
    let (code, _, stderr) = run(&["run", STORE, "job", "--", "true"]);
    let expected = "holdfast: --resources-path or --address is missing";
    assert!(code == 125 && stderr.starts_with(expected), "{stderr}");
    let (code, _, stderr) = run(&[&["run", STORE, "job"], &folder[..]].concat());
    assert!(code == 125 && stderr.contains("COMMAND"), "{stderr}");
    assert_eq!(run(&["run", "--help"]).0, 0);
}

#[test]
fn the_reason_is_json_where_the_log_is() {
    let place = Place::new();
    place.redis.run::<()>(&["SET", KEY, "somebody-else"]);
    let (code, log) = place.run(&["--log-as-json"], "exit 0");
    assert_eq!(code, Some(124));
    let line: serde_json::Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
    assert_eq!(line["message"], "job is held by another owner");
}

#[test]
fn a_store_in_memory_is_worth_a_warning() {
    let memory = Resources::new(&[("m.yaml", &holdfast_tests::resources::in_memory("memory"))]);
    let args = ["run", "memory", "job", "--resources-path", memory.path(), "--", "true"];
    let (code, _, stderr) = run_in(&[("APP_ID", "app1")], &args);
    assert_eq!(code, 0, "{stderr}");
    assert!(stderr.contains("two instances do not exclude each other"), "{stderr}");
}
