//! The documents that describe the HTTP APIs: the server has every call that they name, and they name every call that
//! it has.

use std::{collections::BTreeSet, net::SocketAddr, sync::Arc};

use ::holdfast::{Limits, store::memory::MemoryStore};
use holdfast_dapr_api::{LeaseCall, Route};
use holdfast_sidecar::{Sidecar, admin, http::Api, server::Server};
use holdfast_tests::{
    LONG,
    holdfast::Holdfast,
    http_client::{Response, exchange, get, post, request},
    read,
};
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

use crate::{
    HOLDFAST,
    server::{http, in_memory, sidecar},
};

const LOCKS: &str = "sidecar/openapi/locks.json";

const OPERATORS: &str = "sidecar/openapi/operators.json";

fn document(file: &str) -> Value {
    serde_json::from_str(&read(file)).unwrap()
}

/// The methods and paths of a document, as in `GET /v1.0/metadata`.
fn calls(document: &Value) -> BTreeSet<String> {
    let paths = document["paths"].as_object().unwrap();
    let methods = ["get", "put", "post", "delete"];
    let calls = paths.iter().flat_map(|(path, item)| {
        let served = methods.into_iter().filter(|method| item.get(method).is_some());
        served.map(move |method| format!("{} {path}", method.to_uppercase()))
    });
    calls.collect()
}

/// The call after this one, so that the compiler reports a call that is missing in [`routes`].
fn next(route: &Route<'_>) -> Option<Route<'static>> {
    let store = || "a".into();
    let lease = |call| Route::Lease { call, store: store() };
    Some(match route {
        Route::TryLock { .. } => Route::Unlock { store: store() },
        Route::Unlock { .. } => lease(LeaseCall::Acquire),
        Route::Lease { call, .. } => match call {
            LeaseCall::Acquire => lease(LeaseCall::Extend),
            LeaseCall::Extend => lease(LeaseCall::Release),
            LeaseCall::Release => lease(LeaseCall::Inspect),
            LeaseCall::Inspect => Route::Hold { store: store() },
        },
        Route::Hold { .. } => Route::AwaitLoss { store: store() },
        Route::AwaitLoss { .. } => Route::Healthz,
        Route::Healthz => Route::OutboundHealthz,
        Route::OutboundHealthz => Route::Metadata,
        Route::Metadata => Route::PutMetadata { key: "a".into() },
        Route::PutMetadata { .. } => Route::Shutdown,
        Route::Shutdown => Route::OpenApi,
        Route::OpenApi => Route::Unknown,
        Route::Unknown => return None,
    })
}

/// Every call that is known.
fn routes() -> impl Iterator<Item = Route<'static>> {
    let first = Route::TryLock { store: "a".into() };
    let all = std::iter::successors(Some(first), next);
    all.filter(|route| *route != Route::Unknown)
}

/// Serves operators, who need the token if there is one.
async fn operators(sidecar: Sidecar, token: Option<&str>) -> SocketAddr {
    serve(&sidecar, |server, listener| {
        server.auxiliary("admin", admin::Api::new(sidecar.clone(), token), vec![listener.into()])
    })
    .await
}

/// Serves the part of the API that needs no token.
async fn public(sidecar: Sidecar) -> SocketAddr {
    serve(&sidecar, |server, listener| {
        server.auxiliary("public", Api::public(sidecar.clone()), vec![listener.into()])
    })
    .await
}

async fn serve(sidecar: &Sidecar, add: impl FnOnce(Server, TcpListener) -> Server) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = add(Server::new(sidecar.readiness().clone()), listener);
    tokio::spawn(server.serve(std::future::pending(), LONG));
    address
}

#[test]
fn every_call_has_a_path_and_every_path_is_a_call() {
    let document = document(LOCKS);
    let named = calls(&document);
    for call in &named {
        let (method, path) = call.split_once(' ').unwrap();
        let sent = path.replace("{store}", "a").replace("{key}", "a");
        assert_eq!(Route::of(method, &sent).template(), path, "{call}");
    }
    let paths: BTreeSet<_> = document["paths"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(paths, routes().map(|route| route.template().to_owned()).collect());
    // No path has two methods.
    assert_eq!(named.len(), paths.len());
}

#[tokio::test]
async fn operators_have_the_calls_of_their_document_and_no_others() {
    let address = operators(in_memory(), None).await;
    let named = calls(&document(OPERATORS));
    for call in &named {
        let (method, path) = call.split_once(' ').unwrap();
        let path = path.replace("{store}", "lockstore").replace("{resource}", "r");
        let (path, status) = match &*path {
            // A watch lasts, unless it is refused.
            "/v1.0/watch" => (path + "?store=x", 400),
            "/v1.0/leases/lockstore" if method == "DELETE" => (path + "?resource=r", 200),
            _ => (path, 200),
        };
        let answered = exchange(address, &request(method, &path, "", b"")).await;
        assert_eq!(answered.status, status, "{call}: {}", answered.body);
    }
    // The refusal of another path names all of them, and the page, which no document describes.
    let refused = get(address, "/").await.body;
    let said = refused.split([' ', '"', ',']).collect::<Vec<_>>();
    let said = said.windows(2).filter(|words| words[1].starts_with('/') && words[1] != "/ui");
    assert_eq!(said.map(|words| words.join(" ")).collect::<BTreeSet<_>>(), named);
}

/// The object at a reference, such as `{"$ref": "#/components/schemas/Ttl"}`, or the value itself.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap(),
        None => value,
    }
}

/// The schema of a call's body of JSON, if it has one.
fn body<'a>(document: &'a Value, path: &Value) -> Option<&'a Value> {
    let schema = path.pointer("/post/requestBody/content/application~1json/schema")?;
    document.pointer(schema["$ref"].as_str()?.trim_start_matches('#'))
}

/// Every field of any body, with a value that is right where it is read. No hold lasts.
fn fields() -> Map<String, Value> {
    let fields = json!({
        "storeName": "lockstore",
        "resourceId": "r",
        "lockOwner": "o",
        "expiryInSeconds": 60,
        "ttl": "30s",
        "wait": "0.001s",
        "fenced": true,
        "mayShorten": true,
        "maxHold": "0.001s",
    });
    fields.as_object().unwrap().clone()
}

#[tokio::test]
async fn the_server_reads_the_fields_that_the_document_names() {
    let document = document(LOCKS);
    let address = http(in_memory()).await.address;
    let mut unused: BTreeSet<_> = fields().keys().cloned().collect();
    let mut bodies = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let Some(schema) = body(&document, item) else { continue };
        bodies += 1;
        let named = schema["properties"].as_object().unwrap();
        let ignores_others = schema["additionalProperties"] == true;
        let required = schema["required"].as_array().unwrap();
        let base: Map<_, _> = fields()
            .into_iter()
            // Without `maxHold` a hold does not end.
            .filter(|(name, _)| {
                required.contains(&json!(name)) || (name == "maxHold" && named.contains_key(name))
            })
            .collect();
        let target = path.replace("{store}", "lockstore");
        let status = async |name: &str, value: Value| {
            let mut body = base.clone();
            body.insert(name.to_owned(), value);
            let body = Value::Object(body).to_string();
            post(address, &target, &body).await.status
        };
        for (name, right) in fields() {
            let is_named = named.contains_key(&name);
            if is_named {
                unused.remove(&name);
            }
            let expected = |is_accepted| if is_accepted { 200 } else { 400 };
            let of_right = expected(is_named || ignores_others);
            assert_eq!(status(&name, right).await, of_right, "{path}: {name}");
            // A field that is not read may have any type.
            let of_wrong = expected(!is_named && ignores_others);
            assert_eq!(status(&name, json!([])).await, of_wrong, "{path}: {name} of another type");
        }
        for name in named.keys() {
            assert!(
                fields().contains_key(name),
                "{path}: {name} is not among the fields of this test"
            );
        }
        for name in required {
            let mut body = base.clone();
            body.remove(name.as_str().unwrap());
            let refused = post(address, &target, Value::Object(body).to_string()).await;
            assert_eq!(refused.status, 400, "{path} without {name}");
        }
    }
    assert_eq!((bodies, unused), (8, BTreeSet::new()));
}

#[test]
fn the_examples_are_bodies_of_their_calls() {
    let document = document(LOCKS);
    for (path, item) in document["paths"].as_object().unwrap() {
        let Some(schema) = body(&document, item) else { continue };
        let example = schema["examples"][0].as_object().unwrap();
        for name in schema["required"].as_array().unwrap() {
            assert!(example.contains_key(name.as_str().unwrap()), "{path}: {name}");
        }
        for (name, value) in example {
            let types = resolved(&document, &schema["properties"][name])["type"].to_string();
            let expected = match value {
                Value::String(_) => "string",
                Value::Bool(_) => "boolean",
                _ => "integer",
            };
            assert!(types.contains(expected), "{path}: {name}");
        }
    }
}

/// Checks that the document has the status of a response to a call, and the media type.
fn assert_declares(document: &Value, call: &str, response: &Response) {
    let (method, path) = call.split_once(' ').unwrap();
    let status = response.status.to_string();
    let declared = &document["paths"][path][method.to_lowercase()]["responses"][&status];
    assert!(!declared.is_null(), "{call}: {status}");
    let declared = resolved(document, declared);
    match response.header("content-type") {
        Some(media_type) => {
            assert!(declared["content"].get(media_type).is_some(), "{call}: {status} {media_type}");
        }
        None => assert_eq!((&*response.body, declared.get("content")), ("", None), "{call}"),
    }
}

#[tokio::test]
async fn the_documents_have_the_refusals_of_every_call() {
    let sidecar = sidecar(Arc::new(MemoryStore::new()), Limits::default(), Some("s3cret"));
    let operators = operators(in_memory(), Some("s3cret")).await;
    let long = format!("Host: a\r\nLong: {}\r\n", "x".repeat(40 << 10));
    for (file, address) in [(LOCKS, http(sidecar).await.address), (OPERATORS, operators)] {
        let document = document(file);
        for call in calls(&document) {
            let target =
                call.replace("{store}", "a").replace("{key}", "a").replace("{resource}", "a");
            for (headers, status) in [
                ("Host: a\r\nHost: a\r\n", 400),
                ("Host: a b\r\n", 400),
                ("", 400),
                ("Host: a\r\nExpect: 200-ok\r\n", 417),
                (&*long, 431),
                ("Host: a\r\nTransfer-Encoding: gzip, chunked\r\n", 501),
                ("Host: a\r\n", 401),
            ] {
                let request = format!("{target} HTTP/1.1\r\nConnection: close\r\n{headers}\r\n");
                let response = exchange(address, request.as_bytes()).await;
                let is_open = status == 401 && call.contains("/healthz");
                // A server that has just started need not be ready.
                let refused = is_open || response.status == status;
                assert!(refused, "{call}: {headers:.60}: {}", response.status);
                assert_declares(&document, &call, &response);
            }
        }
    }
}

#[test]
fn the_documents_have_the_version_of_the_program() {
    for file in [LOCKS, OPERATORS] {
        let version = &document(file)["info"]["version"];
        assert_eq!(version, env!("CARGO_PKG_VERSION"), "{file}");
    }
}

/// Checks that a document is served as it is.
fn assert_is(response: &Response, file: &str) {
    assert_eq!((response.status, &response.body), (200, &read(file)));
    assert_eq!(response.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn each_port_serves_its_document() {
    assert_is(&get(http(in_memory()).await.address, "/openapi.json").await, LOCKS);
    assert_is(&get(operators(in_memory(), None).await, "/openapi.json").await, OPERATORS);
    let hidden = get(public(in_memory()).await, "/openapi.json").await;
    assert_eq!((hidden.status, &*hidden.body), (404, "404 page not found\n"));
}

#[tokio::test]
async fn the_documents_are_for_those_who_have_the_token() {
    let holdfast = Holdfast::serve_in(
        &[("DAPR_API_TOKEN", "a"), ("HOLDFAST_ADMIN_TOKEN", "b")],
        HOLDFAST,
        &["--enable-admin", "--admin-port", "0"],
    );
    for (address, header, file) in [
        (holdfast.http(), "dapr-api-token: a\r\n", LOCKS),
        (holdfast.operators(), "holdfast-admin-token: b\r\n", OPERATORS),
    ] {
        let address = address.parse().unwrap();
        assert_eq!(get(address, "/openapi.json").await.status, 401);
        assert_is(&exchange(address, &request("GET", "/openapi.json", header, b"")).await, file);
    }
}
