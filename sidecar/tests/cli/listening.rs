//! The addresses that `serve` listens on.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};

use holdfast_tests::{
    free_port,
    holdfast::{Holdfast, command},
    resources::{Resources, definition},
};
use rustix::process::Signal;

use crate::{HOLDFAST, run_in};

fn is_open(address: impl Into<SocketAddr>) -> bool {
    TcpStream::connect(address.into()).is_ok()
}

/// Where there is no IPv6, only IPv4 can be tested.
fn has_ipv6() -> bool {
    TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
}

#[test]
fn an_empty_address_and_both_wildcards_are_all_addresses() {
    for addresses in ["", "0.0.0.0,[::]", "[::],0.0.0.0"] {
        let mut command = command(HOLDFAST);
        command.args(["serve", "--dapr-http-port", "0", "--dapr-grpc-port", "0"]);
        command.args(["--dapr-listen-addresses", addresses, "--enable-metrics=false"]);
        let mut holdfast = Holdfast::start_ready(command);
        let address = holdfast.http();
        let port: u16 = address.rsplit_once(':').unwrap().1.parse().unwrap();
        assert!(is_open((Ipv4Addr::LOCALHOST, port)), "{addresses:?}");
        assert!(!has_ipv6() || is_open((Ipv6Addr::LOCALHOST, port)), "{addresses:?}");
        assert_eq!(holdfast.end_by(Signal::TERM), Some(0));
    }
}

#[test]
fn the_public_port_listens_on_all_addresses_unless_an_option_says_otherwise() {
    let mut holdfast = Holdfast::serve(HOLDFAST, &["--dapr-public-port", "0"]);
    let address = holdfast.public();
    let port: u16 = address.rsplit_once(':').unwrap().1.parse().unwrap();
    assert!(is_open((Ipv4Addr::LOCALHOST, port)));
    assert!(!has_ipv6() || is_open((Ipv6Addr::LOCALHOST, port)));
    assert_eq!(holdfast.end_by(Signal::TERM), Some(0));
}

/// Its zone is that of the loopback interface, by its number.
#[test]
fn an_address_may_have_a_zone() {
    if !has_ipv6() {
        return;
    }
    for addresses in ["::1%1", "[::1%1]"] {
        let mut command = command(HOLDFAST);
        command.args(["serve", "--dapr-http-port", "0", "--dapr-grpc-port", "0"]);
        command.args(["--dapr-listen-addresses", addresses, "--enable-metrics=false"]);
        let mut holdfast = Holdfast::start_ready(command);
        let address = holdfast.http();
        let (host, port) = address.rsplit_once(':').unwrap();
        assert!(host.starts_with("[::1"), "{address}");
        let health = ["health", "--address", "[::1%1]", "--port", port];
        assert_eq!(run_in(&[], &health), (0, String::new(), String::new()));
        let url = format!("http://[::1%251]:{port}");
        let run = ["run", "lockstore", "r", "--address", &url, "--", "true"];
        let (code, _, stderr) = run_in(&[], &run);
        assert_eq!(code, 0, "{stderr}");
        assert_eq!(holdfast.end_by(Signal::TERM), Some(0));
    }
    let serve = ["serve", "--dapr-listen-addresses", "fe80::1%nosuch", "--log-level", "error"];
    let (code, _, stderr) = run_in(&[("DAPR_HTTP_PORT", "0")], &serve);
    assert_eq!(code, 1, "{stderr}");
    let expected = "holdfast: --dapr-listen-addresses: cannot listen on fe80::1%nosuch: ";
    assert!(stderr.starts_with(expected), "{stderr}");
}

#[test]
fn addresses_that_are_the_same_are_named_before_a_store_is_opened() {
    // The error of this store would be another.
    let down = [("redisHost", "127.0.0.1:1"), ("redisMaxRetries", "-1")];
    let resources = Resources::new(&[("s.yaml", &definition("lockstore", "lock.redis", &down))]);
    let port = free_port().to_string();
    let both = |first: &str, second: &str, place: &str| {
        format!(
            "holdfast: {first} and {second} are both {port}, {place}: each needs a port of its own\n"
        )
    };
    let twice = |problem: &str| format!("holdfast: --dapr-listen-addresses: {problem}\n");
    let admin = ["--enable-admin", "--admin-port", &port];
    let all = "on 127.0.0.1 and on 0.0.0.0, which includes it";
    for (variables, args, expected) in [
        (
            &[][..],
            &["--dapr-http-port", &port, "--dapr-grpc-port", &port][..],
            both("--dapr-http-port", "--dapr-grpc-port", "on 127.0.0.1"),
        ),
        (
            &[("DAPR_HTTP_PORT", &*port), ("DAPR_GRPC_PORT", &port)],
            &[],
            both("DAPR_HTTP_PORT", "DAPR_GRPC_PORT", "on 127.0.0.1"),
        ),
        (&[("DAPR_METRICS_PORT", &port)], &["--dapr-http-port", &port], {
            both("--dapr-http-port", "DAPR_METRICS_PORT", all)
        }),
        (
            &[("DAPR_HTTP_PORT", &port)],
            &["--dapr-public-port", &port],
            both("DAPR_HTTP_PORT", "--dapr-public-port", all),
        ),
        (
            &[("DAPR_GRPC_PORT", &port)],
            &[&admin[..], &["--admin-listen-address", "localhost"]].concat(),
            both("DAPR_GRPC_PORT", "--admin-port", "on 127.0.0.1"),
        ),
        (
            &[("HOLDFAST_ADMIN_PORT", &port)],
            &["--enable-admin", "--metrics-port", &port],
            both("--metrics-port", "HOLDFAST_ADMIN_PORT", all),
        ),
        (
            &[],
            &["--dapr-listen-addresses", "127.0.0.1,127.0.0.1"],
            twice("127.0.0.1 is given twice"),
        ),
        (
            &[],
            &["--dapr-listen-addresses", "127.0.0.1, localhost"],
            twice("127.0.0.1 and localhost are the same address"),
        ),
        (
            &[],
            &["--dapr-listen-addresses", "::ffff:127.0.0.1,127.0.0.1"],
            twice("::ffff:127.0.0.1 and 127.0.0.1 are the same address"),
        ),
        (
            &[],
            &["--dapr-listen-addresses", "0.0.0.0,127.0.0.1"],
            twice("0.0.0.0 includes 127.0.0.1: leave one of them out"),
        ),
        (
            &[],
            &["--dapr-listen-addresses", "127.0.0.1,"],
            twice(
                "an empty address, which stands for all, includes 127.0.0.1: leave one of them out",
            ),
        ),
        (
            &[],
            &["--dapr-listen-addresses", ","],
            twice("an empty address, which stands for all, is given twice"),
        ),
        (
            &[("DAPR_LISTEN_ADDRESSES", "[::1],::1")],
            &[],
            "holdfast: DAPR_LISTEN_ADDRESSES: [::1] and ::1 are the same address\n".to_owned(),
        ),
        (
            &[],
            &["--metrics-listen-address", "127.0.0.1,127.0.0.1"],
            "holdfast: --metrics-listen-address: 127.0.0.1 is given twice\n".to_owned(),
        ),
    ] {
        if !has_ipv6() && expected.contains("::1") {
            continue;
        }
        let args = [&["serve", "--log-level", "error", "--resources-path", resources.path()], args];
        let free = [("DAPR_HTTP_PORT", "0")];
        let (code, _, stderr) = run_in(&[&free, variables].concat(), &args.concat());
        assert_eq!((code, stderr), (2, expected), "{args:?}");
    }
}
