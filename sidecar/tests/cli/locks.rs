//! `holdfast locks` and `holdfast unlock --force`.

use holdfast_tests::{
    redis_server::RedisServer,
    resources::{Resources, redis},
};
use serde_json::{Value, json};

use crate::run;

/// A server, and a component file with two stores on it.
fn two_stores() -> (RedisServer, Resources) {
    let server = RedisServer::start();
    let prefix = [("keyPrefix", "other")];
    let file = redis("lockstore", &server, &[]) + "---\n" + &redis("more", &server, &prefix);
    let resources = Resources::new(&[("stores.yaml", &file)]);
    (server, resources)
}

#[test]
fn locks_are_listed_with_their_owners_and_times() {
    let (server, resources) = two_stores();
    let app1 = ["--app-id", "app1", "--resources-path", resources.path()];
    let quiet = ["--log-level", "error"];
    let locks = |more: &[&str]| run(&[&["locks"], more, &app1[..], &quiet].concat());
    assert_eq!(locks(&[]), (0, "no lock is held\n".to_owned(), String::new()));
    assert_eq!(locks(&["--json"]).1, "{\"locks\":[]}\n");

    server.run::<()>(&["SET", "lock||app1||order-1", "me", "PX", "90000"]);
    server.run::<()>(&["SET", "lock||app1||order-2", "daprd's\u{1b}[31m"]);
    server.run::<()>(&["SET", "lock||app1||page", "me", "EX", "60"]);
    server.run::<()>(&["SET", "lock||other||order-3", "you", "EX", "60"]);
    server.run::<()>(&["SET", "lock||app2||order-4", "nobody of us", "EX", "60"]);
    let (code, table, _) = locks(&["--prefix", "order-"]);
    assert_eq!(code, 0);
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 4, "{table}");
    for (line, start, end) in [
        (lines[0], "STORE      RESOURCE  TIME LEFT  OWNER", "OWNER"),
        (lines[1], "lockstore  order-1   1m ", "me"),
        (lines[2], "lockstore  order-2   for ever   daprd's", r"\u{1b}[31m"),
        (lines[3], "more       order-3   5", "you"),
    ] {
        assert!(line.starts_with(start) && line.ends_with(end), "{table}");
    }

    let (_, document, _) = locks(&["lockstore", "--json"]);
    let document: Value = serde_json::from_str(&document).unwrap();
    let ids: Vec<&Value> =
        document["locks"].as_array().unwrap().iter().map(|lock| &lock["resourceId"]).collect();
    assert_eq!(ids, ["order-1", "order-2", "page"]);
    assert_eq!(document["locks"][1].get("timeLeft"), None);
    assert_eq!(document["locks"][2]["lockOwner"], json!("me"));
}

#[test]
fn a_lock_is_freed_whoever_holds_it() {
    let (server, resources) = two_stores();
    let path = ["--resources-path", resources.path(), "--log-level", "error"];
    let unlock = |more: &[&str]| run(&[&["unlock", "lockstore", "r"], more, &path[..]].concat());
    let free = (1, "lock-does-not-exist\n".to_owned(), String::new());
    assert_eq!(unlock(&["--force"]), free);
    server.run::<()>(&["SET", "lock||r", "daprd's", "EX", "60"]);
    assert_eq!(unlock(&["--owner", "me"]).1, "lock-belongs-to-others\n");
    let freed = (0, "success\n".to_owned(), "holdfast: r was held by daprd's\n".to_owned());
    assert_eq!(unlock(&["--force"]), freed);
    assert!(!server.exists("lock||r"));
    server.run::<()>(&["SET", "lock||r", "me", "EX", "60"]);
    assert_eq!(unlock(&["--force", "--json"]).1, r#"{"lockOwner":"me","status":0}"#);
    assert_eq!(unlock(&["--force", "--json"]).1, r#"{"status":1}"#);
    server.run::<()>(&["SET", "lock||r", "a\u{1b}[31m\nb", "EX", "60"]);
    assert_eq!(unlock(&["--force"]).2, "holdfast: r was held by a\\u{1b}[31m\\nb\n");
    let (code, refusal, _) = run(&["unlock", "x", "r", "--force", "--json", path[0], path[1]]);
    let message = r#"{"errorCode":"ERR_LOCK_STORE_NOT_FOUND","message":"lock store x not found"}"#;
    assert_eq!((code, &*refusal), (2, message));
}

#[test]
fn wrong_arguments_are_named() {
    let (_server, resources) = two_stores();
    let path = ["--resources-path", resources.path()];
    for (arguments, expected) in [
        (&["locks", "x"][..], "lock store x not found"),
        (&["locks", "--prefix", "a||"], "can't contain '||'"),
        (&["unlock", "lockstore", "r"], "--owner"),
        (&["unlock", "lockstore", "r", "--owner", "me", "--force"], "cannot be used with"),
        (&["unlock", "lockstore", "", "--force"], "RESOURCE: ResourceId is empty"),
    ] {
        let (code, stdout, stderr) = run(&[arguments, &path[..]].concat());
        assert_eq!((code, &*stdout), (2, ""), "{arguments:?}: {stderr}");
        assert!(stderr.contains(expected), "{arguments:?}: {stderr}");
    }
    let empty = holdfast_tests::temporary_dir();
    let (code, _, stderr) = run(&["locks", "--resources-path", empty.path().to_str().unwrap()]);
    assert_eq!(code, 2);
    assert!(stderr.contains("the resource files define no lock store"), "{stderr}");
    let (code, _, stderr) = run(&["locks"]);
    assert_eq!(code, 2);
    assert!(stderr.contains("--resources-path is missing"), "{stderr}");
}
