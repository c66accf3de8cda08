//! The errors for wrong arguments, as users of timeout and curl expect them.

use holdfast_tests::{
    APP_ID, STORE, free_port,
    holdfast::Holdfast,
    redis_server::RedisServer,
    resources::{Resources, definition, in_memory},
};
use serde_json::Value;

use crate::{HOLDFAST, run_in};

const NO_TIME: &str = "it is neither seconds nor a duration such as 90s or 1h";

/// Checks that a command fails with this exit code, and that its stderr has this line.
#[track_caller]
fn is_reported(args: &[&str], code: i32, line: &str) {
    is_reported_in(&[], args, code, line);
}

/// As [`is_reported`], with variables.
#[track_caller]
fn is_reported_in(variables: &[(&str, &str)], args: &[&str], code: i32, line: &str) {
    let stderr = failed(variables, args, code);
    assert!(
        stderr.lines().any(|written| written == line),
        "{args:?}: no line {line:?} in {stderr}"
    );
}

/// As [`is_reported`], for a line whose end is in words of the system or of a library.
#[track_caller]
fn begins_a_line(args: &[&str], code: i32, begin: &str) {
    let stderr = failed(&[], args, code);
    let is_there = stderr.lines().any(|written| written.starts_with(begin));
    assert!(is_there, "{args:?}: no line begins with {begin:?} in {stderr}");
}

/// Runs a command that fails with this exit code, and returns its stderr.
#[track_caller]
fn failed(variables: &[(&str, &str)], args: &[&str], expected_code: i32) -> String {
    let (code, stdout, stderr) = run_in(variables, args);
    assert_eq!(code, expected_code, "{args:?}: {stderr}");
    assert_eq!(stdout, "", "{args:?}");
    stderr
}

#[test]
fn invalid_times_are_reported_with_their_option() {
    for option in ["--ttl", "--wait", "--grace", "--max-hold"] {
        for (time, problem) in [
            ("-5", "it is negative"),
            ("-1s", "it is negative"),
            ("99999999999999999999", "it is too long"),
            ("999999999h", "it is too long"),
            ("soon", NO_TIME),
            ("1.5", NO_TIME),
            ("", NO_TIME),
            ("--", NO_TIME),
        ] {
            let line = format!("error: invalid value '{time}' for '{option} <TIME>': {problem}");
            is_reported(&["run", STORE, "r", option, time, "--", "true"], 125, &line);
        }
    }
    let try_lock = ["try-lock", STORE, "r", "--owner", "o", "--expiry"];
    let (_redis, resources) = in_redis();
    let path = ["--resources-path", resources.path()];
    for (time, problem) in [
        ("-9999999999", "it is negative"),
        ("9999999999", "it is more than 2147483647 seconds"),
        ("99999999999999999999", "it is too long"),
    ] {
        let line = format!("error: invalid value '{time}' for '--expiry <TIME>': {problem}");
        is_reported(&[&try_lock[..], &[time], &path].concat(), 2, &line);
    }
    let line = "holdfast: --expiry: ExpiryInSeconds is not positive in lock store lockstore";
    is_reported(&[&try_lock[..], &["-1s"], &path].concat(), 2, line);
    let line = "error: invalid value '-1' for '--timeout <TIME>': it is negative";
    is_reported(&["health", "--timeout", "-1"], 2, line);
}

/// Values that are not numbers, and numbers that are out of bounds.
#[test]
fn invalid_numbers_are_reported_with_their_bounds() {
    const PORTS: [&str; 5] = [
        "--dapr-http-port",
        "--dapr-grpc-port",
        "--dapr-public-port",
        "--metrics-port",
        "--admin-port",
    ];
    let is_refused = |option: &str, name: &str, value: &str, from: &str, to: u64| {
        let bounds = format!("must be a whole number from {from} to {to}");
        let line = format!("error: invalid value '{value}' for '{option} <{name}>': {bounds}");
        is_reported(&["serve", option, value], 2, &line);
    };
    for option in PORTS {
        for value in ["abc", "-1", "65536", " 3500 ", "1.5", "0x50", "99999999999999999999"] {
            is_refused(option, "PORT", value, "0", 65535);
        }
    }
    let most = u64::MAX;
    for (option, name, value, from, to) in [
        ("--dapr-graceful-shutdown-seconds", "SECONDS", "1.5", "0", most),
        ("--max-connections", "COUNT", "0", "1", most),
        ("--max-connections", "COUNT", "many", "1", most),
        ("--guest-memory", "MIB", "1", "2", 4096),
        ("--guest-memory", "MIB", "64Mi", "2", 4096),
        ("--guest-memory", "MIB", "4097", "2", 4096),
        ("--max-body-memory", "MIB", "3", "4", u64::from(u32::MAX)),
        ("--guest-instances", "COUNT", "0", "1", 1000),
        ("--guest-instances", "COUNT", "1001", "1", 1000),
        ("--guest-warm-instances", "COUNT", "x", "1", 1000),
        ("--guest-step-deadline", "MILLISECONDS", "1s", "100", 3_600_000),
        ("--guest-step-deadline", "MILLISECONDS", "99", "100", 3_600_000),
        ("--max-in-flight", "COUNT", "0", "1", u64::MAX >> 3),
        ("--max-in-flight", "COUNT", "1e3", "1", u64::MAX >> 3),
        ("--max-waiting", "COUNT", "1_000", "0", most),
    ] {
        is_refused(option, name, value, from, to);
    }
    for value in ["abc", "-1", "65536"] {
        let line = format!(
            "error: invalid value '{value}' for '--port <PORT>': must be a whole number from 0 to 65535"
        );
        is_reported(&["health", "--port", value], 2, &line);
    }
}

/// A supervisor that restarts the program after a failure must not do so after these errors.
#[test]
fn wrong_arguments_that_serve_finds_later_end_it_with_the_same_code() {
    const COLLECTOR: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1");
    let ports = ["serve", "--dapr-http-port", "0", "--admin-port", "0", "--log-level", "error"];
    for (variables, args, problem) in [
        (&[][..], &["--ui"][..], "--ui needs --enable-admin"),
        (
            &[],
            &["--dapr-listen-addresses", "127.0.0.1:80"],
            "--dapr-listen-addresses: cannot listen on 127.0.0.1:80: it is not a host or an IP address alone; \
             the port has its own option",
        ),
        (
            &[],
            &["--dapr-listen-addresses", "127.0.0.1,127.0.0.1"],
            "--dapr-listen-addresses: 127.0.0.1 is given twice",
        ),
        (
            &[],
            &["--enable-admin", "--admin-listen-address", "0.0.0.0"],
            "--admin-listen-address: an address other than loopback needs a token in HOLDFAST_ADMIN_TOKEN",
        ),
        (
            &[("DAPR_API_TOKEN", "a\nb")],
            &[],
            "DAPR_API_TOKEN: no request can carry this token: it has a line break or another control character",
        ),
        (
            &[("HOLDFAST_ADMIN_TOKEN", "a\nb")],
            &["--enable-admin"],
            "HOLDFAST_ADMIN_TOKEN: no request can carry this token: it has a line break or another control character",
        ),
        (
            &[],
            &["--guest-warm-instances", "999"],
            "--guest-warm-instances is above the number of instances",
        ),
        (&[], &["--", ""], "the command after -- is empty"),
        (
            &[COLLECTOR, ("OTEL_BSP_SCHEDULE_DELAY", "soon")],
            &[],
            "OTEL_BSP_SCHEDULE_DELAY: soon is not a whole number",
        ),
        (
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317")],
            &[],
            "OTEL_EXPORTER_OTLP_ENDPOINT: collector:4317 must start with http:// or https://",
        ),
    ] {
        let line = format!("holdfast: {problem}");
        is_reported_in(variables, &[&ports, args].concat(), 2, &line);
    }
}

#[test]
fn a_negative_duration_is_said_to_be_negative() {
    for (time, problem) in
        [("-5s", "it is negative"), ("soon", "not a duration, such as 30s or 1m30s")]
    {
        let option = "--dapr-block-shutdown-duration";
        let line = format!("error: invalid value '{time}' for '{option} <DURATION>': {problem}");
        is_reported(&["serve", option, time], 2, &line);
    }
}

#[test]
fn a_missing_folder_is_reported_with_its_option() {
    let lock = [STORE, "r", "--owner", "o"];
    for (words, code, after) in [
        (&["serve", "--dapr-http-port", "0"][..], 1, &[][..]),
        (&["check"], 2, &[]),
        (&["locks"], 2, &[]),
        (&["run", STORE, "r"], 125, &["--", "true"]),
        (&[&["try-lock", "--expiry", "5"], &lock[..]].concat(), 2, &[]),
        (&[&["unlock"], &lock[..]].concat(), 2, &[]),
    ] {
        for option in ["--resources-path", "--components-path"] {
            let line = format!(
                "holdfast: {option}: cannot read the resources folder nosuch: No such file or directory \
                 (os error 2)"
            );
            is_reported(&[words, &[option, "nosuch"], after].concat(), code, &line);
        }
    }
}

fn in_redis() -> (RedisServer, Resources) {
    let redis = RedisServer::start();
    let resources = Resources::in_redis(&redis, &[]);
    (redis, resources)
}

/// After any error, the program does not run, and nobody holds the lock.
#[test]
fn invalid_arguments_are_named_with_and_without_address() {
    let (redis, resources) = in_redis();
    let path = resources.path();
    let served = ["--app-id", APP_ID, "--resources-path", path];
    let server = Holdfast::serve(HOLDFAST, &served);
    let address = format!("http://{}", server.http());
    let through = format!("--address {address}: ");
    for (way, place, stores) in [
        (
            &["--resources-path", path, "--app-id", APP_ID][..],
            "",
            "; the resource files define lockstore",
        ),
        (&["--address", &address], &through, ""),
    ] {
        let unknown = format!("STORE: lock store none not found{stores}");
        let is_wrong = |store, resource, option: &[&str], code, command, problem: &str| {
            let args = [&["run", store, resource], way, option, &["--", command]].concat();
            is_reported(&args, code, &format!("holdfast: {problem}"));
        };
        for (store, resource, option, problem) in [
            (STORE, "r", &["--ttl", "0"][..], "--ttl: ttl is not positive in lock store lockstore"),
            (
                STORE,
                "r",
                &["--ttl", "2147483648"],
                "--ttl: ttl is above 2147483647 s in lock store lockstore",
            ),
            (
                STORE,
                "r",
                &["--wait", "2147483648"],
                "--wait: wait is above 2147483647 s in lock store lockstore",
            ),
            (STORE, "", &[], "RESOURCE: ResourceId is empty in lock store lockstore"),
            (
                STORE,
                "a||b",
                &[],
                "RESOURCE: failed to acquire lease: input key/keyPrefix 'a||b' can't contain '||'",
            ),
            ("none", "r", &[], &unknown),
        ] {
            is_wrong(store, resource, option, 125, "true", &format!("{place}{problem}"));
        }
        // Errors that the command itself finds.
        for (option, code, command, problem) in [
            (
                &["--owner", ""][..],
                125,
                "true",
                "--owner is empty: without it, the owner is a UUID",
            ),
            (&["--max-hold", "0"], 125, "true", "--max-hold is 0: without it, there is no limit"),
            (&[], 127, "", "COMMAND is empty"),
        ] {
            is_wrong(STORE, "r", option, code, command, problem);
        }
        // A variable that is not set.
        let problem = "STORE is empty: it is the name of the lock store";
        is_wrong("", "r", &[], 125, "true", problem);
        assert_eq!(redis.run::<Vec<String>>(&["KEYS", "lock||app1||*"]), [""; 0]);
    }
}

/// Tests both ways to a store in memory: in the command itself, and through a server. Each has the options of `run`, and
/// what stands before the problem in its errors.
fn in_both_ways(test: impl Fn(&[&str], &str)) {
    let resources = Resources::new(&[("memory.yaml", &definition(STORE, "lock.in-memory", &[]))]);
    let server = Holdfast::serve(HOLDFAST, &["--resources-path", resources.path()]);
    let address = format!("http://{}", server.http());
    test(&["--resources-path", resources.path()], "");
    test(&["--address", &address], &format!("--address {address}: "));
}

#[test]
fn words_of_the_caller_get_no_advice_for_the_stores() {
    in_both_ways(|way, place| {
        for (store, resource, problem) in [
            (
                STORE,
                "a||NOPERM",
                "RESOURCE: failed to acquire lease: input key/keyPrefix 'a||NOPERM' can't contain '||'",
            ),
            ("NOPERM", "r", "STORE: lock store NOPERM not found"),
        ] {
            let args = [&["run", store, resource], way, &["--", "true"]].concat();
            let known = match (place, store) {
                ("", "NOPERM") => "; the resource files define lockstore",
                _ => "",
            };
            is_reported(&args, 125, &format!("holdfast: {place}{problem}{known}"));
        }
    });
}

/// A time to live is rounded up to a millisecond, which is over once the lock is taken.
#[test]
fn a_ttl_that_expires_at_once_is_reported_with_its_option() {
    in_both_ways(|way, place| {
        let args = [&["run", STORE, "r", "--ttl", "1ns"], way, &["--", "true"]].concat();
        let line = format!(
            "holdfast: {place}failed to acquire lease: the lock ran out before the reply came: \
             --ttl 1ns is too short"
        );
        is_reported(&args, 125, &line);
    });
}

#[test]
fn misplaced_words_are_reported_with_their_place() {
    let (command, value) =
        ("write the command and its arguments after --", "write the value after an equals sign");
    for (args, code, word, tip) in [
        (&["run", STORE, "r", "sleep", "1"][..], 125, "sleep", command),
        (&["run", STORE, "r", "true"], 125, "true", command),
        (&["serve", "./app"], 2, "./app", command),
        (&["component", "run", "job.wasm", "nightly"], 2, "nightly", command),
        (&["serve", "--enable-metrics", "false"], 2, "false", value),
        (&["try-lock", STORE, "r", "--owner", "-x"], 2, "-x", &format!("{value}: --owner=-x")),
        (&["unlock", STORE, "r", "--owner", "-xy="], 2, "-xy", &format!("{value}: --owner=-xy=")),
        (&["try-lock", "--", STORE, "r", "--owner", "o"], 2, "--owner", "write options before --"),
        (&["unlock", "--", STORE, "r", "--owner=o"], 2, "--owner=o", "write options before --"),
    ] {
        is_reported(args, code, &format!("error: unexpected argument '{word}' found"));
        is_reported(args, code, &format!("  tip: {tip}"));
    }
    // The command takes no such word.
    let stderr = failed(&[], &["check", "nightly"], 2);
    assert!(
        stderr.starts_with("error: unexpected argument 'nightly' found\n\nUsage: "),
        "{stderr}"
    );
    // With a log in JSON, the whole problem is in one line of it.
    let stderr = failed(&[], &["check", "--log-as-json", "true"], 2);
    let logged: Value = serde_json::from_str(&stderr).expect("one line");
    assert_eq!(logged["message"], format!("unexpected argument 'true' found\n\n  tip: {value}"));
}

#[test]
fn an_option_without_its_value_is_named() {
    let missing = "error: serve does not take\n  --app-id: a value is missing\n\n";
    for rest in [&[][..], &["--resources-path", "d"], &["--", "true"]] {
        let stderr = failed(&[], &[&["serve", "--app-id"], rest].concat(), 2);
        assert!(stderr.starts_with(missing), "{rest:?}: {stderr}");
    }
    let required = "error: a value is required for '--app-id <ID>' but none was supplied";
    is_reported(&["check", "--app-id", "--resources-path", "d"], 2, required);
    for missing in ["  --app-port: a value is missing", "  --config: a value is missing"] {
        is_reported(&["serve", "--app-port", "--app-id", "x", "--config"], 2, missing);
    }
}

#[test]
fn arguments_of_single_calls_are_named() {
    let (_redis, resources) = in_redis();
    let path = ["--resources-path", resources.path()];
    let list = "--prefix: failed to list locks: input key/keyPrefix 'a||b' can't contain '||'";
    let not_found = "STORE: lock store x not found";
    let local = &*format!("{not_found}; the resource files define {STORE}");
    let admin = ["--enable-admin", "--admin-port", "0"];
    let server = Holdfast::serve(HOLDFAST, &[&path[..], &admin].concat());
    let operators = format!("http://{}", server.operators());
    let watch = ["locks", "--watch", "--json", "--address", &operators];
    for (words, problem) in [
        (&["try-lock", "x", "r", "--owner", "o", "--expiry", "5"][..], local),
        (&["unlock", "x", "r", "--owner", "o"], local),
        (&["unlock", "x", "r", "--force"], local),
        (
            &["unlock", STORE, "a||b", "--force"],
            "RESOURCE: failed to force-release lock: input key/keyPrefix 'a||b' can't contain '||'",
        ),
        (&["locks", "x"], local),
        (&["locks", "--prefix", "a||b"], list),
    ] {
        is_reported(&[words, &path].concat(), 2, &format!("holdfast: {problem}"));
    }
    is_reported(&["unlock", STORE, "r"], 2, "  <--owner <OWNER>|--force>");
    for (words, problem) in [(&["x"][..], not_found), (&["--prefix", "a||b"], list)] {
        let line = format!("holdfast: --address {operators}: {problem}");
        is_reported(&[&watch[..], words].concat(), 2, &line);
    }
}

/// With `--json` the answer is that of Dapr's API.
#[test]
fn an_unknown_store_is_reported_with_those_that_are_known() {
    let files = [("a.yaml", &*in_memory("orders")), ("b.yaml", &in_memory("invoices"))];
    let resources = Resources::new(&files);
    let path = ["--resources-path", resources.path()];
    let try_lock = |store| ["try-lock", store, "r", "--owner", "o", "--expiry", "5"];
    let are_reported = |store, expected: &str| {
        for words in [
            &try_lock(store)[..],
            &["unlock", store, "r", "--owner", "o"],
            &["unlock", store, "r", "--force"],
            &["locks", store],
            &["locks", store, "--watch", "--json"],
        ] {
            is_reported(&[words, &path].concat(), 2, expected);
        }
        is_reported(&[&["run", store, "r"], &path[..], &["--", "true"]].concat(), 125, expected);
    };
    for (store, known) in [
        ("order", "did you mean orders?"),
        ("invioces", "did you mean invoices?"),
        ("x", "the resource files define orders, invoices"),
    ] {
        let expected = format!("holdfast: STORE: lock store {store} not found; {known}");
        are_reported(store, &expected);
    }
    are_reported("", "holdfast: STORE is empty: it is the name of the lock store");
    let (code, reply, stderr) = run_in(&[], &[&try_lock("order")[..], &path, &["--json"]].concat());
    let expected =
        r#"{"errorCode":"ERR_LOCK_STORE_NOT_FOUND","message":"lock store order not found"}"#;
    assert_eq!((code, reply.as_str(), stderr.as_str()), (2, expected, ""));
}

#[test]
fn the_wrong_port_of_a_server_is_reported() {
    let admin = ["--enable-admin", "--admin-port", "0"];
    let server = Holdfast::serve(HOLDFAST, &admin);
    let url = |address: String| format!("http://{address}");
    let [http, grpc, operators] = [server.http(), server.grpc(), server.operators()].map(url);
    let not_http = "the answer is not HTTP/1.1: it may be a gRPC port, or that of another program";
    let run = |address| ["run", STORE, "r", "--address", address, "--", "true"];
    let problem = "this is the server's --admin-port, and not its --dapr-http-port";
    is_reported(&run(&operators), 125, &format!("holdfast: --address {operators}: {problem}"));
    begins_a_line(&run(&grpc), 125, &format!("holdfast: --address {grpc}: {not_http}: "));

    let watch = |address| ["locks", "--watch", "--json", "--address", address];
    let problem = "this is not the server's --admin-port";
    is_reported(&watch(&http), 2, &format!("holdfast: --address {http}: {problem}"));
    begins_a_line(&watch(&grpc), 2, &format!("holdfast: --address {grpc}: {not_http}: "));

    let port = server.grpc();
    let port = port.rsplit(':').next().unwrap();
    let begin = format!("holdfast: 127.0.0.1, port {port}: {not_http}: ");
    begins_a_line(&["health", "--port", port], 1, &begin);
}

#[test]
fn invalid_addresses_are_reported() {
    let run = |address| ["run", STORE, "r", "--address", address, "--", "true"];
    let form = "does not have the form http://HOST:PORT";
    // An invalid port does not become the default port.
    for address in ["http://127.0.0.1:99999", "http://127.0.0.1:", "127.0.0.1:3500"] {
        is_reported(&run(address), 125, &format!("holdfast: --address: {address} {form}"));
    }
    for address in ["", "http://"] {
        begins_a_line(&run(address), 125, &format!("holdfast: --address: {address} {form}: "));
    }
    // Nobody listens at the address of a broadcast.
    let address = "http://255.255.255.255";
    let begin = format!(
        "holdfast: --address {address}: cannot connect to port 80, the default for an address \
         without a port: "
    );
    begins_a_line(&run(address), 125, &begin);

    let alone = "it is not a host or an IP address alone; --port names the port";
    for (address, problem) in [
        ("http://127.0.0.1", alone),
        ("127.0.0.1:3500", alone),
        ("[::1]:3500", alone),
        ("", "it is empty"),
    ] {
        let line = format!("error: invalid value '{address}' for '--address <HOST>': {problem}");
        is_reported(&["health", "--address", address], 2, &line);
    }
    let port = free_port().to_string();
    let line = format!(
        "holdfast: 127.0.0.1, port {port}: cannot connect: Connection refused (os error 111)"
    );
    is_reported(&["health", "--port", &port, "--timeout", "1m"], 1, &line);
}
