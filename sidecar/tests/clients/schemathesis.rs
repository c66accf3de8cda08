//! schemathesis makes valid and invalid requests from the documents of the HTTP APIs, and checks the answers against
//! the documents. `tests/schemathesis/` has its settings.

use std::process::Command;

use holdfast_tests::{
    STORE,
    holdfast::Holdfast,
    prepared,
    redis_server::RedisServer,
    repository,
    resources::{Resources, in_memory, redis},
    sdk::Running,
    temporary_dir,
};

use crate::HOLDFAST;

/// Checks a server at this address against a document. Requests carry the header, which is `NAME: TOKEN`.
fn check(document: &str, address: &str, header: &str) {
    let Some(made) = prepared("HOLDFAST_CHECKER_SCHEMATHESIS", "schemathesis") else { return };
    let settings = repository("tests/schemathesis");
    // It leaves files where it runs.
    let folder = temporary_dir();
    let mut program = Command::new(made.join("venv/bin/schemathesis"));
    program
        .current_dir(folder.path())
        .env("HOLDFAST_SCHEMATHESIS", &settings)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .args(["--no-color", "--config-file"])
        .arg(settings.join("schemathesis.toml"))
        .arg("run")
        .arg(repository("sidecar/openapi").join(document))
        .args(["--url", &format!("http://{address}"), "--header", header]);
    let output = Running::start(program).output();
    assert!(output.contains("No issues found"), "{output}");
}

/// A store in Redis that gives every grant a fencing token, and one in memory that does not.
fn stores(server: &RedisServer) -> Resources {
    let fenced = redis(STORE, server, &[("fencing", "true")]);
    Resources::new(&[("stores.yaml", &(fenced + &in_memory("memory")))])
}

#[test]
fn the_api_is_as_its_document_says() {
    let redis = RedisServer::start();
    let stores = stores(&redis);
    let arguments = ["--app-id", "app1", "--resources-path", stores.path()];
    let holdfast = Holdfast::serve_in(&[("DAPR_API_TOKEN", "a token")], HOLDFAST, &arguments);
    check("locks.json", &holdfast.http(), "dapr-api-token: a token");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_of_operators_is_as_its_document_says() {
    let redis = RedisServer::start();
    let stores = stores(&redis);
    let arguments = ["--resources-path", stores.path(), "--enable-admin", "--admin-port", "0"];
    let token = [("HOLDFAST_ADMIN_TOKEN", "a token")];
    let holdfast = Holdfast::serve_in(&token, HOLDFAST, &arguments);
    for store in [STORE, "memory"] {
        for resource in ["order-17", "order-18", "a/b c"] {
            holdfast.try_lock(store, resource, "id-1", 600).await;
        }
    }
    check("operators.json", &holdfast.operators(), "holdfast-admin-token: a token");
}
