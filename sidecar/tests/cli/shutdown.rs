//! A shutdown that is asked for over HTTP, and calls of other parts of Dapr's API.

use holdfast_tests::{
    holdfast::Holdfast,
    http_client::{exchange, request},
    redis_server::RedisServer,
    resources::Resources,
};
use rustix::process::Signal;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::HOLDFAST;

#[tokio::test]
async fn post_shutdown_ends_the_server_in_order() {
    let public = ["--dapr-public-port", "0", "--dapr-public-listen-address", "127.0.0.1"];
    let mut holdfast = Holdfast::serve_in(&[("DAPR_API_TOKEN", "secret")], HOLDFAST, &public);
    let address = holdfast.http().parse().unwrap();
    let shutdown = |headers| request("POST", "/v1.0/shutdown", headers, b"");
    // Neither without the token, nor where no token is needed.
    assert_eq!(exchange(address, &shutdown("")).await.status, 401);
    let public = holdfast.public().parse().unwrap();
    assert_eq!(exchange(public, &shutdown("")).await.status, 404);

    let answer = exchange(address, &shutdown("dapr-api-token: secret\r\n")).await;
    assert_eq!((answer.status, answer.body.as_str()), (204, ""));
    let ended = tokio::task::spawn_blocking(move || (holdfast.wait(), holdfast.log())).await;
    let (code, log) = ended.unwrap();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("shutdown requested over HTTP"), "{log}");
}

/// The duration would be longer than the test waits.
#[tokio::test]
async fn a_shutdown_that_is_asked_for_over_http_is_not_blocked() {
    for signals_first in [false, true] {
        let mut holdfast = Holdfast::serve(HOLDFAST, &["--dapr-block-shutdown-duration", "1h"]);
        let address = holdfast.http().parse().unwrap();
        if signals_first {
            holdfast.signal(Signal::TERM);
            holdfast.wait_for("serving until then");
        }
        let shutdown = request("POST", "/v1.0/shutdown", "", b"");
        assert_eq!(exchange(address, &shutdown).await.status, 204);
        let ended = tokio::task::spawn_blocking(move || (holdfast.wait(), holdfast.log())).await;
        let (code, log) = ended.unwrap();
        assert_eq!(code, Some(0), "{log}");
        assert_eq!(log.contains("serving until then"), signals_first, "{log}");
    }
}

#[tokio::test]
async fn calls_of_other_parts_of_daprs_api_are_logged_once_in_a_while() {
    let mut holdfast = Holdfast::serve(HOLDFAST, &[]);
    let address = holdfast.http().parse().unwrap();
    for path in ["/favicon.ico", "/v1.0/state/store", "/v1.0/publish/p/t"] {
        assert_eq!(exchange(address, &request("POST", path, "", b"")).await.status, 404);
    }
    let said = "POST /v1.0/state/store is not served: Holdfast serves locks only";
    holdfast.wait_for(said);
    assert_eq!(holdfast.end_by(Signal::TERM), Some(0));
    assert_eq!(holdfast.log().matches("Holdfast serves locks only").count(), 1);
}

/// They wait for a request that may still come, and cannot be late.
#[tokio::test]
async fn idle_connections_are_not_said_to_be_cut_off() {
    let holdfast = Holdfast::serve(HOLDFAST, &["--dapr-graceful-shutdown-seconds", "0"]);
    let mut idle = TcpStream::connect(holdfast.http()).await.unwrap();
    idle.write_all(b"GET /v1.0/healthz HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    let mut reply = Vec::new();
    while !reply.ends_with(b"\r\n\r\n") {
        assert_ne!(idle.read_buf(&mut reply).await.unwrap(), 0);
    }
    // This one waits until there is no more time to wait for its request.
    let _new = TcpStream::connect(holdfast.http()).await.unwrap();
    let (code, log) = holdfast.end().await;
    assert_eq!(code, 0, "{log}");
    assert!(!log.contains("cut off"), "{log}");
}

#[tokio::test]
async fn the_shutdown_does_not_wait_for_a_server_that_stands_still() {
    let server = RedisServer::start();
    let resources = Resources::in_redis(&server, &[("readTimeout", "100ms")]);
    let quick = ["--dapr-graceful-shutdown-seconds", "1", "--resources-path", resources.path()];
    let holdfast = Holdfast::serve(HOLDFAST, &quick);
    let address = holdfast.http().parse().unwrap();
    server.suspend();
    let body = br#"{"resourceId":"r","lockOwner":"me","expiryInSeconds":60}"#;
    let call = request("POST", "/v1.0-alpha1/lock/lockstore", "", body);
    let answer = exchange(address, &call).await;
    assert_eq!(answer.status, 500);
    assert!(answer.body.contains("the outcome is unknown"), "{}", answer.body);
    // A grant that comes late would be given back, so the store waits for it for longer than the shutdown may take.
    let (code, log) = holdfast.end().await;
    assert_eq!(code, 0, "{log}");
    assert!(log.contains("the shutdown no longer waits for a store that does not answer"), "{log}");
    assert!(!log.contains("closed before all commands were answered"), "{log}");
}
