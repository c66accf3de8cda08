//! The errors for wrong arguments, as users of timeout and curl expect them.

use holdfast_tests::{
    APP_ID, STORE, free_port, holdfast::Holdfast, redis_server::RedisServer, resources::Resources,
};

use crate::{HOLDFAST, run, run_in};

const NO_TIME: &str = "it is neither seconds nor a duration such as 90s or 1h";

#[track_caller]
fn is_told(args: &[&str], expected_code: i32, expected: &str) {
    let (code, stdout, stderr) = run(args);
    assert_eq!(code, expected_code, "{args:?}: {stderr}");
    assert_eq!(stdout, "", "{args:?}");
    assert!(stderr.contains(expected), "{args:?}: {stderr}");
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
            let expected = format!("invalid value '{time}' for '{option} <TIME>': {problem}");
            is_told(&["run", STORE, "r", option, time, "--", "true"], 125, &expected);
        }
    }
    let try_lock = ["try-lock", STORE, "r", "--owner", "o", "--expiry"];
    for (time, problem) in [
        ("-1s", "--expiry: ExpiryInSeconds is not positive"),
        ("-9999999999", "it is negative"),
        ("9999999999", "it is more than 2147483647 seconds"),
        ("99999999999999999999", "it is too long"),
    ] {
        let (_redis, resources) = in_redis();
        let path = ["--resources-path", resources.path()];
        is_told(&[&try_lock[..], &[time], &path].concat(), 2, problem);
    }
    is_told(&["health", "--timeout", "-1"], 2, "'--timeout <TIME>': it is negative");
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
    let is_refused = |option: &str, value: &str, from: &str, to: u64| {
        let expected = format!("invalid value '{value}' for '{option} <");
        is_told(&["serve", option, value], 2, &expected);
        is_told(
            &["serve", option, value],
            2,
            &format!(": must be a whole number from {from} to {to}"),
        );
    };
    for option in PORTS {
        for value in ["abc", "-1", "65536", " 3500 ", "1.5", "0x50", "99999999999999999999"] {
            is_refused(option, value, "0", 65535);
        }
    }
    let most = u64::MAX;
    for (option, value, from, to) in [
        ("--dapr-graceful-shutdown-seconds", "1.5", "0", most),
        ("--max-connections", "0", "1", most),
        ("--max-connections", "many", "1", most),
        ("--guest-memory", "1", "2", 4096),
        ("--guest-memory", "64Mi", "2", 4096),
        ("--guest-memory", "4097", "2", 4096),
        ("--max-body-memory", "3", "4", u64::from(u32::MAX)),
        ("--guest-instances", "0", "1", 1000),
        ("--guest-instances", "1001", "1", 1000),
        ("--guest-warm-instances", "x", "1", 1000),
        ("--guest-step-deadline", "1s", "100", 3_600_000),
        ("--guest-step-deadline", "99", "100", 3_600_000),
        ("--max-in-flight", "0", "1", u64::MAX >> 3),
        ("--max-in-flight", "1e3", "1", u64::MAX >> 3),
        ("--max-waiting", "1_000", "0", most),
    ] {
        is_refused(option, value, from, to);
    }
    for value in ["abc", "-1", "65536"] {
        let expected = format!(
            "invalid value '{value}' for '--port <PORT>': must be a whole number from 0 to 65535"
        );
        is_told(&["health", "--port", value], 2, &expected);
    }
}

/// Whoever starts it again after a failure must not do so after these.
#[test]
fn wrong_arguments_that_serve_finds_later_end_it_with_the_same_code() {
    const COLLECTOR: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1");
    let ports = ["serve", "--dapr-http-port", "0", "--admin-port", "0", "--log-level", "error"];
    for (variables, args, problem) in [
        (&[][..], &["--ui"][..], "--ui needs --enable-admin"),
        (
            &[],
            &["--dapr-listen-addresses", "127.0.0.1:80"],
            "--dapr-listen-addresses: cannot listen on 127.0.0.1:80: it is not a host or an IP address alone",
        ),
        (
            &[],
            &["--dapr-listen-addresses", "127.0.0.1,127.0.0.1"],
            "--dapr-listen-addresses: 127.0.0.1 is there twice",
        ),
        (
            &[],
            &["--enable-admin", "--admin-listen-address", "0.0.0.0"],
            "--admin-listen-address: an address other than loopback needs a token in HOLDFAST_ADMIN_TOKEN",
        ),
        (&[("DAPR_API_TOKEN", "a\nb")], &[], "DAPR_API_TOKEN: no request can carry this token"),
        (
            &[("HOLDFAST_ADMIN_TOKEN", "a\nb")],
            &["--enable-admin"],
            "HOLDFAST_ADMIN_TOKEN: no request can carry this token",
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
        let (code, _, stderr) = run_in(variables, &[&ports, args].concat());
        assert_eq!(code, 2, "{args:?}: {stderr}");
        assert!(stderr.contains(&format!("holdfast: {problem}")), "{args:?}: {stderr}");
    }
}

#[test]
fn a_negative_duration_is_said_to_be_negative() {
    let expected = "'--dapr-block-shutdown-duration <DURATION>': it is negative";
    is_told(&["serve", "--dapr-block-shutdown-duration", "-5s"], 2, expected);
    let expected = "'--dapr-block-shutdown-duration <DURATION>': not a duration, such as 30s";
    is_told(&["serve", "--dapr-block-shutdown-duration", "soon"], 2, expected);
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
            let expected = format!(
                "holdfast: {option}: cannot read the resources folder nosuch: No such file or directory"
            );
            is_told(&[words, &[option, "nosuch"], after].concat(), code, &expected);
        }
    }
}

fn in_redis() -> (RedisServer, Resources) {
    let redis = RedisServer::start();
    let resources = Resources::in_redis(&redis, &[]);
    (redis, resources)
}

/// Whatever is wrong, the program does not run, and nobody holds the lock.
#[test]
fn invalid_arguments_are_named_with_and_without_address() {
    let (redis, resources) = in_redis();
    let path = resources.path();
    let served = ["--app-id", APP_ID, "--resources-path", path];
    let server = Holdfast::serve(HOLDFAST, &served);
    let address = format!("http://{}", server.http());
    for way in [&["--resources-path", path, "--app-id", APP_ID][..], &["--address", &address]] {
        for (store, resource, option, problem) in [
            (STORE, "r", &["--ttl", "0"][..], "--ttl: ttl is not positive in lock store"),
            (STORE, "r", &["--ttl", "2147483648"], "--ttl: ttl is above 2147483647 s"),
            (STORE, "r", &["--wait", "2147483648"], "--wait: wait is above 2147483647 s"),
            (STORE, "r", &["--owner", ""], "--owner is empty: without it, the owner is a UUID"),
            (STORE, "r", &["--max-hold", "0"], "--max-hold is 0: without it, there is no limit"),
            (STORE, "", &[], "RESOURCE: ResourceId is empty in lock store lockstore"),
            (STORE, "a||b", &[], "RESOURCE: failed to acquire lease: input key/keyPrefix"),
            ("none", "r", &[], "STORE: lock store none not found"),
        ] {
            let args = [&["run", store, resource], way, option, &["--", "true"]].concat();
            is_told(&args, 125, problem);
        }
        let empty = [&["run", STORE, "r"], way, &["--", ""]].concat();
        is_told(&empty, 127, "COMMAND is empty");
        assert_eq!(redis.run::<Vec<String>>(&["KEYS", "lock||app1||*"]), [""; 0]);
    }
}

/// A time to live is rounded up, and never to none.
#[test]
fn a_ttl_that_expires_at_once_is_reported_with_its_option() {
    let redis = RedisServer::start();
    let resources = Resources::in_redis(&redis, &[]);
    let server = Holdfast::serve(HOLDFAST, &["--resources-path", resources.path()]);
    let address = format!("http://{}", server.http());
    for way in [&["--resources-path", resources.path()][..], &["--address", &address]] {
        let args = [&["run", STORE, "r", "--ttl", "1ns"], way, &["--", "true"]].concat();
        let (code, _, stderr) = run(&args);
        // Or it was held for a moment.
        let told = stderr.contains("--ttl 1ns is too short") || stderr.contains("the lock is lost");
        let is_known = code == 125 && told || code == 193 || stderr.contains("was lost at once");
        assert!(is_known && !stderr.contains("not positive"), "{way:?}: {code} {stderr}");
    }
}

#[test]
fn misplaced_words_are_reported_with_their_place() {
    let tip = "write the command and its arguments after --";
    is_told(&["run", STORE, "r", "sleep", "1"], 125, tip);
    is_told(&["run", STORE, "r", "true"], 125, tip);
    is_told(&["serve", "./app"], 2, tip);
    is_told(&["component", "run", "job.wasm", "nightly"], 2, tip);
    let (_, _, stderr) = run(&["check", "nightly"]);
    assert!(!stderr.contains("comes after"), "{stderr}");
    let value = "write the value after an equals sign";
    is_told(&["serve", "--enable-metrics", "false"], 2, value);
    is_told(&["check", "--log-as-json", "true"], 2, value);
}

#[test]
fn arguments_of_single_calls_are_named() {
    let (_redis, resources) = in_redis();
    let path = ["--resources-path", resources.path()];
    let list = "--prefix: failed to list locks: input key/keyPrefix 'a||b'";
    let admin = ["--enable-admin", "--admin-port", "0"];
    let server = Holdfast::serve(HOLDFAST, &[&path[..], &admin].concat());
    let operators = format!("http://{}", server.operators());
    let watch = ["locks", "--watch", "--json", "--address", &operators];
    for (words, problem) in [
        (&["try-lock", "x", "r", "--owner", "o", "--expiry", "5"][..], "STORE: lock store x not"),
        (&["unlock", "x", "r", "--owner", "o"], "STORE: lock store x not found"),
        (&["unlock", "x", "r", "--force"], "STORE: lock store x not found"),
        (
            &["unlock", STORE, "a||b", "--force"],
            "RESOURCE: failed to force-release lock: input key",
        ),
        (&["locks", "x"], "STORE: lock store x not found"),
        (&["locks", "--prefix", "a||b"], list),
    ] {
        is_told(&[words, &path].concat(), 2, problem);
    }
    is_told(&["unlock", STORE, "r"], 2, "<--owner <OWNER>|--force>");
    is_told(&[&watch[..], &["x"]].concat(), 2, "STORE: lock store x not found");
    is_told(&[&watch[..], &["--prefix", "a||b"]].concat(), 2, list);
}

#[test]
fn the_wrong_port_of_a_server_is_reported() {
    let admin = ["--enable-admin", "--admin-port", "0"];
    let server = Holdfast::serve(HOLDFAST, &admin);
    let url = |address: String| format!("http://{address}");
    let [http, grpc, operators] = [server.http(), server.grpc(), server.operators()].map(url);
    let not_http = "the answer is not HTTP/1.1: it may be a gRPC port, or that of another program";
    for (address, problem) in [
        (&operators, "this is the server's --admin-port, and not its --dapr-http-port"),
        (&grpc, not_http),
    ] {
        is_told(&["run", STORE, "r", "--address", address, "--", "true"], 125, problem);
    }
    for (address, problem) in [(&http, "this is not the server's --admin-port"), (&grpc, not_http)]
    {
        is_told(&["locks", "--watch", "--json", "--address", address], 2, problem);
    }
    let port = server.grpc();
    is_told(&["health", "--port", port.rsplit(':').next().unwrap()], 1, not_http);
}

#[test]
fn invalid_addresses_are_reported() {
    let form = "does not have the form http://HOST:PORT";
    // A port that is none is not the default one.
    for address in ["http://127.0.0.1:99999", "http://127.0.0.1:", "127.0.0.1:3500", "", "http://"]
    {
        let args = ["run", STORE, "r", "--address", address, "--", "true"];
        is_told(&args, 125, &format!("--address: {address} {form}"));
    }
    let no_port = ["run", STORE, "r", "--address", "http://127.0.0.1", "--", "true"];
    let (code, _, stderr) = run(&no_port);
    // Somebody may listen there.
    assert!(code == 125, "{stderr}");
    assert!(!stderr.contains("cannot connect") || stderr.contains("port 80, the default"));

    for address in ["http://127.0.0.1", "127.0.0.1:3500", "[::1]:3500", ""] {
        is_told(&["health", "--address", address], 2, "'--address <HOST>': it is ");
    }
    let port = free_port().to_string();
    is_told(&["health", "--port", &port, "--timeout", "1m"], 1, "cannot connect");
}
