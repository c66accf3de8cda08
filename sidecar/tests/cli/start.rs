//! The log of `serve` when it starts, and the signals that end it.

use std::fs;

use holdfast_tests::{
    holdfast::{Holdfast, serve},
    http_client::{exchange, get, lock_body, post},
    redis_server::RedisServer,
    resources::{Resources, in_memory},
    temporary_dir,
};
use rustix::process::Signal;

use crate::{HOLDFAST, run_in, signalled};

const IN_MEMORY: &str = "are in the memory of this process: two instances do not exclude each other, and \
                         a restart forgets every lock";

/// The level of a line of the log.
fn level(line: &str) -> &str {
    line.split_whitespace().nth(1).unwrap()
}

#[tokio::test]
async fn a_forgotten_resources_path_is_a_warning_in_the_log_and_in_the_metadata() {
    let home = temporary_dir();
    let components = home.path().join(".dapr/components");
    fs::create_dir_all(&components).unwrap();
    let mut command = serve(HOLDFAST);
    command.env("HOME", home.path());
    let holdfast = Holdfast::start_ready(command);

    let warning = format!("the locks of the store lockstore {IN_MEMORY}");
    let line = holdfast.wait_for("no --resources-path is given");
    assert_eq!(level(&line), "WARN");
    assert!(line.ends_with(&warning), "{line}");
    let named = format!("{} exists but is not read", components.display());
    assert_eq!(level(&holdfast.wait_for(&named)), "WARN");
    let metadata = get(holdfast.http().parse().unwrap(), "/v1.0/metadata").await.body;
    let entry = format!(r#""holdfastWarning":"{warning}""#);
    assert!(metadata.contains(&entry), "{metadata}");
    // A caller cannot replace it.
    let address = holdfast.http().parse().unwrap();
    let set = "PUT /v1.0/metadata/holdfastWarning HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\
               Connection: close\r\n\r\nfine";
    assert_eq!(exchange(address, set.as_bytes()).await.status, 204);
    let metadata = get(address, "/v1.0/metadata").await.body;
    assert!(metadata.contains(&entry), "{metadata}");
}

#[tokio::test]
async fn locks_in_memory_are_those_of_one_process_and_a_restart_forgets_them() {
    let start = || Holdfast::serve(HOLDFAST, &[]);
    let takes = async |server: &Holdfast, owner: &str| {
        let address = server.http().parse().unwrap();
        let reply = post(address, "/v1.0-alpha1/lock/lockstore", lock_body("r", owner)).await;
        match &*reply.body {
            r#"{"success":true}"# => true,
            r#"{"success":false}"# => false,
            other => panic!("{other}"),
        }
    };
    let (mut one, other) = (start(), start());
    assert!(takes(&one, "a").await);
    assert!(!takes(&one, "b").await);
    assert!(takes(&other, "b").await);
    one.end_by(Signal::TERM);
    assert!(takes(&start(), "c").await);
}

#[tokio::test]
async fn a_store_in_memory_is_a_warning_wherever_it_is_defined() {
    let resources = Resources::new(&[("store.yaml", &in_memory("mine"))]);
    let home = temporary_dir();
    let mut command = serve(HOLDFAST);
    command.args(["--resources-path", resources.path()]).env("HOME", home.path());
    let holdfast = Holdfast::start_ready(command);
    let line = holdfast.wait_for(&format!("the locks of the store mine {IN_MEMORY}"));
    assert_eq!(level(&line), "WARN");
    assert!(!holdfast.log().contains("no --resources-path"), "{}", holdfast.log());
}

#[tokio::test]
async fn the_start_names_the_version_the_application_and_what_each_store_is() {
    let redis = RedisServer::start_with(&["--appendonly", "yes", "--appendfsync", "always"]);
    let resources = Resources::in_redis(&redis, &[]);
    let arguments = ["--app-id", "app1", "--resources-path", resources.path()];
    let holdfast = Holdfast::serve(HOLDFAST, &arguments);
    let version = format!("holdfast {} (Dapr API 1.18.0", env!("CARGO_PKG_VERSION"));
    assert!(holdfast.wait_for(&version).ends_with(", app id app1"), "{}", holdfast.log());
    let store = format!(
        "serving the store lockstore of type lock.redis: {}, Redis {}, no replicas, an append-only file, \
         appendfsync always, maxmemory-policy noeviction",
        redis.address(),
        redis
            .run::<String>(&["INFO"])
            .split_once("redis_version:")
            .unwrap()
            .1
            .lines()
            .next()
            .unwrap()
    );
    holdfast.wait_for(&store);
    let metadata = get(holdfast.http().parse().unwrap(), "/v1.0/metadata").await.body;
    assert!(!metadata.contains("holdfastWarning"), "{metadata}");
}

/// The command, the parser of arguments, or the reader of words before it may find the error.
#[test]
fn the_last_error_is_json_in_a_log_of_json() {
    let bad_port = [("DAPR_HTTP_PORT", "x")];
    let bad_admin = [("HOLDFAST_ADMIN_PORT", "x")];
    let run_it = ["run", "s", "r", "--log-as-json"];
    for (variables, args, expected_code, message) in [
        (&[][..], &["serve", "--log-as-json", "--resources-path", "/no/such/folder"][..], 1, ""),
        (
            &[],
            &["check", "--log-as-json", "--log-level", "fatal"],
            2,
            "--resources-path is missing",
        ),
        (&[], &["serve", "--log-as-json", "--guest-warm-instances", "999"], 2, ""),
        (&[], &["serve", "--log-as-json", "--bogus"], 2, "--bogus: unknown option"),
        (&[], &["serve", "-log-as-json=T", "--app-id", "--", "--bogus"], 2, "--app-id: a value"),
        (&[], &["serve", "--app-id", "--log-as-json", "--bogus"], 2, "--bogus: unknown option"),
        (&[], &["serve", "--bogus", "--log-as-json=false", "--log-as-json"], 2, "--bogus"),
        (&[], &["serve", "--log-as-json=true", "--dapr-http-port", "x"], 2, "--dapr-http-port"),
        (&bad_port, &["serve", "--log-as-json=1"], 2, "the variable DAPR_HTTP_PORT: must be"),
        (&bad_admin, &["serve", "--log-as-json"], 2, "the variable HOLDFAST_ADMIN_PORT: must be"),
        (&[], &["check", "--log-as-json", "--bogus"], 2, "--bogus"),
        (&[], &["locks", "--log-as-json", "--log-level", "loud"], 2, "loud"),
        (&[], &["locks", "--prefix", "--log-as-json"], 2, "--prefix"),
        (&[], &["try-lock", "--owner", "o", "--log-as-json"], 2, "<STORE>"),
        (&[], &["component", "run", "--log-as-json"], 2, "<PLUGIN>"),
        (&[], &run_it, 125, "<COMMAND>"),
    ] {
        let (code, stdout, stderr) = run_in(variables, args);
        assert_eq!((code, &*stdout), (expected_code, ""), "{args:?}: {stderr}");
        for line in stderr.lines() {
            serde_json::from_str::<serde_json::Value>(line).expect(line);
        }
        let last = stderr.lines().last().unwrap();
        let last: serde_json::Value = serde_json::from_str(last).unwrap();
        assert_eq!(last["level"], "ERROR", "{stderr}");
        let reported = last["message"].as_str().unwrap();
        assert!(!reported.is_empty() && reported.contains(message), "{stderr}");
        assert!(!reported.starts_with("error") && !reported.contains("Usage"), "{stderr}");
        assert!(!reported.contains("For more information"), "{stderr}");
    }
}

/// Where no JSON is asked for, and where what looks like the option is something else.
#[test]
fn the_last_error_is_text_otherwise() {
    for args in [
        &["serve", "--log-as-json", "--log-as-json=false", "--bogus"][..],
        &["serve", "--bogus", "--", "--log-as-json"],
    ] {
        let (code, _, stderr) = run_in(&[], args);
        assert!(code == 2 && stderr.starts_with("error: "), "{args:?}: {stderr}");
    }
}

#[test]
fn what_check_says_on_stderr_is_json_in_a_log_of_json() {
    let other = "apiVersion: dapr.io/v1alpha1\nkind: Configuration\nmetadata:\n  name: c\n";
    let file = in_memory("memory") + "---\n" + other;
    let resources = Resources::new(&[("store.yaml", &file)]);
    let check = ["check", "--log-as-json", "--log-level", "error", "--resources-path"];
    let check = [&check, &[resources.path()][..]].concat();
    let (code, table, stderr) = run_in(&[], &check);
    assert_eq!(code, 0, "{stderr}");
    assert!(table.starts_with("COMPONENT"), "{table}");
    let lines = stderr.lines().map(|line| serde_json::from_str(line).expect(line));
    let lines: Vec<serde_json::Value> = lines.collect();
    let has = |level: &str, words: &str| {
        let is_it = |line: &&serde_json::Value| {
            line["level"] == level && line["message"].as_str().unwrap().contains(words)
        };
        lines.iter().filter(is_it).count() == 1
    };
    assert!(has("WARN", IN_MEMORY), "{stderr}");
    assert!(has("INFO", "Configuration"), "{stderr}");
    let (_, document, _) = run_in(&[], &[&check[..], &["--json"]].concat());
    let (_, plain, _) = run_in(&[], &["check", "--json", "--resources-path", resources.path()]);
    assert_eq!(document, plain);
    let (code, _, _) = run_in(&[], &[&check[..], &["--strict"]].concat());
    assert_eq!(code, 2);
}

#[test]
fn only_sigterm_sigint_and_sigquit_end_it() {
    let mut holdfast = Holdfast::serve(HOLDFAST, &[]);
    for (signal, said) in [
        (Signal::HUP, "SIGHUP has no effect"),
        (Signal::USR1, "SIGUSR1 and SIGUSR2 have no effect"),
        (Signal::USR2, "SIGUSR1 and SIGUSR2 have no effect"),
    ] {
        holdfast.signal(signal);
        holdfast.wait_for(said);
    }
    assert_eq!(holdfast.end_by(Signal::TERM), Some(0));
}

/// Over HTTP/1.1 it would arrive as another one.
#[test]
fn a_token_with_blanks_around_it_is_a_warning() {
    let variables = [("DAPR_API_TOKEN", "secret "), ("HOLDFAST_ADMIN_TOKEN", "in between")];
    let admin = ["--enable-admin", "--admin-port", "0"];
    let holdfast = Holdfast::serve_in(&variables, HOLDFAST, &admin);
    let line = holdfast.wait_for("DAPR_API_TOKEN: the token begins or ends with a blank");
    assert!(line.contains(" WARN "), "{line}");
    let log = holdfast.log();
    assert_eq!(log.matches("begins or ends").count(), 1, "{log}");
}

/// Signals that are there before the program begins, which is as early as they can come.
#[test]
fn signals_are_taken_from_the_first_moment() {
    for (signal, said) in [
        ("HUP", "SIGHUP has no effect"),
        ("USR1", "SIGUSR1 and SIGUSR2 have no effect"),
        ("USR2", "SIGUSR1 and SIGUSR2 have no effect"),
    ] {
        let mut holdfast = Holdfast::start_ready(signalled(&serve(HOLDFAST), signal));
        holdfast.wait_for(said);
        assert_eq!(holdfast.end_by(Signal::TERM), Some(0));
    }
    for signal in ["TERM", "INT", "QUIT"] {
        let mut holdfast = Holdfast::start(signalled(&serve(HOLDFAST), signal));
        assert_eq!(holdfast.wait(), Some(0), "{signal}: {}", holdfast.log());
    }
}
