//! `examples/workers/` in workerd: it answers like every server of Dapr's HTTP API, has leases, and keeps its locks
//! across a restart.

use std::net::SocketAddr;

use holdfast_tests::{
    eventually,
    http_api::{self, ACQUIRED, HELD, HELD_BY_OTHER, LOCK, MISSING, RELEASED, UNLOCK, error},
    http_client::{get, lock_body, post},
    sdk::{Language, Running, Sdk},
    temporary_dir,
    workerd::Workerd,
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A server with these variables, and the folder of its locks. `None` where workerd is not prepared.
fn serve_with(environment: &[(&str, &str)]) -> Option<(Workerd, TempDir)> {
    let locks = temporary_dir();
    let workerd = Workerd::start(Workerd::prepared()?, locks.path(), environment);
    Some((workerd, locks))
}

/// A server of the application `app1`.
fn serve() -> Option<(Workerd, TempDir)> {
    serve_with(&[("APP_ID", "app1")])
}

/// Calls `acquire` and so on of a store.
async fn lease(address: SocketAddr, store: &str, call: &str, body: Value) -> (u16, String) {
    let response = post(address, &format!("/v1.0/leases/{store}/{call}"), body.to_string()).await;
    (response.status, response.body)
}

/// The JSON of a reply with status 200.
async fn answered(address: SocketAddr, call: &str, body: Value) -> Value {
    let (status, reply) = lease(address, "lockstore", call, body).await;
    assert_eq!(status, 200, "{reply}");
    serde_json::from_str(&reply).unwrap()
}

/// Seconds, such as `1.5s`.
fn seconds(time: &Value) -> f64 {
    time.as_str().unwrap().strip_suffix('s').unwrap().parse().unwrap()
}

fn number(reply: &Value) -> u64 {
    reply["fencingToken"].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn the_calls_of_the_guide_are_answered_byte_for_byte() {
    let Some((workerd, _locks)) = serve() else { return };
    http_api::guide_with(workerd.address(), &["connection", "content-length", "content-type"])
        .await;
}

#[tokio::test]
async fn every_error_has_its_status_code_and_message() {
    let Some((workerd, _locks)) = serve() else { return };
    http_api::errors(workerd.address()).await;
}

#[tokio::test]
async fn bodies_that_dapr_accepts_are_accepted() {
    let Some((workerd, _locks)) = serve() else { return };
    http_api::forgiven(workerd.address()).await;
}

#[tokio::test]
async fn a_body_may_have_four_mebibytes_and_no_more() {
    let Some((workerd, _locks)) = serve() else { return };
    http_api::bounded_bodies(workerd.address()).await;
}

#[tokio::test]
async fn a_huge_body_is_refused_unread() {
    let Some((workerd, _locks)) = serve() else { return };
    http_api::huge_bodies(workerd.address()).await;
}

#[tokio::test]
async fn paths_are_cleaned_and_then_unescaped() {
    let Some((workerd, _locks)) = serve() else { return };
    http_api::plain_paths(workerd.address()).await;
    http_api::whole_urls(workerd.address()).await;
}

#[tokio::test]
async fn other_methods_and_paths_are_not_found() {
    let Some((workerd, _locks)) = serve() else { return };
    http_api::unknown_of_http(workerd.address()).await;
}

#[tokio::test]
async fn health_checks_know_the_app_id() {
    let Some((workerd, _locks)) = serve() else { return };
    http_api::health(workerd.address()).await;
}

#[tokio::test]
async fn the_token_is_required_except_for_health_checks() {
    let Some((workerd, _locks)) = serve_with(&[("DAPR_API_TOKEN", "secret")]) else { return };
    http_api::token(workerd.address()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_many_callers_gets_the_lock_in_each_of_ten_races() {
    let Some((workerd, _locks)) = serve() else { return };
    for _ in 0..10 {
        http_api::contention(workerd.address()).await;
    }
}

#[tokio::test]
async fn metadata_names_the_stores() {
    let stores = [("HOLDFAST_STORES", "main,other"), ("APP_ID", "app1")];
    let Some((workerd, _locks)) = serve_with(&stores) else { return };
    let response = get(workerd.address(), "/v1.0/metadata").await;
    let version = format!("1.18.0+holdfast.{}", env!("CARGO_PKG_VERSION"));
    let listed = r#""type":"lock.cloudflare.durableobjects","version":"v1""#;
    let expected = format!(
        r#"{{"id":"app1","runtimeVersion":"{version}","enabledFeatures":[],"components":[{{"name":"main",{listed}}},{{"name":"other",{listed}}}],"extended":{{"daprRuntimeVersion":"{version}"}},"appConnectionProperties":{{}},"actorRuntime":{{"runtimeStatus":"DISABLED","hostReady":false}}}}"#
    );
    assert_eq!((response.status, response.body), (200, expected));
}

#[test]
fn daprs_sdk_for_javascript_works_unchanged() {
    let Some(sdk) = Sdk::prepared(Language::JavaScript) else { return };
    let token = [("DAPR_API_TOKEN", "secret")];
    let Some((workerd, _locks)) = serve_with(&token) else { return };
    let mut program = sdk.program("locks");
    program.arg("http").env("DAPR_HTTP_PORT", workerd.address().port().to_string()).envs(token);
    assert_eq!(Running::start(program).output(), sdk.expected("expected-http.txt"));
}

#[tokio::test]
async fn a_lease_is_taken_looked_at_extended_and_released() {
    let Some((workerd, _locks)) = serve() else { return };
    let address = workerd.address();
    let inspect = json!({"resourceId": "r"});
    let free = json!({"held": false});
    assert_eq!(answered(address, "inspect", inspect.clone()).await, free);

    let taken = json!({"resourceId": "r", "ttl": "30s", "fenced": true});
    let held = answered(address, "acquire", taken.clone()).await;
    let valid_for = seconds(&held["validFor"]);
    assert!(held["success"] == true && (20.0..30.0).contains(&valid_for), "{held}");
    let owner = held["lockOwner"].as_str().unwrap().to_owned();
    assert_eq!(answered(address, "acquire", taken).await, json!({"success": false}));
    assert_eq!(post(address, LOCK, lock_body("r", &owner)).await.body, HELD);

    let seen = answered(address, "inspect", inspect.clone()).await;
    assert_eq!(
        (&seen["held"], &seen["lockOwner"], &seen["fencingToken"]),
        (&json!(true), &held["lockOwner"], &held["fencingToken"])
    );
    assert!((20.0..=30.0).contains(&seconds(&seen["timeLeft"])), "{seen}");

    let extend = |owner: &str| json!({"resourceId": "r", "lockOwner": owner, "ttl": "60s"});
    let extended = answered(address, "extend", extend(&owner)).await;
    assert!(extended["status"] == 0 && seconds(&extended["validFor"]) > 40.0, "{extended}");
    assert_eq!(answered(address, "extend", extend("you")).await, json!({"status": 2}));

    let release = |owner: &str| json!({"resourceId": "r", "lockOwner": owner});
    assert_eq!(answered(address, "release", release("you")).await, json!({"status": 2}));
    assert_eq!(answered(address, "release", release(&owner)).await, json!({"status": 0}));
    assert_eq!(answered(address, "release", release(&owner)).await, json!({"status": 1}));
    assert_eq!(answered(address, "extend", extend(&owner)).await, json!({"status": 1}));
    assert_eq!(answered(address, "inspect", inspect).await, free);
}

#[tokio::test]
async fn a_lease_that_cannot_be_is_refused() {
    let Some((workerd, _locks)) = serve() else { return };
    let address = workerd.address();
    let body = json!({"resourceId": "r", "ttl": "30s", "lockOwner": "me"});
    for (store, call, body, status, refusal) in [
        ("other", "acquire", body, 400, "lock store other not found"),
        ("lockstore", "acquire", json!({"resourceId": "r"}), 400, "ttl is not positive"),
        ("lockstore", "acquire", json!({"resourceId": "r", "tll": "30s"}), 400, "tll"),
        ("lockstore", "inspect", json!({"resourceId": "a||b"}), 500, "can't contain '||'"),
        ("lockstore", "inspect", json!({"resourceId": "r".repeat(9 << 10)}), 400, "too large"),
    ] {
        let (answered, reply) = lease(address, store, call, body).await;
        assert_eq!(answered, status, "{reply}");
        assert!(reply.contains(refusal), "{reply}");
    }
}

#[tokio::test]
async fn a_lock_runs_out_after_its_time() {
    let Some((workerd, _locks)) = serve() else { return };
    let address = workerd.address();
    let body = |owner: &str| json!({"resourceId": "r", "lockOwner": owner, "expiryInSeconds": 1});
    assert_eq!(post(address, LOCK, body("me").to_string()).await.body, ACQUIRED);
    eventually("the lock expires", async || {
        post(address, LOCK, lock_body("r", "you")).await.body == ACQUIRED
    })
    .await;
    assert_eq!(post(address, UNLOCK, lock_body("r", "me")).await.body, HELD_BY_OTHER);
}

#[tokio::test]
async fn a_wait_ends_with_the_lock_or_when_its_time_is_over() {
    let Some((workerd, _locks)) = serve() else { return };
    let address = workerd.address();
    let first = answered(address, "acquire", json!({"resourceId": "r", "ttl": "60s"})).await;
    let short = json!({"resourceId": "r", "ttl": "60s", "wait": "0.2s"});
    assert_eq!(answered(address, "acquire", short).await, json!({"success": false}));

    let shorter = json!({
        "resourceId": "r", "lockOwner": first["lockOwner"], "ttl": "0.3s", "mayShorten": true
    });
    let long = json!({"resourceId": "r", "ttl": "60s", "wait": "60s", "fenced": true});
    let waiting = tokio::spawn(async move { answered(address, "acquire", long).await });
    assert_eq!(answered(address, "extend", shorter).await["status"], 0);
    let second = waiting.await.unwrap();
    assert!(second["success"] == true && second["lockOwner"] != first["lockOwner"], "{second}");
    assert!(seconds(&second["validFor"]) > 20.0, "{second}");
}

#[tokio::test]
async fn locks_and_numbers_outlast_a_restart() {
    let Some((workerd, locks)) = serve() else { return };
    let made = Workerd::prepared().unwrap();
    let address = workerd.address();
    assert_eq!(post(address, LOCK, lock_body("dapr", "me")).await.body, ACQUIRED);
    let fenced = json!({"resourceId": "fenced", "ttl": "60s", "fenced": true});
    let before = answered(address, "acquire", fenced.clone()).await;
    let short = json!({"resourceId": "short", "ttl": "0.2s"});
    assert_eq!(answered(address, "acquire", short).await["success"], true);
    // A kill: nothing can be saved any more.
    drop(workerd);

    let workerd = Workerd::start(made, locks.path(), &[("APP_ID", "app1")]);
    let address = workerd.address();
    assert_eq!(post(address, LOCK, lock_body("dapr", "you")).await.body, HELD);
    assert_eq!(post(address, UNLOCK, lock_body("dapr", "you")).await.body, HELD_BY_OTHER);
    assert_eq!(post(address, UNLOCK, lock_body("dapr", "me")).await.body, RELEASED);
    assert_eq!(post(address, UNLOCK, lock_body("dapr", "me")).await.body, MISSING);
    eventually("the short lock expires", async || {
        post(address, LOCK, lock_body("short", "you")).await.body == ACQUIRED
    })
    .await;

    let seen = answered(address, "inspect", json!({"resourceId": "fenced"})).await;
    assert_eq!(
        (&seen["lockOwner"], &seen["fencingToken"]),
        (&before["lockOwner"], &before["fencingToken"])
    );
    let release = json!({"resourceId": "fenced", "lockOwner": before["lockOwner"]});
    assert_eq!(answered(address, "release", release).await, json!({"status": 0}));
    let after = answered(address, "acquire", fenced).await;
    assert!(number(&after) > number(&before), "{after} after {before}");
}

#[tokio::test]
async fn stores_and_applications_have_locks_of_their_own() {
    let stores = [("HOLDFAST_STORES", "main, other"), ("APP_ID", "app1")];
    let Some((workerd, locks)) = serve_with(&stores) else { return };
    let made = Workerd::prepared().unwrap();
    let [main, other, unknown] =
        ["main", "other", "lockstore"].map(|store| format!("/v1.0-alpha1/lock/{store}"));
    let body = || lock_body("r", "me");
    for (path, reply) in [(&main, ACQUIRED), (&main, HELD), (&other, ACQUIRED)] {
        assert_eq!(post(workerd.address(), path, body()).await.body, reply, "{path}");
    }
    let refused = post(workerd.address(), &unknown, body()).await;
    let message = "lock store lockstore not found";
    assert_eq!(refused.body, error("ERR_LOCK_STORE_NOT_FOUND", message));
    drop(workerd);

    let app2 = [("STORE_NAME", "main"), ("APP_ID", "app2")];
    let shared = [("STORE_NAME", "main"), ("APP_ID", "app2"), ("KEY_PREFIX", "none")];
    let shared_too = [("STORE_NAME", "main"), ("APP_ID", "app3"), ("KEY_PREFIX", "None")];
    for (environment, reply) in
        [(&app2[..], ACQUIRED), (&app2, HELD), (&shared, ACQUIRED), (&shared_too, HELD)]
    {
        let workerd = Workerd::start(made, locks.path(), environment);
        let answered = post(workerd.address(), &main, body()).await;
        assert_eq!(answered.body, reply, "{environment:?}");
    }
}
