//! Wrong settings.

use holdfast_tests::{
    envoy::{Envoy, filter_with},
    holdfast::{Holdfast, serve},
    resources::{self, Resources},
};
use serde_json::{Value, json};

use super::edge::{document, lock};
use crate::HOLDFAST;

/// The error of `holdfast serve` for an edge lock that it refuses.
fn refused(documents: &str) -> String {
    let store = resources::definition("lockstore", "lock.in-memory", &[]);
    let resources = Resources::new(&[("lockstore.yaml", &store), ("edge.yaml", documents)]);
    let mut command = serve(HOLDFAST);
    command.args(["--app-id", "edge", "--resources-path", resources.path()]);
    let mut holdfast = Holdfast::start(command);
    assert_eq!(holdfast.wait(), Some(1), "{}", holdfast.log());
    holdfast.log()
}

#[test]
fn a_mistake_in_an_edge_lock_stops_the_start_and_is_named() {
    let with = |name: &str, value: Value| document("reports", &lock(json!({ name: value })));
    for (documents, complaint) in [
        (
            with("store", json!("reprots")),
            "edge lock reports, spec.store: lock store reprots not found",
        ),
        (
            document("reports", &lock(json!({})))
                .replace(r#"metadata: {"#, r#"metadata: {"scopes": ["other"], "#),
            "metadata.scopes: has no effect here: it belongs to the top level",
        ),
        (with("ttl", json!("1m")), "spec.ttl: must be seconds, such as 30s or 0.25s"),
        (with("ttl", json!(null)), "spec.ttl: is missing"),
        (with("wait", json!(5)), "spec.wait: must be seconds, such as 30s or 0.25s"),
        (with("resource", json!("{:port}")), "spec.resource: has {:port}, which is unknown"),
        (
            with("resource", json!("{:authority}{path}")),
            "spec.resource: has {path} without a colon: did you mean {:path}?",
        ),
        (with("maxWaiting", json!(0)), "spec.maxWaiting: must be at least 1"),
        (with("inDoubt", json!("maybe")), "spec.inDoubt: must be closed or open"),
        (with("onClientGone", json!("hold")), "spec.onClientGone: must be keep or free"),
        (with("refused", json!({ "status": 200 })), "spec.refused.status: must be from 400 to 599"),
        (with("match", json!({ "path": "/" })), "spec.match.path: unknown field"),
        (
            with("match", json!({ "methods": ["GET,HEAD"] })),
            "spec.match.methods[0]: is not a method",
        ),
        (
            with("match", json!({ "authorities": ["https://edge.example"] })),
            "spec.match.authorities[0]: is not a host",
        ),
        (
            with("match", json!({ "headers": { "x tenant": "a" } })),
            "spec.match.headers.x tenant: is not the name of a header",
        ),
        (
            with("match", json!({ "headers": { "X-A": "a", "x-a": "b" } })),
            "spec.match.headers.x-a: is given twice",
        ),
        (
            with("match", json!({ "pathPrefix": "/a b" })),
            "spec.match.pathPrefix: must be as requests have it: printable ASCII, without spaces and #",
        ),
        (
            with("ttl", json!("60s")).replace("kind: EdgeLock", "kind: Edgelock"),
            "kind: is Edgelock, and must be EdgeLock here",
        ),
        (with("expiry", json!("60s")), "spec.expiry: unknown field"),
        (
            with("ttl", json!("60s")).replace("v1alpha1", "v1"),
            "apiVersion: must be holdfast.lock/v1alpha1",
        ),
        (document("", &lock(json!({}))), "metadata.name: is missing"),
        (
            with("ttl", json!("60s")) + &with("ttl", json!("50s")),
            "metadata.name: is the name of an edge lock in ",
        ),
        (with("ttl", json!("60s")).replace("spec:", "sepc:"), "edge lock reports, "),
        (
            with("ttl", json!("60s")).replace("kind: EdgeLock\n", ""),
            "kind: is missing, and must be EdgeLock here",
        ),
        (with("ttl", json!("60s")) + "a: {b}{c}\n", "document 1: not valid YAML: "),
    ] {
        let log = refused(&documents);
        assert!(log.contains(complaint), "{complaint}: {log}");
        assert!(log.contains("edge.yaml, document "), "{log}");
    }
}

#[test]
fn an_edge_lock_of_another_application_is_passed_over() {
    let store = resources::definition("lockstore", "lock.in-memory", &[]);
    let theirs = document("reports", &lock(json!({ "ttl": "60s" }))) + "scopes: [other]\n";
    let resources = Resources::new(&[("lockstore.yaml", &store), ("edge.yaml", &theirs)]);
    let arguments = ["--app-id", "edge", "--resources-path", resources.path()];
    let holdfast = Holdfast::serve(HOLDFAST, &arguments);
    assert!(holdfast.log().contains(r#"scopes: the app id "edge" is not among them"#));
    assert!(!holdfast.log().contains("serving the edge lock"), "{}", holdfast.log());
}

/// Envoy's error for settings of the filter that it refuses; `None` without an Envoy.
async fn refused_by_filter(settings: &Value) -> Option<String> {
    Envoy::refuses("filter.yaml", &filter_with(settings)).await
}

#[tokio::test]
async fn a_mistake_in_the_settings_of_the_filter_stops_envoy_and_is_named() {
    let with = |name: &str, value: Value| {
        let mut lock = lock(json!({ name: value }));
        lock["name"] = "reports".into();
        json!({ "cluster": "holdfast", "locks": [lock] })
    };
    for (settings, complaint) in [
        (with("ttl", json!("1m")), "locks[0].ttl: must be seconds, such as 30s or 0.25s"),
        (with("expiry", json!("60s")), "locks[0].expiry: unknown field"),
        (
            with("refused", json!({ "status": 200 })),
            "locks[0].refused.status: must be from 400 to 599",
        ),
        (json!({ "locks": [] }), "cluster: is missing"),
        (json!({ "cluster": "holdfast", "lock": [] }), "lock: unknown field"),
    ] {
        let Some(log) = refused_by_filter(&settings).await else { return };
        assert!(log.contains(complaint), "{complaint}: {log}");
    }
}
