//! Options, in the forms that daprd takes, and messages that name the typed words.

use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt};

use holdfast_tests::{
    holdfast::{Holdfast, command, serve},
    http_client::get,
    resources::{Resources, in_memory},
    temporary_dir,
};
use rustix::process::Signal;

use crate::{HOLDFAST, run, run_in};

#[tokio::test]
async fn options_are_taken_in_daprds_forms() {
    let (first, second) = (
        Resources::new(&[("a.yaml", &in_memory("first"))]),
        Resources::new(&[("b.yaml", &in_memory("second"))]),
    );
    let folders = format!("{},{}", first.path(), second.path());
    let mut command = command(HOLDFAST);
    command.args(["serve", "-app-id", "first", "-app-id=app1", "--resources-path", &folders]);
    command.args(["-dapr-http-port", "0", "--dapr-grpc-port=0", "--enable-metrics=F"]);
    command.args(["--log-level", "INFO", "--log-as-json=false"]);
    let mut holdfast = Holdfast::start_ready(command);
    let metadata = get(holdfast.http().parse().unwrap(), "/v1.0/metadata").await.body;
    for part in [r#""id":"app1""#, r#""name":"first""#, r#""name":"second""#] {
        assert!(metadata.contains(part), "{metadata}");
    }
    assert_eq!(holdfast.end_by(Signal::TERM), Some(0));
    assert!(!holdfast.log().contains('{') && !holdfast.log().contains("metrics on"));
}

#[test]
fn options_of_daprd_without_effect_are_a_warning_each() {
    let mut command = serve(HOLDFAST);
    command.args(["--app-port", "8080", "--placement-host-address", "p:50005", "--app-ssl"]);
    command.args(["-mode", "standalone", "--config=c.yaml", "--enable-api-logging=true"]);
    command.args(["--scheduler-host-address", "", "--max-body-size", "4Mi"]);
    let holdfast = Holdfast::start_ready(command);
    for (option, reason) in [
        ("--app-port", "the application is never called"),
        ("--placement-host-address", "there are no actors"),
        ("--app-ssl", "the application is never called"),
        (" -mode", "there is no control plane"),
        ("--config", "a configuration says nothing about locks"),
        ("--enable-api-logging", "`--log-level debug` logs each call"),
        ("--scheduler-host-address", "there are no jobs"),
        ("--max-body-size", "a body may have 4 MiB"),
    ] {
        let line = holdfast.wait_for(&format!("{option} has no effect: {reason}"));
        assert!(line.contains(" WARN "), "{line}");
    }
}

#[test]
fn all_options_that_serve_does_not_take_are_reported_at_once() {
    let args =
        ["serve", "--log-file", "f", "--app-port", "1", "--mode", "kubernetes", "--foo", "-bar=1"];
    let (code, _, stderr) = run(&args);
    assert_eq!(code, 2);
    let expected = "error: serve does not take\n  \
        --log-file: the log goes to stderr\n  \
        --mode kubernetes: there is no control plane\n  \
        --foo: unknown option\n  \
        -bar: unknown option\n";
    assert!(stderr.starts_with(expected), "{stderr}");
    assert!(stderr.contains("--help"), "{stderr}");
}

/// A tip is near the typed word, relative to its length.
#[test]
fn unknown_options_are_reported_as_typed() {
    for (command, word, expected) in [
        ("serve", "--ap-id", "--ap-id: unknown option; did you mean --app-id?"),
        ("serve", "-ap-id=x", "-ap-id: unknown option; did you mean --app-id?"),
        (
            "serve",
            "--DAPR-HTTP-PORT",
            "--DAPR-HTTP-PORT: unknown option; did you mean --dapr-http-port?",
        ),
        ("serve", "-Log-File=x", "-Log-File: unknown option\n"),
        ("serve", "-APP-PORT=1", "-APP-PORT: unknown option; did you mean --app-port?"),
        ("serve", "--h", "--h: unknown option; did you mean -h?"),
        ("serve", "--h=1", "--h: unknown option; did you mean -h?"),
        ("serve", "-h=1", "-h: it takes no value\n"),
        ("serve", "--u", "--u: unknown option\n"),
        ("serve", "--a", "--a: unknown option\n"),
        ("serve", "--ix", "--ix: unknown option\n"),
        ("serve", "-log-file=x", "-log-file: the log goes to stderr\n"),
        ("check", "--STRICT", "a similar argument exists: '--strict'"),
        ("health", "--Port=1", "a similar argument exists: '--port'"),
        ("health", "-port=1", "unexpected argument '-port' found"),
        ("health", "-port", "a similar argument exists: '--port'"),
        ("check", "-resources-path=d", "unexpected argument '-resources-path' found"),
        ("check", "-Resource-path", "a similar argument exists: '--resources-path'"),
        ("check", "-x", "unexpected argument '-x' found"),
        ("check", "-xyz", "unexpected argument '-xyz' found"),
    ] {
        let (code, _, stderr) = run(&[command, word]);
        assert_eq!(code, 2, "{word}: {stderr}");
        assert!(stderr.contains(expected), "{word}: {stderr}");
    }
}

#[test]
fn options_without_what_they_need_are_a_warning_each() {
    let mut command = serve(HOLDFAST);
    command.env("HOLDFAST_ADMIN_PORT", "0").args(["--admin-listen-address", "127.0.0.1"]);
    command.env("HOLDFAST_ADMIN_TOKEN", "secret");
    command.args(["--dapr-public-listen-address", "127.0.0.1", "--enable-metrics=false"]);
    let holdfast = Holdfast::start_ready(command);
    for warning in [
        "HOLDFAST_ADMIN_PORT has no effect without --enable-admin",
        "HOLDFAST_ADMIN_TOKEN has no effect without --enable-admin",
        "--admin-listen-address has no effect without --enable-admin",
        "--dapr-public-listen-address has no effect without --dapr-public-port",
        "--metrics-port has no effect with --enable-metrics=false",
        "--metrics-listen-address has no effect with --enable-metrics=false",
    ] {
        let line = holdfast.wait_for(warning);
        assert!(line.contains(" WARN "), "{line}");
    }
    let mut command = serve(HOLDFAST);
    let folder = temporary_dir();
    command.args(["--enable-admin", "--admin-port", "0"]);
    command.arg("--unix-domain-socket").arg(folder.path());
    let holdfast = Holdfast::start(command);
    holdfast.wait_for("listening on http+unix://");
    for option in ["--dapr-http-port", "--dapr-grpc-port"] {
        holdfast.wait_for(&format!("{option} has no effect with --unix-domain-socket"));
    }
    assert!(!holdfast.log().contains("-port has no effect without"), "{}", holdfast.log());
    assert!(!holdfast.log().contains("-addresses has no effect"), "{}", holdfast.log());
}

#[tokio::test]
async fn daprds_old_option_for_the_folder_counts_where_the_new_one_is_not_given() {
    let new = Resources::new(&[("a.yaml", &in_memory("new"))]);
    // It is one folder, and the last one counts.
    let folder = temporary_dir();
    let old = folder.path().join("a,b");
    fs::create_dir(&old).unwrap();
    fs::write(old.join("b.yaml"), in_memory("old")).unwrap();
    let old = ["--components-path", "/no/such/folder", "-components-path", old.to_str().unwrap()];
    let has_no_effect = "--components-path has no effect with --resources-path";
    for (args, store, is_reported) in [
        (old.to_vec(), "old", false),
        ([&old[..], &["--resources-path", ""]].concat(), "old", false),
        ([&old[..], &["--resources-path", new.path()]].concat(), "new", true),
    ] {
        let holdfast = Holdfast::serve(HOLDFAST, &args);
        let metadata = get(holdfast.http().parse().unwrap(), "/v1.0/metadata").await.body;
        let stores: serde_json::Value = serde_json::from_str(&metadata).unwrap();
        let names: Vec<_> =
            stores["components"].as_array().unwrap().iter().map(|it| &it["name"]).collect();
        assert_eq!(names, [store], "{args:?}");
        assert_eq!(holdfast.log().contains(has_no_effect), is_reported, "{}", holdfast.log());
    }
}

#[test]
fn empty_values_that_daprd_takes_for_none_are_none() {
    let mut holdfast = Holdfast::serve(
        HOLDFAST,
        &[
            "--resources-path",
            "",
            "--components-path=",
            "--resources-path",
            ",",
            "--unix-domain-socket",
            "",
            "--dapr-public-port",
            "",
            "--dapr-graceful-shutdown-seconds",
            "-1",
        ],
    );
    holdfast.wait_for("no --resources-path is given");
    assert!(!holdfast.log().contains("without a token on"), "{}", holdfast.log());
    assert_eq!(holdfast.end_by(Signal::TERM), Some(0));
}

#[test]
fn an_empty_variable_is_unset() {
    for name in ["DAPR_METRICS_PORT", "DAPR_LISTEN_ADDRESSES", "APP_ID", "HOLDFAST_MAX_WAITING"] {
        let mut holdfast = Holdfast::serve_in(&[(name, "")], HOLDFAST, &[]);
        assert_eq!(holdfast.end_by(Signal::TERM), Some(0), "{name}");
    }
    // The default port, which nobody listens on with this address.
    let empty = [("DAPR_HTTP_PORT", "")];
    let (code, _, stderr) = run_in(&empty, &["health", "--address", "127.0.0.77"]);
    assert_eq!(code, 1);
    assert!(stderr.starts_with("holdfast: 127.0.0.77, port 3500: "), "{stderr}");
}

#[test]
fn a_variable_that_kubernetes_sets_for_a_service_is_ignored() {
    const LINK: &str = "tcp://10.96.0.7:80";
    for name in ["DAPR_GRPC_PORT", "DAPR_HTTP_PORT", "DAPR_METRICS_PORT", "HOLDFAST_ADMIN_PORT"] {
        let mut holdfast = Holdfast::serve_in(&[(name, LINK)], HOLDFAST, &[]);
        let line = holdfast.wait_for(&format!("the variable {name} is ignored: "));
        assert!(line.contains(" WARN "), "{line}");
        assert_eq!(holdfast.end_by(Signal::TERM), Some(0), "{name}");
    }
    let health = |more: &[&str]| {
        let variables = [("DAPR_HTTP_PORT", LINK), ("HOLDFAST_ADMIN_TOKN", "of the server")];
        let args = [&["health", "--address", "127.0.0.77"], more].concat();
        let (code, _, stderr) = run_in(&variables, &args);
        assert_eq!(code, 1);
        stderr
    };
    let stderr = health(&[]);
    let mut lines = stderr.lines();
    let warning =
        "warning: the variable DAPR_HTTP_PORT is ignored: its value is an address and no port";
    assert!(lines.next().is_some_and(|line| line.starts_with(warning)), "{stderr}");
    let refused = "holdfast: 127.0.0.77, port 3500: ";
    assert!(lines.next().is_some_and(|line| line.starts_with(refused)), "{stderr}");
    assert_eq!(lines.next(), None, "{stderr}");
    // The variable is not used.
    let stderr = health(&["--port", "1"]);
    assert!(stderr.starts_with("holdfast: 127.0.0.77, port 1: "), "{stderr}");
}

#[test]
fn a_misspelt_variable_is_a_warning() {
    let variables = [
        ("HOLDFAST_ADMIN_TOKN", "secret"),
        ("HOLDFAST_MAX_INFLIGHT", "1"),
        ("HOLDFAST_OWNER", "of holdfast run"),
        ("HOLDFAST_SERVICE_PORT", "of Kubernetes"),
    ];
    let holdfast = Holdfast::serve_in(&variables, HOLDFAST, &[]);
    for (name, meant) in [
        ("HOLDFAST_ADMIN_TOKN", "HOLDFAST_ADMIN_TOKEN"),
        ("HOLDFAST_MAX_INFLIGHT", "HOLDFAST_MAX_IN_FLIGHT"),
    ] {
        let warning = format!("the variable {name} has no effect; did you mean {meant}?");
        let line = holdfast.wait_for(&warning);
        assert!(line.contains(" WARN "), "{line}");
    }
    assert!(!holdfast.log().contains("HOLDFAST_OWNER"), "{}", holdfast.log());
    assert!(!holdfast.log().contains("HOLDFAST_SERVICE_PORT"), "{}", holdfast.log());
}

#[test]
fn a_value_that_is_not_utf_8_is_reported_with_its_variable_or_word() {
    let bytes = OsStr::from_bytes(b"\xff");
    for arguments in [&["serve"][..], &["health"], &["check"]] {
        let mut command = command(HOLDFAST);
        let output = command.args(arguments).env("APP_ID", bytes).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.starts_with("error: the variable APP_ID is not UTF-8\n"), "{stderr}");
    }
    let output = command(HOLDFAST).args(["check", "--app-id"]).arg(bytes).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.starts_with("error: the word \u{fffd} is not UTF-8\n"), "{stderr}");
}

#[test]
fn errors_name_the_option_or_the_variable_that_was_typed() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for (variables, args, expected) in [
        (
            &[("DAPR_HTTP_PORT", "99999")][..],
            &[][..],
            "invalid value '99999' for the variable DAPR_HTTP_PORT: must be a whole number from 0 to 65535\n\n\
             Usage: holdfast serve ",
        ),
        (
            &[("DAPR_HTTP_PORT", " 3500 ")],
            &[],
            "invalid value ' 3500 ' for the variable DAPR_HTTP_PORT: must be a whole number from 0 to",
        ),
        (
            &[("HOLDFAST_MAX_IN_FLIGHT", "many")],
            &[],
            "'many' for the variable HOLDFAST_MAX_IN_FLIGHT: must be a whole number from 1 to",
        ),
        (
            &[("HOLDFAST_GUEST_MEMORY", "5000")],
            &[],
            "'5000' for the variable HOLDFAST_GUEST_MEMORY: must be a whole number from 2 to 4096",
        ),
        (
            &[("APP_ID", "a|b")],
            &[],
            "invalid value 'a|b' for the variable APP_ID: the app id a|b contains |",
        ),
        (&[], &["--app-id", "a|b"], "for '--app-id <ID>': the app id a|b contains |"),
        (
            &[],
            &["--guest-instances", "0"],
            "'--guest-instances <COUNT>': must be a whole number from 1 to 1000",
        ),
        (
            &[],
            &["--guest-warm-instances", "999"],
            "holdfast: --guest-warm-instances is above the number of instances",
        ),
        (
            &[("DAPR_HTTP_PORT", &port)],
            &[],
            "holdfast: DAPR_HTTP_PORT: cannot listen on 127.0.0.1, port",
        ),
        (
            &[],
            &["--dapr-http-port", &port],
            "holdfast: --dapr-http-port: cannot listen on 127.0.0.1, port",
        ),
        (
            &[("DAPR_LISTEN_ADDRESSES", "256.0.0.1")],
            &[],
            "holdfast: DAPR_LISTEN_ADDRESSES: cannot listen on 256.0.0.1: ",
        ),
        (
            &[],
            &["--dapr-listen-addresses", "127.0.0.1:80"],
            "cannot listen on 127.0.0.1:80: it is not a host or an IP address alone; the port has its own option",
        ),
        (
            &[],
            &["--dapr-listen-addresses", "1.2.3.4"],
            "holdfast: --dapr-listen-addresses: cannot listen on 1.2.3.4: ",
        ),
        (
            &[],
            &["--metrics-listen-address", "256.0.0.1"],
            "holdfast: --metrics-listen-address: cannot listen on 256.0.0.1: ",
        ),
        (
            &[],
            &["--metrics-listen-address", "1.2.3.4"],
            "holdfast: --metrics-listen-address: cannot listen on 1.2.3.4: ",
        ),
        (
            &[],
            &["--dapr-public-port", "0", "--dapr-public-listen-address", "256.0.0.1"],
            "holdfast: --dapr-public-listen-address: cannot listen on 256.0.0.1: ",
        ),
        (
            &[],
            &["--enable-admin", "--admin-port", "0", "--admin-listen-address", "256.0.0.1"],
            "holdfast: --admin-listen-address: cannot listen on 256.0.0.1: ",
        ),
        (
            &[("HOLDFAST_ADMIN_PORT", &port)],
            &["--enable-admin"],
            "holdfast: HOLDFAST_ADMIN_PORT: cannot listen on 127.0.0.1, port",
        ),
        (
            &[("DAPR_API_TOKEN", "a\nb")],
            &[],
            "holdfast: DAPR_API_TOKEN: no request can carry this token: it has a line break",
        ),
        (
            &[("HOLDFAST_ADMIN_TOKEN", "a\u{1}b")],
            &["--enable-admin", "--admin-port", "0"],
            "holdfast: HOLDFAST_ADMIN_TOKEN: no request can carry this token: it has a line break",
        ),
        (&[], &["--log-as-json=yes"], "--log-as-json"),
    ] {
        let free = [("DAPR_HTTP_PORT", "0"), ("DAPR_GRPC_PORT", "0"), ("DAPR_METRICS_PORT", "0")];
        let variables = [&free, variables].concat();
        let args = [&["serve", "--log-level", "error"], args].concat();
        let (code, _, stderr) = run_in(&variables, &args);
        assert_ne!(code, 0);
        assert!(stderr.contains(expected), "{args:?}: {stderr}");
    }
}

#[test]
fn an_expiry_is_seconds_or_a_duration() {
    let folder = Resources::new(&[("store.yaml", &in_memory("memory"))]);
    let try_lock = |expiry: &str| {
        let lock = ["try-lock", "memory", "r", "--owner", "o", "--expiry", expiry];
        run(&[&lock, &["--resources-path", folder.path()][..]].concat())
    };
    for expiry in ["60", "90s", "1h", "1m30s"] {
        let (code, said, _) = try_lock(expiry);
        assert_eq!((code, said.as_str()), (0, "true\n"), "{expiry}");
    }
    for (expiry, expected) in [
        ("1500ms", "it is not a whole number of seconds"),
        ("tomorrow", "it is neither seconds nor a duration such as 90s or 1h"),
    ] {
        let (code, _, stderr) = try_lock(expiry);
        assert_eq!(code, 2);
        assert!(stderr.contains("'--expiry <TIME>'") && stderr.contains(expected), "{stderr}");
    }
}
