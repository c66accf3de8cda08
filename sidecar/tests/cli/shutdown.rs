//! A shutdown that is asked for over HTTP, and calls of other parts of Dapr's API.

use holdfast_tests::{
    holdfast::Holdfast,
    http_client::{exchange, request},
};
use rustix::process::Signal;

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
    assert!(log.contains("a shutdown was asked for over HTTP"), "{log}");
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
