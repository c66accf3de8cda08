//! The command `holdfast` as a shell sees it: what it prints, and what it exits with.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::net::UnixStream,
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use tempfile::TempDir;

const MEMORY: &str = "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata:\n  name: memory\n\
    spec:\n  type: lock.in-memory\n  version: v1\n";

fn holdfast() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_holdfast"));
    for name in ["APP_ID", "DAPR_API_TOKEN", "DAPR_HTTP_PORT", "DAPR_LISTEN_ADDRESSES", "NAMESPACE"]
    {
        command.env_remove(name);
    }
    // Free ones, for all tests at once.
    command.env("DAPR_GRPC_PORT", "0").env("DAPR_METRICS_PORT", "0");
    command.env("RUST_BACKTRACE", "1");
    command
}

fn run(args: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = holdfast().args(args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

fn folder(component: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("store.yaml"), component).unwrap();
    folder
}

fn path(folder: &TempDir) -> &str {
    folder.path().to_str().unwrap()
}

/// `holdfast serve`, which is killed with the test.
struct Serving {
    process: Child,
    address: SocketAddr,
    log: mpsc::Receiver<String>,
    /// What it said before it was ready.
    log_before: Vec<String>,
}

impl Serving {
    fn start(args: &[&str]) -> Self {
        let mut serving =
            Self::spawn(holdfast().args(["serve", "--dapr-http-port", "0"]).args(args));
        let (before, ready) = wait_until(&serving.log, "listening on http://");
        serving.log_before = before;
        let address = ready.split("http://").nth(1).unwrap();
        let address = address.split('"').next().unwrap();
        serving.address = address.parse().unwrap();
        serving
    }

    /// Not ready yet, and without an address.
    fn spawn(command: &mut Command) -> Self {
        let mut process = command.stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(process.stderr.take().unwrap());
        let (lines, log) = mpsc::channel();
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let _ = lines.send(line);
            }
        });
        Self { process, address: ([0, 0, 0, 0], 0).into(), log, log_before: Vec::new() }
    }

    fn send(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        response
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The next line of the log with this in it.
fn wait_for(log: &mpsc::Receiver<String>, what: &str) -> String {
    wait_until(log, what).1
}

/// The lines of the log before the next one with this in it, and that one.
fn wait_until(log: &mpsc::Receiver<String>, what: &str) -> (Vec<String>, String) {
    let mut seen = Vec::new();
    loop {
        match log.recv_timeout(Duration::from_secs(60)) {
            Ok(line) if line.contains(what) => return (seen, line),
            Ok(line) => seen.push(line),
            Err(_) => panic!("no {what:?} in the log: {seen:#?}"),
        }
    }
}

fn end(serving: &mut Serving, signal: &str) -> Option<i32> {
    let id = serving.process.id().to_string();
    assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    serving.process.wait().unwrap().code()
}

const HEALTHZ: &str = "GET /v1.0/healthz HTTP/1.1\r\nHost: l\r\nConnection: close\r\n\
    traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\r\n";

#[test]
fn serve_without_files_has_a_store_in_memory_and_ends_well() {
    let mut serving = Serving::start(&[]);
    let body = r#"{"resourceId":"r","lockOwner":"o","expiryInSeconds":60}"#;
    let request = format!(
        "POST /v1.0-alpha1/lock/lockstore HTTP/1.1\r\nHost: l\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    assert!(serving.send(&request).ends_with("\r\n\r\n{\"success\":true}"));
    assert!(serving.send(HEALTHZ).starts_with("HTTP/1.1 204"));
    assert_eq!(end(&mut serving, "-TERM"), Some(0));
    let log: Vec<_> = serving.log.iter().collect();
    assert!(!log.iter().any(|line| line.contains("answered")), "{log:#?}");
}

#[test]
fn serve_says_what_it_serves() {
    let folder = folder(MEMORY);
    let args = ["--app-id", "app1", "--components-path", path(&folder)];
    let mut serving = Serving::start(&args);
    let request = "GET /v1.0/metadata HTTP/1.1\r\nHost: l\r\nConnection: close\r\n\r\n";
    let metadata = serving.send(request);
    for part in [r#""id":"app1""#, r#""name":"memory","type":"lock.in-memory","version":"v1""#] {
        assert!(metadata.contains(part), "{metadata}");
    }
    assert_eq!(end(&mut serving, "-INT"), Some(0));
}

#[test]
fn requests_are_logged_at_debug_with_their_trace() {
    let serving = Serving::start(&["--log-level", "debug", "--log-as-json"]);
    assert!(serving.send(HEALTHZ).starts_with("HTTP/1.1 204"));
    let line = wait_for(&serving.log, "answered");
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    let span = &line["span"];
    assert_eq!(span["http.request.method"], "GET");
    assert_eq!(span["http.route"], "/v1.0/healthz");
    assert_eq!(span["http.response.status_code"], 204);
    assert_eq!(span["trace_id"], "0af7651916cd43dd8448eb211c80319c");
}

#[test]
fn a_port_in_use_is_one_clear_line() {
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

#[test]
fn unix_domain_sockets_are_there_as_long_as_the_server() {
    let folder = TempDir::new().unwrap();
    let args = ["serve", "--app-id", "app1", "--unix-domain-socket", path(&folder)];
    let (http, grpc) =
        (folder.path().join("dapr-app1-http.socket"), folder.path().join("dapr-app1-grpc.socket"));
    let start = || {
        let serving = Serving::spawn(holdfast().args(args));
        wait_for(&serving.log, "listening on grpc+unix:///");
        let ready = wait_for(&serving.log, "listening on http+unix:///");
        assert!(ready.ends_with(http.to_str().unwrap()), "{ready}");
        serving
    };
    let mut serving = start();
    let mut stream = UnixStream::connect(&http).unwrap();
    stream.write_all(HEALTHZ.as_bytes()).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    assert!(response.starts_with("HTTP/1.1 204"), "{response}");
    assert!(UnixStream::connect(&grpc).is_ok());

    let (code, _, stderr) = run(&args);
    let expected = format!("holdfast: --unix-domain-socket: cannot listen on {}", http.display());
    assert_eq!(code, 1);
    assert!(stderr.contains(&expected), "{stderr}");
    assert!(UnixStream::connect(&http).is_ok());

    // What a process that was killed leaves behind is no obstacle.
    assert_eq!(end(&mut serving, "-KILL"), None);
    assert!(http.exists() && grpc.exists());
    let mut serving = start();
    assert_eq!(end(&mut serving, "-TERM"), Some(0));
    assert!(!http.exists() && !grpc.exists());

    let missing = folder.path().join("missing");
    let (code, _, stderr) = run(&["serve", "--unix-domain-socket", missing.to_str().unwrap()]);
    assert_eq!(code, 1);
    assert!(stderr.contains("--unix-domain-socket: cannot listen on"), "{stderr}");
    fs::write(&http, "a file").unwrap();
    assert_eq!(run(&args).0, 1);
    assert_eq!(fs::read(&http).unwrap(), b"a file");
}

#[test]
fn the_public_port_has_health_and_metadata_for_everybody() {
    let mut command = holdfast();
    command.args(["serve", "--dapr-http-port", "0", "--dapr-public-port", "0"]);
    command.args(["--dapr-public-listen-address", "127.0.0.1"]).env("DAPR_API_TOKEN", "secret");
    let mut serving = Serving::spawn(&mut command);
    let public = wait_for(&serving.log, "health checks and metadata, for everybody, on http://");
    serving.address = public.split("http://").nth(1).unwrap().parse().unwrap();
    wait_for(&serving.log, "listening on http://");

    assert!(serving.send(HEALTHZ).starts_with("HTTP/1.1 204"));
    let request = |method: &str, path: &str| {
        format!("{method} {path} HTTP/1.1\r\nHost: l\r\nConnection: close\r\n\r\n")
    };
    let metadata = serving.send(&request("GET", "/v1.0/metadata"));
    assert!(metadata.contains(r#""name":"lockstore""#), "{metadata}");
    for (method, path) in [
        ("PUT", "/v1.0/metadata/k"),
        ("POST", "/v1.0-alpha1/lock/lockstore"),
        ("POST", "/v1.0-alpha1/unlock/lockstore"),
        ("GET", "/"),
    ] {
        let refused = serving.send(&request(method, path));
        assert!(refused.starts_with("HTTP/1.1 404"), "{method} {path}: {refused}");
        assert!(refused.ends_with("\r\n\r\n404 page not found\n"), "{refused}");
    }
}

#[test]
fn what_serve_cannot_start_with() {
    let unknown = folder(&MEMORY.replace("in-memory", "etcd"));
    let prefix = folder(&format!("{MEMORY}  metadata:\n  - name: keyPrefix\n    value: a||b\n"));
    for (args, named) in [
        (
            vec!["--resources-path", path(&unknown)],
            "store.yaml, document 1, component memory (lock.etcd)",
        ),
        (vec!["--resources-path", path(&prefix)], "a||b"),
        (vec!["--resources-path", "/no/such/folder"], "/no/such/folder"),
        (vec!["--guest-memory", "5000"], "instance_memory is above 4 GiB"),
        (vec!["--dapr-listen-addresses", "256.0.0.1"], "256.0.0.1"),
    ] {
        let args: Vec<_> = ["serve", "--dapr-http-port", "0"].into_iter().chain(args).collect();
        let (code, _, stderr) = run(&args);
        assert_eq!(code, 1, "{args:?}: {stderr}");
        assert!(stderr.contains(named) && !stderr.contains("backtrace"), "{args:?}: {stderr}");
    }
}

#[test]
fn a_store_that_may_be_missing_is_left_out() {
    let folder = folder(&format!("{}  ignoreErrors: true\n", MEMORY.replace("in-memory", "etcd")));
    let mut serving = Serving::start(&["--resources-path", path(&folder)]);
    assert_eq!(end(&mut serving, "-TERM"), Some(0));
    let (code, table, _) = run(&["check", "--resources-path", path(&folder)]);
    assert_eq!(code, 0);
    assert!(table.contains("ignored: there is no lock store of this type"), "{table}");
}

#[test]
fn single_calls_print_their_verdict_and_exit_by_it() {
    let folder = folder(MEMORY);
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
        (&none[..], false, 2, "", "holdfast: lock store none not found\n"),
        (
            &none[..],
            true,
            2,
            &json_error("ERR_LOCK_STORE_NOT_FOUND", "lock store none not found"),
            "",
        ),
        (&expired[..], false, 2, "", &format!("holdfast: {not_positive}\n")),
        (&expired[..], true, 2, &json_error("ERR_MALFORMED_REQUEST", not_positive), ""),
    ] {
        let mut args = args.to_vec();
        args.extend(["--resources-path", path(&folder)]);
        args.extend(json.then_some("--json"));
        let expected = (code, output.to_owned(), error.to_owned());
        assert_eq!(run(&args), expected, "{args:?}");
    }
}

#[test]
fn single_calls_need_component_files() {
    let (code, stdout, stderr) = run(&["try-lock", "s", "r", "--owner", "o", "--expiry", "60"]);
    assert_eq!((code, stdout.as_str()), (2, ""));
    assert!(stderr.starts_with("holdfast: --resources-path is missing"), "{stderr}");
}

#[test]
fn wrong_arguments_are_trouble() {
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
fn check_shows_a_table() {
    let folder = folder(MEMORY);
    fs::write(folder.path().join("bad.yaml"), MEMORY.replace("memory", "etcd")).unwrap();
    let (code, table, _) = run(&["check", "--resources-path", path(&folder)]);
    assert_eq!(code, 2);
    let rows: Vec<Vec<_>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["COMPONENT", "TYPE", "VERSION", "FILE", "RESULT"]);
    assert_eq!(rows[1][..3], ["etcd", "lock.in-etcd", "v1"]);
    assert!(table.lines().nth(1).unwrap().contains("there is no lock store of this type"));
    assert_eq!(rows[2][..3], ["memory", "lock.in-memory", "v1"]);
    assert_eq!(rows[2].last(), Some(&"ok"));

    fs::remove_file(folder.path().join("bad.yaml")).unwrap();
    assert_eq!(run(&["check", "--resources-path", path(&folder)]).0, 0);
    assert_eq!(run(&["check", "--resources-path", "/no/such/folder"]).0, 2);
    assert_eq!(run(&["check"]).0, 2);
}

const RESILIENCY: &str = "apiVersion: dapr.io/v1alpha1\nkind: Resiliency\nmetadata:\n  name: res\n\
    spec:\n  policies:\n    timeouts:\n      fast: 200ms\n  targets:\n    components:\n\
    \x20     memory:\n        outbound:\n          timeout: fast\n";

#[test]
fn serve_says_which_policies_a_store_is_under() {
    let folder = folder(MEMORY);
    fs::write(folder.path().join("resiliency.yaml"), RESILIENCY).unwrap();
    let serving = Serving::start(&["--resources-path", path(&folder)]);
    let line = serving.log_before.iter().find(|line| line.contains("are under")).unwrap();
    let expected = "calls of the store memory are under timeout fast (timeout 200ms)";
    assert!(line.contains(expected), "{line}");
}

#[test]
fn check_and_single_calls_say_what_is_wrong_with_a_resiliency_file() {
    let folder = folder(MEMORY);
    let bad = RESILIENCY.replace("200ms", "soon");
    fs::write(folder.path().join("resiliency.yaml"), bad).unwrap();
    let named = "resiliency.yaml, document 1, resiliency res, spec.policies.timeouts.fast: must be";
    for (args, expected) in [
        (&["check"][..], 0),
        (&["try-lock", "memory", "r", "--owner", "o", "--expiry", "60"], 0),
        (&["unlock", "memory", "r", "--owner", "o"], 1),
    ] {
        let args: Vec<_> =
            args.iter().copied().chain(["--resources-path", path(&folder)]).collect();
        let (code, _, stderr) = run(&args);
        assert_eq!(code, expected, "{stderr}");
        assert!(stderr.contains(named), "{stderr}");
    }
}

#[test]
fn a_server_that_is_down_is_named_and_its_password_is_not() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let redis = MEMORY.replace("in-memory", "redis");
    let folder = folder(&format!(
        "{redis}  initTimeout: 5s\n  metadata:\n  - name: redisHost\n    value: {free}\n\
         \x20 - name: redisPassword\n    value: secret-word\n  - name: maxRetries\n    value: \"-1\"\n"
    ));
    for args in [
        &["check"][..],
        &["serve", "--dapr-http-port", "0"],
        &["try-lock", "memory", "r", "--owner", "o", "--expiry", "60"],
    ] {
        let args: Vec<_> =
            args.iter().copied().chain(["--resources-path", path(&folder)]).collect();
        let (code, stdout, stderr) = run(&args);
        assert_eq!(code, if args[0] == "serve" { 1 } else { 2 }, "{stderr}");
        let output = stdout + &stderr;
        assert!(output.contains(&free.to_string()), "{output}");
        assert!(!output.contains("secret-word"), "{output}");
    }
}

#[test]
fn the_component_is_exported_whole() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("lock.wasm");
    assert_eq!(run(&["component", "export", file.to_str().unwrap()]).0, 0);
    assert_eq!(fs::read(&file).unwrap(), holdfast::COMPONENT);
    let stdout = holdfast().args(["component", "export", "-"]).output().unwrap().stdout;
    assert_eq!(stdout, holdfast::COMPONENT);
    let nowhere = Path::new("/no/such/folder/lock.wasm");
    let (code, _, stderr) = run(&["component", "export", nowhere.to_str().unwrap()]);
    assert_eq!(code, 2);
    assert!(stderr.starts_with("holdfast: cannot write /no/such/folder/lock.wasm: "), "{stderr}");
}

#[test]
fn help_and_version_are_for_people() {
    let (code, version, _) = run(&["--version"]);
    assert_eq!((code, version), (0, format!("holdfast {}\n", env!("CARGO_PKG_VERSION"))));
    for args in [&["--help"][..], &["serve", "--help"], &["try-lock", "--help"], &["check", "-h"]] {
        let (code, help, _) = run(args);
        assert!(code == 0 && help.contains("Examples:"), "{help}");
    }
}
