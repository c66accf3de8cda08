//! `holdfast-lock-http.wasm` over a socket answers like every server of Dapr's HTTP API.

use holdfast_tests::{
    free_port,
    http_api::{self, LOCK, UNLOCK},
    http_client::{get, lock_body, post},
    redis_server::RedisServer,
};

use crate::{runtime::Grants, server::Server};

/// A Redis, and a server of the application `app1` that uses it.
async fn serve() -> (RedisServer, Server) {
    let redis = RedisServer::start();
    let grants = Grants::of(&redis).with("APP_ID", "app1");
    let server = Server::start(grants).await;
    (redis, server)
}

#[tokio::test]
async fn the_calls_of_the_guide_are_answered_byte_for_byte() {
    let (redis, server) = serve().await;
    http_api::guide(server.address).await;
    assert_eq!(redis.run::<usize>(&["DBSIZE"]), 0);
}

#[tokio::test]
async fn every_error_has_its_status_code_and_message() {
    let (_redis, server) = serve().await;
    http_api::errors(server.address).await;
}

#[tokio::test]
async fn bodies_that_dapr_accepts_are_accepted() {
    let (_redis, server) = serve().await;
    http_api::forgiven(server.address).await;
}

#[tokio::test]
async fn a_body_may_have_four_mebibytes_and_no_more() {
    let (_redis, server) = serve().await;
    http_api::bounded_bodies(server.address).await;
}

#[tokio::test]
async fn a_huge_body_is_refused_unread() {
    let (_redis, server) = serve().await;
    http_api::huge_bodies(server.address).await;
}

#[tokio::test]
async fn paths_are_cleaned_and_then_unescaped() {
    let (_redis, server) = serve().await;
    http_api::paths(server.address).await;
}

#[tokio::test]
async fn other_methods_and_paths_are_not_found() {
    let (_redis, server) = serve().await;
    http_api::unknown(server.address).await;
    // The document describes more than the component has.
    assert_eq!(get(server.address, "/openapi.json").await.status, 404);
}

#[tokio::test]
async fn health_checks_know_the_app_id() {
    let (_redis, server) = serve().await;
    http_api::health(server.address).await;
}

#[tokio::test]
async fn the_token_is_required_except_for_health_checks() {
    let redis = RedisServer::start();
    let server = Server::start(Grants::of(&redis).with("DAPR_API_TOKEN", "secret")).await;
    http_api::token(server.address).await;
}

#[tokio::test]
async fn metadata_names_the_store() {
    let (_redis, server) = serve().await;
    let response = get(server.address, "/v1.0/metadata").await;
    let version = format!("1.18.0+holdfast.{}", env!("CARGO_PKG_VERSION"));
    let expected = format!(
        r#"{{"id":"app1","runtimeVersion":"{version}","enabledFeatures":[],"components":[{{"name":"lockstore","type":"lock.redis","version":"v1"}}],"extended":{{"daprRuntimeVersion":"{version}"}},"appConnectionProperties":{{}},"actorRuntime":{{"runtimeStatus":"DISABLED","hostReady":false}}}}"#
    );
    assert_eq!((response.status, response.body), (200, expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_many_callers_gets_the_lock() {
    let (_redis, server) = serve().await;
    http_api::contention(server.address).await;
}

#[tokio::test]
async fn without_the_network_the_error_names_the_missing_grant() {
    let redis = RedisServer::start();
    let mut grants = Grants::of(&redis);
    grants.network = false;
    let server = Server::start(grants).await;
    let response = post(server.address, LOCK, lock_body("r", "o")).await;
    assert_eq!(response.status, 500, "{}", response.body);
    assert!(response.body.contains("inherit-network"), "{}", response.body);
}

#[tokio::test]
async fn without_redis_a_call_is_not_done() {
    let address = format!("127.0.0.1:{}", free_port());
    let server = Server::start(Grants::to(&address)).await;
    for (target, start) in [
        (LOCK, r#"{"errorCode":"ERR_TRY_LOCK","message":"failed to try acquiring lock: "#),
        (UNLOCK, r#"{"errorCode":"ERR_UNLOCK","message":"failed to release lock: "#),
    ] {
        let response = post(server.address, target, lock_body("r", "o")).await;
        assert_eq!(response.status, 500, "{}", response.body);
        assert!(response.body.starts_with(start), "{}", response.body);
        assert!(!response.body.contains("the outcome is unknown"), "{}", response.body);
    }
}
