//! Which requests take a lock, and how they reach the upstream.

use holdfast_tests::exposition::Exposition;
use reqwest::Method;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::edge::{Edge, Way, every_way};

every_way! {
    only_requests_that_match_take_a_lock,
    the_resource_is_made_of_the_request,
    another_spelling_of_the_host_is_the_same_host,
    a_request_without_a_resource_is_refused_in_any_case,
    the_upstream_gets_the_fencing_token_of_the_lock_and_never_the_clients,
    bodies_pass_whole,
}

async fn only_requests_that_match_take_a_lock(way: Way) {
    let matches = json!({ "methods": ["GET"], "pathPrefix": "/reports/" });
    let edge = Edge::working_for(way, 0, json!({ "match": matches, "wait": "0s" })).await;
    let Some(envoy) = edge.envoy().await else { return };
    edge.redis.run::<()>(&["SET", "lock||edge||edge.example/reports/a", "somebody"]);
    for (method, path, status) in [
        (Method::GET, "/reports/a", 503),
        // Another spelling of the path is the same path.
        (Method::GET, "/reports//a", 503),
        (Method::GET, "/%72eports/a", 503),
        (Method::GET, "/reports/b", 200),
        (Method::POST, "/reports/a", 200),
        (Method::GET, "/other", 200),
    ] {
        let passed = envoy.request(method, path).send().await.unwrap();
        assert_eq!(passed.status(), status, "{path}: {}", envoy.log());
    }
}

async fn the_resource_is_made_of_the_request(way: Way) {
    let resource = "{:method} {x-tenant} {:path-only}";
    let edge = Edge::held(way, json!({ "resource": resource })).await;
    let Some(envoy) = edge.envoy().await else { return };
    let asked = envoy.get("/reports/a?page=1").header("x-tenant", "a||b").send();
    let asked = tokio::spawn(asked);
    edge.upstream.wait_for(1).await;
    assert_eq!(edge.keys(), ["lock||edge||GET a%7C%7Cb /reports/a"]);
    edge.upstream.allow(1);
    assert_eq!(asked.await.unwrap().unwrap().status(), 200);
}

async fn another_spelling_of_the_host_is_the_same_host(way: Way) {
    let edge = Edge::working_for(way, 0, json!({ "wait": "0s" })).await;
    let Some(envoy) = edge.envoy().await else { return };
    edge.redis.run::<()>(&["SET", "lock||edge||edge.example/reports/a", "somebody"]);
    for host in ["edge.example", "EDGE.example", "edge.example:80", "edge.example."] {
        let asked = envoy.get("/reports/a").header("host", host).send().await.unwrap();
        assert_eq!(asked.status(), 503, "{host}: {}", envoy.log());
    }
    let elsewhere = envoy.get("/reports/a").header("host", "another.example").send();
    assert_eq!(elsewhere.await.unwrap().status(), 404);
    assert_eq!(edge.upstream.asked(), 0);
}

/// Otherwise a client could choose to go without a lock.
async fn a_request_without_a_resource_is_refused_in_any_case(way: Way) {
    let fields = json!({ "resource": "{x-tenant}", "inDoubt": "open" });
    let edge = Edge::working_for(way, 0, fields).await;
    let Some(envoy) = edge.envoy().await else { return };
    assert_eq!(envoy.status("/reports/a").await, 503, "{}", envoy.log());
    let long = envoy.get("/reports/a").header("x-tenant", "x".repeat(3_001)).send();
    assert_eq!(long.await.unwrap().status(), 503, "{}", envoy.log());
    assert_eq!(edge.upstream.asked(), 0);
    // However it is written, the longest one fits into a call.
    for letter in ["x", "\"", "\\"] {
        let longest = envoy.get("/reports/a").header("x-tenant", letter.repeat(3_000)).send();
        assert_eq!(longest.await.unwrap().status(), 200, "{letter}: {}", envoy.log());
    }
    edge.is_free().await;
}

async fn the_upstream_gets_the_fencing_token_of_the_lock_and_never_the_clients(way: Way) {
    const NAME: &str = "holdfast-fencing-token";
    let edge = Edge::working_for(way, 0, json!({ "fenced": true })).await;
    let Some(envoy) = edge.envoy().await else { return };
    let mut before = 0;
    for _ in 0..3 {
        let asked = envoy.get("/reports/a").header(NAME, "9999999999999999999");
        let asked = asked.header("Holdfast_Fencing_Token", "9999999999999999999").send();
        assert_eq!(asked.await.unwrap().status(), 200, "{}", envoy.log());
        let headers = edge.upstream.headers();
        let sent: Vec<_> = headers.get_all(NAME).iter().collect();
        assert_eq!(headers.get("holdfast_fencing_token"), None);
        let [token] = sent[..] else { panic!("{sent:?}") };
        let token: u64 = token.to_str().unwrap().parse().unwrap();
        assert!(token > before && token < u64::MAX / 10, "{token}");
        before = token;
        edge.is_free().await;
    }

    let matches = json!({ "pathPrefix": "/reports/" });
    let edge = Edge::working_for(way, 0, json!({ "match": matches })).await;
    let Some(envoy) = edge.envoy().await else { return };
    for path in ["/reports/a", "/other"] {
        let asked = envoy.get(path).header(NAME, "7").send();
        assert_eq!(asked.await.unwrap().status(), 200, "{}", envoy.log());
        assert_eq!(edge.upstream.headers().get(NAME), None, "{path}");
    }
}

async fn bodies_pass_whole(way: Way) {
    let edge = Edge::working_for(way, 0, json!({})).await;
    let Some(envoy) = edge.envoy().await else { return };
    echo(&edge, &envoy).await;
}

/// Sends bodies of 300 kB, which come back.
async fn echo(edge: &Edge, envoy: &holdfast_tests::envoy::Envoy) {
    let body: Vec<u8> = (0..300_000_u32).map(|index| (index % 251) as u8).collect();
    for _ in 0..5 {
        let asked = envoy.request(Method::POST, "/reports/a").body(body.clone()).send();
        let answer = asked.await.unwrap();
        assert_eq!(answer.status(), 200, "{}", envoy.log());
        assert!(answer.bytes().await.unwrap() == body, "{}", envoy.log());
    }
    edge.is_free().await;
}

/// Envoy reports bodies and trailers to the processor, too, if it is configured to.
#[tokio::test]
async fn a_processor_that_receives_bodies_passes_them_on() {
    for mode in ["STREAMED", "BUFFERED", "BUFFERED_PARTIAL", "FULL_DUPLEX_STREAMED"] {
        let trailers = match mode {
            "FULL_DUPLEX_STREAMED" => "request_trailer_mode: SEND",
            _ => "request_trailer_mode: SKIP",
        };
        let modes = format!(
            "                request_header_mode: SEND\n                {trailers}\n                \
             request_body_mode: {mode}\n                response_body_mode: {mode}\n"
        );
        let written = "                request_header_mode: SEND\n";
        let edge = Edge::working_for(Way::ExtProc, 0, json!({})).await;
        let edge = edge.change(written, &modes);
        let Some(envoy) = edge.envoy().await else { return };
        echo(&edge, &envoy).await;
    }
}

/// An edge lock is chosen by the proxy's configuration, and not by what its clients send.
#[tokio::test]
async fn a_client_cannot_choose_the_edge_lock() {
    let edge =
        Edge::working_for(Way::ExtProc, 0, json!({ "resource": "fixed", "wait": "0s" })).await;
    let Some(envoy) = edge.envoy().await else { return };
    edge.redis.run::<()>(&["SET", "lock||edge||fixed", "somebody"]);
    let asked = envoy.get("/reports/a").header("holdfast-edge-lock", "other").send();
    assert_eq!(asked.await.unwrap().status(), 503, "{}", envoy.log());

    let edge = edge.change(
        "key: holdfast-edge-lock, value: reports",
        "key: holdfast-edge-lock, value: reprots",
    );
    let Some(envoy) = edge.envoy().await else { return };
    assert_eq!(envoy.status("/reports/a").await, 503, "{}", envoy.log());
    edge.holdfast.wait_for("edge lock reprots not found");

    // Without a name, it is the first that matches.
    let edge = edge
        .change("- { key: holdfast-edge-lock, value: reprots }", "- { key: x-other, value: x }");
    let Some(envoy) = edge.envoy().await else { return };
    assert_eq!(envoy.status("/reports/a").await, 503, "{}", envoy.log());
    edge.redis.run::<()>(&["DEL", "lock||edge||fixed"]);
    assert_eq!(envoy.status("/reports/a").await, 200, "{}", envoy.log());

    let page = Exposition::parse(&edge.holdfast.scrape().await);
    for (outcome, count) in [("granted", 1.0), ("refused", 2.0)] {
        let labels = [("edge_lock", "reports"), ("outcome", outcome)];
        assert_eq!(page.get("holdfast_edge_requests_total", &labels), Some(count), "{outcome}");
    }
}

/// An upstream whose responses have trailers: its port.
async fn upstream_with_trailers() -> u16 {
    const RESPONSE: &[u8] =
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\nx-end: 1\r\n\r\n";
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let mut request = [0; 4096];
            while matches!(connection.read(&mut request).await, Ok(read) if read > 0) {
                if connection.write_all(RESPONSE).await.is_err() {
                    break;
                }
            }
        }
    });
    port
}

/// As Envoy Gateway configures its Envoys, which has no field for trailers.
#[tokio::test]
async fn a_response_with_trailers_is_whole_though_only_bodies_are_reported() {
    let edge = Edge::working_for(Way::ExtProc, 0, json!({ "ttl": "600s" })).await;
    let port = format!("port_value: {}", edge.upstream.port);
    let trailers = format!("port_value: {}", upstream_with_trailers().await);
    let options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    let cluster = format!(
        "- name: upstream\n    typed_extension_protocol_options:\n      {options}:\n        \"@type\": \
         type.googleapis.com/{options}\n        explicit_http_config: {{ http_protocol_options: \
         {{ enable_trailers: true }} }}"
    );
    let edge = edge
        .change(&port, &trailers)
        .change("- name: upstream", &cluster)
        .change("response_trailer_mode: SEND", "response_body_mode: STREAMED")
        .change("failure_mode_allow: false", "allow_mode_override: true");
    let Some(envoy) = edge.envoy().await else { return };
    let answer = envoy.get("/reports/a").send().await.unwrap();
    assert_eq!(answer.status(), 200, "{}", envoy.log());
    assert_eq!(answer.text().await.unwrap(), "body");
    edge.is_free().await;
}
