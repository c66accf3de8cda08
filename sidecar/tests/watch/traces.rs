//! Traces, sent by the program to a collector.

use std::{fs, net::SocketAddr, sync::atomic::Ordering};

use futures_util::{StreamExt, stream};
use holdfast_proto::{
    ext_proc::{
        HeaderMap, HeaderValue, HttpHeaders, ProcessingRequest,
        external_processor_client::ExternalProcessorClient, processing_request::Request as Step,
    },
    runtime::UnlockRequest,
};
use holdfast_tests::{
    certificates::Authority,
    eventually,
    grpc_client::{Client, channel},
    holdfast::Holdfast,
    http_client::{exchange, lock_body, request},
    resources::{Resources, in_memory},
    temporary_dir,
};
use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind, status::StatusCode};

use crate::{
    HOLDFAST,
    collector::{Collector, attribute, behind_tls, closing},
    known_calls::EDGE_LOCK,
};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

fn serve(endpoint: &str, environment: &[(&str, &str)], arguments: &[&str]) -> Holdfast {
    let endpoint = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint), ("OTEL_BSP_SCHEDULE_DELAY", "20")];
    let environment = [&endpoint, environment].concat();
    Holdfast::serve_in(&environment, HOLDFAST, arguments)
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}

/// A try-lock whose caller is part of a trace, sampled or not.
async fn try_lock(holdfast: &Holdfast, store: &str, resource: &str, sampled: bool) -> u16 {
    let flags = if sampled { "01" } else { "00" };
    let headers =
        format!("traceparent: 00-{TRACE}-{PARENT}-{flags}\r\ntracestate: vendor=value\r\n");
    let target = format!("/v1.0-alpha1/lock/{store}");
    let body = lock_body(resource, "the-owner");
    let request = request("POST", &target, &headers, body.as_bytes());
    exchange(holdfast.http().parse().unwrap(), &request).await.status
}

async fn spans(collector: &Collector, count: usize) -> Vec<Span> {
    eventually("the spans have come", async || collector.spans().len() >= count).await;
    let spans = collector.spans();
    assert_eq!(spans.len(), count, "{spans:#?}");
    spans
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn of(span: &Span, name: &str) -> Option<String> {
    attribute(&span.attributes, name)
}

fn named<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no {name}: {spans:#?}"))
}

#[tokio::test]
async fn a_request_is_part_of_its_callers_trace() {
    let (collector, address) = Collector::http().await;
    let headers = [("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=edge")];
    let holdfast = serve(&url(address), &headers, &["--app-id", "app1"]);
    assert_eq!(try_lock(&holdfast, "lockstore", "the-resource", true).await, 200);

    let spans = spans(&collector, 2).await;
    let request = named(&spans, "POST /v1.0-alpha1/lock/{store}");
    assert_eq!(
        (hex(&request.trace_id).as_str(), hex(&request.parent_span_id).as_str()),
        (TRACE, PARENT)
    );
    assert_eq!(request.trace_state, "vendor=value");
    assert_eq!(request.kind(), SpanKind::Server);
    assert_eq!(of(request, "http.request.method").as_deref(), Some("POST"));
    assert_eq!(of(request, "http.route").as_deref(), Some("/v1.0-alpha1/lock/{store}"));
    assert_eq!(of(request, "http.response.status_code").as_deref(), Some("200"));
    assert_eq!(
        request.status.as_ref().map_or(StatusCode::Unset, |it| it.code()),
        StatusCode::Unset
    );

    let lock = named(&spans, "try_lock");
    assert_eq!(hex(&lock.trace_id), TRACE);
    assert_eq!(lock.parent_span_id, request.span_id);
    assert_eq!(of(lock, "store").as_deref(), Some("lockstore"));
    assert_eq!(of(lock, "outcome").as_deref(), Some("acquired"));
    assert!(request.start_time_unix_nano <= lock.start_time_unix_nano);
    assert!(lock.end_time_unix_nano <= request.end_time_unix_nano);

    let all = format!("{spans:?}");
    assert!(!all.contains("the-resource") && !all.contains("the-owner"), "{all}");
    assert_eq!(collector.headers()["x-tenant"], "edge");
    assert_eq!(collector.sender_attribute("service.name").as_deref(), Some("app1"));
    assert_eq!(
        collector.sender_attribute("service.version").as_deref(),
        Some(env!("CARGO_PKG_VERSION"))
    );
}

#[tokio::test]
async fn a_request_of_a_proxy_that_takes_a_lock_is_part_of_its_trace() {
    let (collector, address) = Collector::http().await;
    let stores = in_memory("memory") + "---\n" + EDGE_LOCK;
    let resources = Resources::new(&[("stores.yaml", &stores)]);
    let holdfast = serve(&url(address), &[], &["--resources-path", resources.path()]);
    let mut client = ExternalProcessorClient::new(channel(holdfast.grpc().parse().unwrap()).await);
    let header = |key: &str, value: String| HeaderValue {
        key: key.to_owned(),
        value,
        ..HeaderValue::default()
    };
    let headers = vec![
        header(":path", "/the-resource".to_owned()),
        header("traceparent", format!("00-{TRACE}-{PARENT}-01")),
    ];
    let headers = HttpHeaders { headers: Some(HeaderMap { headers }), end_of_stream: true };
    let request = Some(Step::RequestHeaders(headers));
    let message = ProcessingRequest { request, ..ProcessingRequest::default() };
    let sent = stream::iter([message]).chain(stream::pending());
    let mut answers = client.process(sent).await.unwrap().into_inner();
    answers.message().await.unwrap().unwrap();
    drop(answers);

    let edge_lock = |spans: &[Span]| spans.iter().find(|span| span.name == "reports").cloned();
    let acquire = |spans: &[Span]| spans.iter().find(|span| span.name == "acquire").cloned();
    eventually("the spans have come", async || {
        let spans = collector.spans();
        edge_lock(&spans).is_some() && acquire(&spans).is_some()
    })
    .await;
    let spans = collector.spans();
    let (edge_lock, acquire) = (edge_lock(&spans).unwrap(), acquire(&spans).unwrap());
    assert_eq!(
        (hex(&edge_lock.trace_id).as_str(), hex(&edge_lock.parent_span_id).as_str()),
        (TRACE, PARENT)
    );
    assert_eq!(of(&edge_lock, "outcome").as_deref(), Some("granted"));
    assert_eq!(acquire.parent_span_id, edge_lock.span_id);
    assert!(!format!("{spans:?}").contains("the-resource"), "{spans:#?}");
}

#[tokio::test]
async fn a_call_over_grpc_is_traced_to_a_collector_over_grpc() {
    let (collector, address) = Collector::grpc().await;
    let environment = [("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), ("OTEL_SERVICE_NAME", "named")];
    let holdfast = serve(&url(address), &environment, &["--app-id", "app1"]);
    let mut client = Client::new(holdfast.grpc().parse().unwrap()).await;
    assert!(client.try_lock("lockstore", "r", "o", 60).await.unwrap());
    assert!(client.try_lock("nowhere", "r", "o", 60).await.is_err());
    let mut unlock = tonic::Request::new(UnlockRequest {
        store_name: "lockstore".to_owned(),
        resource_id: "r".to_owned(),
        lock_owner: "o".to_owned(),
    });
    let parent = format!("00-{TRACE}-{PARENT}-01").parse().unwrap();
    unlock.metadata_mut().insert("traceparent", parent);
    client.0.unlock_alpha1(unlock).await.unwrap();

    let spans = spans(&collector, 6).await;
    let taken = spans.iter().find(|span| of(span, "outcome").as_deref() == Some("acquired"));
    let root = spans.iter().find(|span| span.span_id == taken.unwrap().parent_span_id);
    assert!(root.unwrap().parent_span_id.is_empty());
    let unlock = named(&spans, "dapr.proto.runtime.v1.Dapr/UnlockAlpha1");
    assert_eq!(unlock.kind(), SpanKind::Server);
    assert_eq!(hex(&unlock.trace_id), TRACE);
    assert_eq!(hex(&unlock.parent_span_id), PARENT);
    for (name, value) in [
        ("rpc.system", "grpc"),
        ("rpc.service", "dapr.proto.runtime.v1.Dapr"),
        ("rpc.method", "UnlockAlpha1"),
        ("rpc.grpc.status_code", "0"),
    ] {
        assert_eq!(of(unlock, name).as_deref(), Some(value), "{name}");
    }
    let freed = named(&spans, "unlock");
    assert_eq!((&freed.trace_id, &freed.parent_span_id), (&unlock.trace_id, &unlock.span_id));
    assert_eq!(of(freed, "outcome").as_deref(), Some("success"));

    let refused =
        spans.iter().find(|span| of(span, "store").as_deref() == Some("nowhere")).unwrap();
    assert_eq!(of(refused, "outcome").as_deref(), Some("error"));
    assert_eq!(of(refused, "error.type").as_deref(), Some("store_not_found"));
    assert_eq!(refused.status.as_ref().unwrap().code(), StatusCode::Error);
    assert_eq!(collector.sender_attribute("service.name").as_deref(), Some("named"));
}

#[tokio::test]
async fn keys_and_owners_are_traced_only_at_debug() {
    let (collector, address) = Collector::http().await;
    let holdfast = serve(&url(address), &[], &["--log-level", "debug"]);
    assert_eq!(try_lock(&holdfast, "lockstore", "the-resource", true).await, 200);
    let spans = spans(&collector, 2).await;
    let lock = named(&spans, "try_lock");
    assert_eq!(of(lock, "lock.key").as_deref(), Some("lock||the-resource"));
    assert_eq!(of(lock, "lock.owner").as_deref(), Some("the-owner"));
    assert_eq!(collector.sender_attribute("service.name").as_deref(), Some("holdfast"));
}

#[tokio::test]
async fn the_caller_and_the_sampler_decide_what_is_exported() {
    let (collector, address) = Collector::http().await;
    let holdfast = serve(&url(address), &[], &[]);
    assert_eq!(try_lock(&holdfast, "lockstore", "a", false).await, 200);
    assert_eq!(try_lock(&holdfast, "lockstore", "b", true).await, 200);
    assert_eq!(holdfast.end().await.0, 0);
    assert_eq!(collector.spans().len(), 2);

    let never = [("OTEL_TRACES_SAMPLER", "always_off")];
    let holdfast = serve(&url(address), &never, &[]);
    assert_eq!(try_lock(&holdfast, "lockstore", "c", true).await, 200);
    assert_eq!(holdfast.end().await.0, 0);
    assert_eq!(collector.spans().len(), 2);
}

#[tokio::test]
async fn remaining_spans_are_sent_at_shutdown() {
    let (collector, address) = Collector::http().await;
    let late = [("OTEL_BSP_SCHEDULE_DELAY", "600000")];
    let holdfast = serve(&url(address), &late, &[]);
    assert_eq!(try_lock(&holdfast, "lockstore", "r", true).await, 200);
    assert!(collector.spans().is_empty());
    assert_eq!(holdfast.end().await.0, 0);
    assert_eq!(collector.spans().len(), 2);
}

#[tokio::test]
async fn a_tls_collector_needs_a_trusted_certificate() {
    let authority = Authority::new();
    let folder = temporary_dir();
    let file = folder.path().join("ca.pem");
    fs::write(&file, authority.certificate()).unwrap();
    let ca = file.to_str().unwrap();
    for (protocol, (collector, plain)) in
        [("http/protobuf", Collector::http().await), ("grpc", Collector::grpc().await)]
    {
        let address = behind_tls(plain, &authority).await;
        let endpoint = format!("https://localhost:{}", address.port());
        for trust in ["OTEL_EXPORTER_OTLP_CERTIFICATE", "SSL_CERT_FILE"] {
            let before = collector.spans().len();
            let environment = [("OTEL_EXPORTER_OTLP_PROTOCOL", protocol), (trust, ca)];
            let holdfast = serve(&endpoint, &environment, &[]);
            assert_eq!(try_lock(&holdfast, "lockstore", "r", true).await, 200);
            let (_, log) = holdfast.end().await;
            assert_eq!(collector.spans().len(), before + 2, "{protocol} {trust}: {log}");
        }

        fs::write(folder.path().join("other.pem"), Authority::new().certificate()).unwrap();
        let other = folder.path().join("other.pem");
        let environment = [
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", other.to_str().unwrap()),
        ];
        let before = collector.spans().len();
        let holdfast = serve(&endpoint, &environment, &["--dapr-graceful-shutdown-seconds", "1"]);
        assert_eq!(try_lock(&holdfast, "lockstore", "r", true).await, 200);
        eventually("the failure is logged", async || {
            holdfast.log().contains("traces cannot be sent")
        })
        .await;
        assert_eq!(collector.spans().len(), before);
    }
}

#[tokio::test]
async fn an_unreachable_collector_is_logged_once_and_blocks_no_call() {
    for protocol in ["http/protobuf", "grpc"] {
        let (address, closed) = closing().await;
        let environment =
            [("OTEL_EXPORTER_OTLP_PROTOCOL", protocol), ("OTEL_EXPORTER_OTLP_TIMEOUT", "50")];
        let arguments = ["--dapr-graceful-shutdown-seconds", "1"];
        let holdfast = serve(&url(address), &environment, &arguments);
        for resource in ["a", "b", "c", "d", "e"] {
            let before = closed.load(Ordering::SeqCst);
            assert_eq!(try_lock(&holdfast, "lockstore", resource, true).await, 200);
            let again = async || closed.load(Ordering::SeqCst) > before;
            eventually("a connection is closed", again).await;
        }
        eventually("the failure is logged", async || {
            holdfast.log().contains("traces cannot be sent")
        })
        .await;
        let (code, log) = holdfast.end().await;
        assert_eq!(code, 0);
        assert_eq!(log.matches("traces cannot be sent").count(), 1, "{log}");
        // The store is in memory, which is another warning.
        let warnings = log.lines().filter(|line| line.contains(" WARN "));
        let others = warnings.filter(|line| !line.contains("--resources-path"));
        assert_eq!(others.count(), 1, "{log}");
    }
}

#[tokio::test]
async fn without_an_endpoint_nothing_is_traced() {
    let holdfast = Holdfast::serve(HOLDFAST, &[]);
    assert!(!holdfast.log().contains("traces"), "{}", holdfast.log());
}
