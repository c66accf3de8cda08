//! The command `holdfast`: its output and its exit codes.

use std::{fs, net::TcpListener};

use holdfast_tests::{
    free_port,
    holdfast::Holdfast,
    http_api::{ACQUIRED, LOCK},
    http_client::{exchange, get, lock_body, post, request},
    redis_server::RedisServer,
    resources::{Resources, definition, in_memory},
};
use rustix::process::Signal;

use crate::{HOLDFAST, run};

/// A folder with one file.
fn folder(text: &str) -> Resources {
    Resources::new(&[("store.yaml", text)])
}

const HEALTHZ: &str = "GET /v1.0/healthz HTTP/1.1\r\nHost: l\r\nConnection: close\r\n\
    traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\r\n";

#[tokio::test]
async fn serve_without_resources_has_a_store_in_memory_and_exits_with_0() {
    let holdfast = Holdfast::serve(HOLDFAST, &[]);
    let address = holdfast.http().parse().unwrap();
    assert_eq!(post(address, LOCK, lock_body("r", "o")).await.body, ACQUIRED);
    assert_eq!(exchange(address, HEALTHZ.as_bytes()).await.status, 204);
    let (code, log) = holdfast.end().await;
    assert_eq!(code, 0);
    assert!(!log.contains("answered"), "{log}");
}

#[tokio::test]
async fn serve_lists_its_stores_in_the_metadata() {
    let folder = folder(&in_memory("memory"));
    let args = ["--app-id", "app1", "--components-path", folder.path()];
    let mut holdfast = Holdfast::serve(HOLDFAST, &args);
    let metadata = get(holdfast.http().parse().unwrap(), "/v1.0/metadata").await.body;
    for part in [r#""id":"app1""#, r#""name":"memory","type":"lock.in-memory","version":"v1""#] {
        assert!(metadata.contains(part), "{metadata}");
    }
    assert_eq!(holdfast.end_by(Signal::INT), Some(0));
}

#[tokio::test]
async fn requests_are_logged_at_debug_with_their_trace() {
    let holdfast = Holdfast::serve(HOLDFAST, &["--log-level", "debug", "--log-as-json"]);
    let address = holdfast.http().parse().unwrap();
    assert_eq!(exchange(address, HEALTHZ.as_bytes()).await.status, 204);
    let line = holdfast.wait_for("answered");
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    let span = &line["span"];
    assert_eq!(span["http.request.method"], "GET");
    assert_eq!(span["http.route"], "/v1.0/healthz");
    assert_eq!(span["http.response.status_code"], 204);
    assert_eq!(span["trace_id"], "0af7651916cd43dd8448eb211c80319c");
}

#[test]
fn a_port_in_use_is_one_line_that_names_the_option() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for option in ["--dapr-http-port", "--dapr-grpc-port", "--dapr-public-port", "--metrics-port"] {
        let mut args = vec!["serve", "--log-level", "warn", option, &port];
        if option != "--dapr-http-port" {
            args.extend(["--dapr-http-port", "0"]);
        }
        let (code, stdout, stderr) = run(&args);
        assert_eq!((code, stdout.as_str()), (1, ""));
        let expected = format!("holdfast: {option}: cannot listen on ");
        assert!(stderr.starts_with(&expected), "{stderr}");
        assert!(stderr.contains(&format!(", port {port}: Address already in use")), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
}

#[tokio::test]
async fn the_public_port_serves_health_and_metadata_without_a_token() {
    let token = [("DAPR_API_TOKEN", "secret")];
    let public = ["--dapr-public-port", "0", "--dapr-public-listen-address", "127.0.0.1"];
    let holdfast = Holdfast::serve_in(&token, HOLDFAST, &public);
    let public = holdfast.public().parse().unwrap();

    assert_eq!(exchange(public, HEALTHZ.as_bytes()).await.status, 204);
    let metadata = get(public, "/v1.0/metadata").await.body;
    assert!(metadata.contains(r#""name":"lockstore""#), "{metadata}");
    for (method, path) in [
        ("PUT", "/v1.0/metadata/k"),
        ("POST", "/v1.0-alpha1/lock/lockstore"),
        ("POST", "/v1.0-alpha1/unlock/lockstore"),
        ("GET", "/"),
    ] {
        let refused = exchange(public, &request(method, path, "", b"")).await;
        assert_eq!(refused.status, 404, "{method} {path}");
        assert_eq!(refused.body, "404 page not found\n", "{method} {path}");
    }
}

#[test]
fn serve_exits_with_1_and_names_what_is_wrong() {
    let unknown = folder(&definition("memory", "lock.etcd", &[]));
    let prefix = folder(&definition("memory", "lock.in-memory", &[("keyPrefix", "a||b")]));
    for (args, named) in [
        (
            vec!["--resources-path", unknown.path()],
            "store.yaml, document 1, component memory (lock.etcd)",
        ),
        (
            vec!["--resources-path", prefix.path()],
            "store.yaml, document 1, component memory (lock.in-memory): lock store memory: keyPrefix: ",
        ),
        (vec!["--resources-path", "/no/such/folder"], "/no/such/folder"),
        (vec!["--dapr-listen-addresses", "256.0.0.1"], "256.0.0.1"),
    ] {
        let args: Vec<_> = ["serve", "--dapr-http-port", "0"].into_iter().chain(args).collect();
        let (code, _, stderr) = run(&args);
        assert_eq!(code, 1, "{args:?}: {stderr}");
        assert!(stderr.contains(named) && !stderr.contains("backtrace"), "{args:?}: {stderr}");
    }
}

#[test]
fn a_store_with_ignore_errors_may_be_missing() {
    for (definition, problem) in [
        (definition("memory", "lock.etcd", &[]), "unknown lock store type"),
        (
            definition("memory", "lock.in-memory", &[("keyPrefix", "a||b")]),
            "lock store memory: keyPrefix: input key/keyPrefix 'a||b' can't contain '||'",
        ),
    ] {
        let folder = folder(&(definition + "  ignoreErrors: true\n"));
        let mut holdfast = Holdfast::serve(HOLDFAST, &["--resources-path", folder.path()]);
        assert_eq!(holdfast.end_by(Signal::TERM), Some(0));
        // Locks need a store.
        let (code, table, _) = run(&["check", "--resources-path", folder.path()]);
        assert_eq!(code, 2);
        assert!(table.contains(&format!("ignored: {problem}")), "{table}");
    }
}

#[test]
fn single_calls_print_their_answer_and_exit_by_it() {
    let folder = folder(&in_memory("memory"));
    let lock = ["try-lock", "memory", "r", "--owner", "o", "--expiry", "60"];
    let unlock = ["unlock", "memory", "r", "--owner", "o"];
    let none = ["unlock", "none", "r", "--owner", "o"];
    let expired = ["try-lock", "memory", "r", "--owner", "o", "--expiry", "-1"];
    let not_positive = "ExpiryInSeconds is not positive in lock store memory";
    let json_error =
        |code: &str, message: &str| format!(r#"{{"errorCode":"{code}","message":"{message}"}}"#);
    for (args, json, code, output, error) in [
        (&lock[..], false, 0, "true\n", ""),
        (&lock[..], true, 0, r#"{"success":true}"#, ""),
        (&unlock[..], false, 1, "lock-does-not-exist\n", ""),
        (&unlock[..], true, 1, r#"{"status":1}"#, ""),
        (
            &none[..],
            false,
            2,
            "",
            "holdfast: STORE: lock store none not found; the resource files define memory\n",
        ),
        (
            &none[..],
            true,
            2,
            &json_error("ERR_LOCK_STORE_NOT_FOUND", "lock store none not found"),
            "",
        ),
        (&expired[..], false, 2, "", &format!("holdfast: --expiry: {not_positive}\n")),
        (&expired[..], true, 2, &json_error("ERR_MALFORMED_REQUEST", not_positive), ""),
    ] {
        let mut args = args.to_vec();
        args.extend(["--resources-path", folder.path()]);
        args.extend(json.then_some("--json"));
        let expected = (code, output.to_owned(), error.to_owned());
        assert_eq!(run(&args), expected, "{args:?}");
    }
}

#[test]
fn single_calls_need_a_resources_path() {
    let (code, stdout, stderr) = run(&["try-lock", "s", "r", "--owner", "o", "--expiry", "60"]);
    assert_eq!((code, stdout.as_str()), (2, ""));
    assert!(stderr.starts_with("holdfast: --resources-path is missing"), "{stderr}");
}

#[test]
fn wrong_arguments_exit_with_2() {
    for args in [
        &[][..],
        &["nonsense"],
        &["try-lock", "s", "r", "--owner", "o"],
        &["unlock", "s", "r"],
        &["try-lock", "s", "r", "--owner", "o", "--expiry", "2147483648"],
        &["serve", "--dapr-http-port", "65536"],
        &["serve", "--log-level", "loud"],
        &["component"],
    ] {
        let (code, _, stderr) = run(args);
        assert_eq!(code, 2, "{args:?}");
        assert!(stderr.contains("--help"), "{args:?}: {stderr}");
    }
}

#[test]
fn check_prints_a_table() {
    let folder = folder(&in_memory("memory"));
    folder.write("bad.yaml", &definition("etcd", "lock.in-etcd", &[]));
    let (code, table, _) = run(&["check", "--resources-path", folder.path()]);
    assert_eq!(code, 2);
    let rows: Vec<Vec<_>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["COMPONENT", "TYPE", "VERSION", "FILE", "RESULT"]);
    assert_eq!(rows[1][..3], ["etcd", "lock.in-etcd", "v1"]);
    assert!(table.lines().nth(1).unwrap().contains("unknown lock store type"));
    assert_eq!(rows[2][..3], ["memory", "lock.in-memory", "v1"]);
    assert_eq!(rows[2].last(), Some(&"ok"));

    fs::remove_file(folder.folder().join("bad.yaml")).unwrap();
    assert_eq!(run(&["check", "--resources-path", folder.path()]).0, 0);
    assert_eq!(run(&["check", "--resources-path", "/no/such/folder"]).0, 2);
    let (code, table, stderr) = run(&["check"]);
    assert_eq!((code, table.as_str()), (2, ""));
    assert!(stderr.contains("two instances do not exclude each other"), "{stderr}");
}

#[test]
fn check_prints_json() {
    let folder = folder(&in_memory("memory"));
    folder.write("etcd.yaml", &(definition("etcd", "lock.etcd", &[]) + "  ignoreErrors: true\n"));
    let (code, document, _) = run(&["check", "--json", "--resources-path", folder.path()]);
    let document: serde_json::Value = serde_json::from_str(&document).unwrap();
    assert_eq!((code, &document["ok"], &document["error"]), (0, &true.into(), &().into()));
    let [etcd, memory] = &document["stores"].as_array().unwrap()[..] else { panic!("{document}") };
    assert_eq!((&etcd["component"], &etcd["result"]), (&"etcd".into(), &"ignored".into()));
    assert!(etcd["about"].as_str().unwrap().starts_with("unknown lock store type"), "{document}");
    let (name, outcome) = (&memory["component"], &memory["result"]);
    assert_eq!(
        (name, &memory["type"], outcome),
        (&"memory".into(), &"lock.in-memory".into(), &"ok".into())
    );
    let warnings = document["warnings"].as_array().unwrap();
    assert_eq!(warnings.len(), 1, "{document}");
    assert!(warnings[0].as_str().unwrap().contains("do not exclude each other"), "{document}");
}

#[test]
fn check_lists_the_locks_of_proxies_and_names_a_mistake_in_one() {
    const EDGE_LOCK: &str = "apiVersion: holdfast.lock/v1alpha1\nkind: EdgeLock\nmetadata: {name: reports}\n\
                             spec: {store: memory, resource: \"{:path}\", ttl: 60s, wait: 0.5s}\n";
    let folder = folder(&in_memory("memory"));
    folder.write("edge.yaml", EDGE_LOCK);
    let (code, table, _) = run(&["check", "--resources-path", folder.path()]);
    let rows: Vec<Vec<_>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(code, 0, "{table}");
    let locks = &rows[rows.len() - 2..];
    assert_eq!(locks[0], ["EDGE", "LOCK", "STORE", "TTL", "WAIT"]);
    assert_eq!(locks[1], ["reports", "memory", "60s", "0.500s"]);
    let (_, document, _) = run(&["check", "--json", "--resources-path", folder.path()]);
    let document: serde_json::Value = serde_json::from_str(&document).unwrap();
    assert_eq!(document["edgeLocks"][0]["name"], "reports");

    folder.write("edge.yaml", &EDGE_LOCK.replace("60s", "60"));
    let (code, _, stderr) = run(&["check", "--resources-path", folder.path()]);
    assert_eq!(code, 2);
    let complaint = "edge lock reports, spec.ttl: must be seconds, such as 30s or 0.25s";
    assert!(stderr.contains(complaint), "{stderr}");
}

#[test]
fn check_prints_json_of_what_it_cannot_check() {
    let folder = folder(&in_memory("memory"));
    folder.write("twice.yaml", &in_memory("memory"));
    for (path, cause) in
        [(&["--resources-path", folder.path()][..], "memory"), (&[], "--resources-path is missing")]
    {
        let (code, document, stderr) = run(&[&["check", "--json"], path].concat());
        let document: serde_json::Value = serde_json::from_str(&document).expect(&stderr);
        assert_eq!((code, &document["ok"]), (2, &false.into()));
        let error = document["error"].as_str().unwrap();
        assert!(error.contains(cause) && stderr.contains(error), "{document}, {stderr}");
    }
}

#[test]
fn a_strict_check_fails_on_warnings() {
    let redis = RedisServer::start_with(&["--appendonly", "yes", "--appendfsync", "always"]);
    let good = Resources::in_redis(&redis, &[]);
    let check = |redis: &Resources| run(&["check", "--strict", "--resources-path", redis.path()]);
    assert_eq!(check(&good).0, 0);
    // One warning about the server, and one about a file.
    redis.run::<()>(&["CONFIG", "SET", "appendonly", "no"]);
    let (code, table, _) = check(&good);
    assert_eq!(code, 2, "{table}");
    assert_eq!(table.lines().nth(1).unwrap().split_whitespace().last(), Some("ok"));
    redis.run::<()>(&["CONFIG", "SET", "appendonly", "yes"]);
    // Policies that are skipped because their kind is misspelt.
    let policies =
        "apiVersion: dapr.io/v1alpha1\nkind: Resiliency\nmetadata: {name: r}\nspec: {}\n";
    good.write("policies.yaml", policies);
    assert_eq!(check(&good).0, 0);
    good.write("policies.yaml", &policies.replace("Resiliency", "resiliency"));
    let (code, _, stderr) = check(&good);
    let expected = "unknown kind resiliency, so it is not read (did you mean Resiliency?)";
    assert!(code == 2 && stderr.contains(expected), "{stderr}");
    good.write("policies.yaml", policies);
    good.write("memory.yaml", &in_memory("memory"));
    assert_eq!(check(&good).0, 2);
    assert_eq!(run(&["check", "--resources-path", good.path()]).0, 0);
}

#[test]
fn a_folder_without_a_lock_store_fails_the_check() {
    let empty = Resources::new(&[]);
    let (code, _, stderr) = run(&["check", "--resources-path", empty.path()]);
    assert_eq!(code, 2);
    assert!(stderr.contains(" define no lock store that can be used"), "{stderr}");
}

const RESILIENCY: &str = "apiVersion: dapr.io/v1alpha1\nkind: Resiliency\nmetadata:\n  name: res\n\
    spec:\n  policies:\n    timeouts:\n      fast: 200ms\n  targets:\n    components:\n\
    \x20     memory:\n        outbound:\n          timeout: fast\n";

#[test]
fn serve_logs_the_policies_of_a_store() {
    let folder = folder(&in_memory("memory"));
    folder.write("resiliency.yaml", RESILIENCY);
    let holdfast = Holdfast::serve(HOLDFAST, &["--resources-path", folder.path()]);
    let line = holdfast.wait_for("policies of");
    let expected = "policies of the store memory: timeout fast (timeout 200ms)";
    assert!(line.contains(expected), "{line}");
}

#[test]
fn check_and_single_calls_name_a_mistake_in_a_resiliency_file() {
    let folder = folder(&in_memory("memory"));
    let bad = RESILIENCY.replace("200ms", "soon");
    folder.write("resiliency.yaml", &bad);
    let named = "resiliency.yaml, document 1, resiliency res, spec.policies.timeouts.fast: must be";
    for (args, expected) in [
        (&["check"][..], 2),
        (&["try-lock", "memory", "r", "--owner", "o", "--expiry", "60"], 0),
        (&["unlock", "memory", "r", "--owner", "o"], 1),
    ] {
        let args: Vec<_> =
            args.iter().copied().chain(["--resources-path", folder.path()]).collect();
        let (code, _, stderr) = run(&args);
        assert_eq!(code, expected, "{stderr}");
        assert!(stderr.contains(named), "{stderr}");
    }
}

#[test]
fn the_error_names_a_server_that_is_down_and_not_its_password() {
    let nobody = format!("127.0.0.1:{}", free_port());
    let settings =
        [("redisHost", &*nobody), ("redisPassword", "secret-word"), ("maxRetries", "-1")];
    let redis = definition("memory", "lock.redis", &settings);
    let folder = folder(&(redis + "  initTimeout: 5s\n"));
    for args in [
        &["check"][..],
        &["serve", "--dapr-http-port", "0"],
        &["try-lock", "memory", "r", "--owner", "o", "--expiry", "60"],
    ] {
        let args: Vec<_> =
            args.iter().copied().chain(["--resources-path", folder.path()]).collect();
        let (code, stdout, stderr) = run(&args);
        assert_eq!(code, if args[0] == "serve" { 1 } else { 2 }, "{stderr}");
        let output = stdout + &stderr;
        assert!(output.contains(&nobody), "{output}");
        assert!(!output.contains("secret-word"), "{output}");
    }
}

#[test]
fn help_has_examples_and_version_prints_the_version() {
    let (code, version, _) = run(&["--version"]);
    assert_eq!((code, version), (0, format!("holdfast {}\n", env!("CARGO_PKG_VERSION"))));
    for args in [
        &["--help"][..],
        &["serve", "--help"],
        &["try-lock", "--help"],
        &["run", "--help"],
        &["check", "-h"],
        &["component", "export", "--help"],
        &["component", "run", "--help"],
        &["component", "compose", "--help"],
    ] {
        let (code, help, _) = run(args);
        assert!(code == 0 && help.contains("Examples:"), "{help}");
    }
    let (_, help, _) = run(&["serve", "--help"]);
    let (options, limits) = help.split_once("\nLimits:\n").unwrap();
    assert!(options.contains("--log-level") && options.contains("--log-as-json"));
    assert!(!limits.contains("--log-"), "{limits}");
    let limits = limits.split("\nThe log").next().unwrap();
    assert_eq!(
        limits.matches("[default: ").count(),
        limits.matches("      --").count(),
        "{limits}"
    );
}

/// A job must not depend on the servers of other stores.
#[test]
fn a_command_connects_only_to_the_store_that_it_names() {
    let redis = RedisServer::start();
    let address = redis.address();
    let up = definition("lockstore", "lock.redis", &[("redisHost", &address)]);
    let down = definition("other", "lock.redis", &[("redisHost", "127.0.0.1:1")]);
    let resources = Resources::new(&[("a.yaml", &down), ("b.yaml", &up)]);
    let folder = ["--resources-path", resources.path()];
    for (words, code, stdout) in [
        (&["try-lock", "lockstore", "r", "--owner", "o", "--expiry", "60"][..], 0, "true\n"),
        (&["unlock", "lockstore", "r", "--owner", "o"], 0, "success\n"),
        (&["locks", "lockstore"], 0, "no lock is held\n"),
    ] {
        let (exit, printed, stderr) = run(&[words, &folder].concat());
        assert_eq!((exit, printed.as_str()), (code, stdout), "{words:?}: {stderr}");
    }
    let words = [&["run", "lockstore", "r"], &folder[..], &["--", "echo", "done"]].concat();
    let (exit, printed, stderr) = run(&words);
    assert_eq!((exit, printed.as_str()), (0, "done\n"), "{stderr}");
    let (exit, _, stderr) = run(&[&["locks"], &folder[..]].concat());
    assert_eq!(exit, 2);
    assert!(stderr.contains("component other (lock.redis): redis 127.0.0.1:1: "), "{stderr}");
    let (_, _, stderr) = run(&[&["unlock", "othre", "r", "--owner", "o"], &folder[..]].concat());
    assert!(stderr.contains("STORE: lock store othre not found; did you mean other?"), "{stderr}");
}
