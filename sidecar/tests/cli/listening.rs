//! The addresses that `serve` listens on.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};

use holdfast_tests::holdfast::{Holdfast, command};
use rustix::process::Signal;

use crate::HOLDFAST;

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
fn the_public_port_listens_on_all_addresses_unless_told_otherwise() {
    let mut holdfast = Holdfast::serve(HOLDFAST, &["--dapr-public-port", "0"]);
    let address = holdfast.public();
    let port: u16 = address.rsplit_once(':').unwrap().1.parse().unwrap();
    assert!(is_open((Ipv4Addr::LOCALHOST, port)));
    assert!(!has_ipv6() || is_open((Ipv6Addr::LOCALHOST, port)));
    assert_eq!(holdfast.end_by(Signal::TERM), Some(0));
}
