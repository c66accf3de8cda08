//! Right and wrong configurations.

use serde_json::json;

use crate::{
    proxy::{GRANTED, Proxy},
    state::Fate,
};

#[test]
fn a_wrong_configuration_is_refused_and_the_field_is_named() {
    let lock =
        |name: &str, ttl: &str| json!({"name": name, "store": "s", "resource": "r", "ttl": ttl});
    for (configuration, message) in [
        (json!({"locks": [lock("a", "1s")]}), "cluster: is missing"),
        (json!({"cluster": "c"}), "locks: is missing"),
        (
            json!({"cluster": "c", "locks": [lock("a", "5m")]}),
            "locks[0].ttl: must be seconds, such as 30s or 0.25s",
        ),
        (
            json!({"cluster": "c", "locks": [lock("a", "1s"), lock("a", "1s")]}),
            "locks[1].name: is given twice",
        ),
        (
            json!({"cluster": "c", "timout": "1s", "locks": [lock("a", "1s")]}),
            "timout: unknown field; the fields here are cluster, authority, token, timeout, locks",
        ),
        (json!([]), "must be a mapping"),
    ] {
        let log = Proxy::start(&configuration.to_string()).err().unwrap();
        assert_eq!(log, [format!("holdfast: {message}")]);
    }
    for text in ["", "{", "cluster: holdfast"] {
        let log = Proxy::start(text).err().unwrap();
        assert!(log[0].starts_with("holdfast: the configuration is not JSON: "), "{log:?}");
    }
    let twice = r#"{"cluster": "c", "locks": [{"ttl": "1s", "ttl": "2s"}]}"#;
    let log = Proxy::start(twice).err().unwrap();
    assert_eq!(log, ["holdfast: locks[0].ttl: is given twice"]);
}

#[test]
fn the_fields_of_a_configuration_are_in_its_calls() {
    let configuration = json!({
        "cluster": "outbound|3500||holdfast", "authority": "holdfast.example", "token": "secret", "timeout": "0.5s",
        "locks": [{"name": "a", "store": "my store", "resource": "r", "ttl": "30s", "wait": "2s", "fenced": true}],
    });
    let mut proxy =
        Proxy::start(&configuration.to_string()).unwrap_or_else(|log| panic!("{log:?}"));
    proxy.get("/");
    let call = proxy.only_call();
    assert_eq!(call.cluster, "outbound|3500||holdfast");
    let headers = [
        (":method", "POST"),
        (":path", "/v1.0/leases/my%20store/acquire"),
        (":authority", "holdfast.example"),
        ("content-type", "application/json"),
        ("dapr-api-token", "secret"),
    ];
    assert_eq!(call.headers, headers.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let owner = format!("{}0000000000000001", "5a".repeat(16));
    let body =
        json!({"resourceId": "r", "lockOwner": owner, "ttl": "30s", "wait": "2s", "fenced": true});
    assert_eq!(call.body, body);
    assert_eq!(call.timeout, 2_500);

    proxy.lose(&call);
    let call = proxy.only_call();
    assert_eq!(call.header(":path"), Some("/v1.0/leases/my%20store/release"));
    assert_eq!(call.header("dapr-api-token"), Some("secret"));
    assert_eq!(call.body, json!({"resourceId": "r", "lockOwner": owner}));
    assert_eq!(call.timeout, 500);
}

#[test]
fn without_a_token_none_is_sent_and_the_cluster_is_the_authority() {
    let mut proxy = Proxy::with_lock(json!({}));
    proxy.get("/");
    let call = proxy.only_call();
    assert_eq!(call.header("dapr-api-token"), None);
    assert_eq!((call.header(":authority"), call.timeout), (Some("holdfast"), 1_000));
}

#[test]
fn a_later_configuration_is_for_later_requests() {
    let mut proxy = Proxy::with_lock(json!({"onClientGone": "free"}));
    let request = proxy.get("/a");
    proxy.answer_only(200, GRANTED);
    let lock = json!({"name": "b", "store": "other", "resource": "{:path}", "ttl": "5s"});
    assert!(proxy.configure(&json!({"cluster": "holdfast", "locks": [lock]}).to_string()));
    assert!(!proxy.configure("{}"));
    proxy.end(request);
    assert_eq!(proxy.only_call().header(":path"), Some("/v1.0/leases/lockstore/release"));
    let later = proxy.get("/a");
    assert_eq!(proxy.calls()[1].header(":path"), Some("/v1.0/leases/other/acquire"));
    assert_eq!(proxy.fate(later), Fate::Paused);
}
