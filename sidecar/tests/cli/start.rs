//! What `serve` says when it starts, and which signals end it.

use std::fs;

use holdfast_tests::{
    holdfast::{Holdfast, serve},
    http_client::{exchange, get},
    redis_server::RedisServer,
    resources::{Resources, in_memory},
    temporary_dir,
};
use rustix::process::Signal;

use crate::{HOLDFAST, run_in};

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
    let redis = RedisServer::start_with(&["--appendonly", "yes"]);
    let resources = Resources::in_redis(&redis, &[]);
    let arguments = ["--app-id", "app1", "--resources-path", resources.path()];
    let holdfast = Holdfast::serve(HOLDFAST, &arguments);
    let version = format!("holdfast {} (Dapr API 1.18.0", env!("CARGO_PKG_VERSION"));
    assert!(holdfast.wait_for(&version).ends_with(", app id app1"), "{}", holdfast.log());
    let store = format!(
        "serving the store lockstore of type lock.redis: {}, Redis {}, no replicas, an append-only file, \
         maxmemory-policy noeviction",
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

#[test]
fn the_last_error_is_json_in_a_log_of_json() {
    for args in [
        &["serve", "--log-as-json", "--resources-path", "/no/such/folder"][..],
        &["check", "--log-as-json", "--log-level", "fatal"],
        &["serve", "--log-as-json", "--guest-memory", "1"],
    ] {
        let (code, _, stderr) = run_in(&[], args);
        assert_ne!(code, 0);
        let last = stderr.lines().last().unwrap();
        let last: serde_json::Value = serde_json::from_str(last).unwrap();
        assert_eq!(last["level"], "ERROR", "{stderr}");
        assert!(!last["message"].as_str().unwrap().is_empty(), "{stderr}");
    }
}

#[test]
fn only_sigterm_and_sigint_end_it() {
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
