//! External processing, step by step, as a proxy calls it.

use std::{net::SocketAddr, time::Duration};

use futures_util::stream;
use holdfast::resources::EdgeLock;
use holdfast_proto::ext_proc::{
    BodySendMode, HeaderMap, HeaderSendMode, HeaderValue, HttpBody, HttpHeaders, ProcessingRequest,
    ProcessingResponse, ProtocolConfiguration, external_processor_client::ExternalProcessorClient,
    processing_request::Request as Step, processing_response::Response as Answer,
};
use holdfast_sidecar::Sidecar;
use holdfast_tests::{LONG, STORE, eventually, grpc_client::channel};
use prost_types::{Struct, Value as ProtoValue, value::Kind};
use serde_json::{Value, json};
use tokio::{sync::mpsc, time::timeout};
use tonic::{Code, Request, Status, Streaming, transport::Channel};

use crate::server::{Served, grpc, in_memory};

/// A call of a proxy, for one request. Dropping it resets the call.
pub struct Call {
    steps: mpsc::UnboundedSender<ProcessingRequest>,
    answers: Streaming<ProcessingResponse>,
}

impl Call {
    async fn begin(address: SocketAddr, metadata: &[(&'static str, &str)]) -> Result<Self, Status> {
        Self::on(channel(address).await, metadata).await
    }

    /// A call on a connection that has others.
    pub async fn on(channel: Channel, metadata: &[(&'static str, &str)]) -> Result<Self, Status> {
        let (steps, sent) = mpsc::unbounded_channel();
        let sent = stream::unfold(sent, async |mut sent| Some((sent.recv().await?, sent)));
        let mut request = Request::new(sent);
        for (name, value) in metadata {
            request.metadata_mut().insert(*name, value.parse().unwrap());
        }
        let mut client = ExternalProcessorClient::new(channel);
        let answers = client.process(request).await?.into_inner();
        Ok(Self { steps, answers })
    }

    pub fn send(&self, step: Step) {
        self.steps.send(message(step)).unwrap();
    }

    /// The next answer; `None` at the end.
    pub async fn answer(&mut self) -> Result<Option<ProcessingResponse>, Status> {
        timeout(LONG, self.answers.message()).await.expect("in time")
    }

    pub async fn next(&mut self) -> Answer {
        self.answer().await.unwrap().expect("an answer").response.expect("an answer")
    }

    /// Sends the headers of a request that takes the lock `path`.
    pub fn ask(&self, path: &str) {
        self.send(Step::RequestHeaders(headers(path)));
    }

    /// The same, with a header of its own.
    pub fn ask_with(&self, path: &str, value: &str) {
        let mut headers = headers(path);
        headers.headers.as_mut().unwrap().headers.push(header("x-own", value));
        self.send(Step::RequestHeaders(headers));
    }

    /// Sends nothing more, as a proxy does when the request has ended.
    pub fn end(self) -> Streaming<ProcessingResponse> {
        self.answers
    }
}

fn message(step: Step) -> ProcessingRequest {
    ProcessingRequest { request: Some(step), ..ProcessingRequest::default() }
}

fn header(key: &str, value: &str) -> HeaderValue {
    let (key, raw_value) = (key.to_owned(), value.as_bytes().to_vec());
    HeaderValue { key, value: String::new(), raw_value }
}

fn headers(path: &str) -> HttpHeaders {
    let headers = vec![header(":method", "GET"), header(":path", path)];
    HttpHeaders { headers: Some(HeaderMap { headers }), end_of_stream: true }
}

/// A server with an edge lock for each list of fields; the first is named `lock-0`.
async fn server(locks: &[Value]) -> Served {
    grpc(sidecar(locks)).await
}

/// A sidecar with such edge locks.
pub fn sidecar(locks: &[Value]) -> Sidecar {
    let locks = locks.iter().enumerate().map(|(index, fields)| {
        let mut spec = json!({ "store": STORE, "resource": "{:path}", "ttl": "60s" });
        for (name, value) in fields.as_object().unwrap() {
            spec[name] = value.clone();
        }
        EdgeLock::read(&format!("lock-{index}"), spec).unwrap()
    });
    in_memory().edge_locks(locks.collect())
}

pub async fn is_held(sidecar: &Sidecar, id: &str) -> bool {
    let resource = holdfast::Resource { store: STORE, id };
    sidecar.locks().inspect(resource).await.unwrap().is_some()
}

pub async fn is_freed(sidecar: &Sidecar, id: &str) {
    eventually("the lock is free", async || !is_held(sidecar, id).await).await;
}

/// The names of the headers that the answer to a request's headers removes.
pub fn removed(answer: Answer) -> Vec<String> {
    let Answer::RequestHeaders(answer) = answer else { panic!("{answer:?}") };
    answer.response.unwrap().header_mutation.unwrap().remove_headers
}

/// The status that the client of a proxy gets.
pub fn refused(answer: Answer) -> i32 {
    let Answer::ImmediateResponse(answer) = answer else { panic!("{answer:?}") };
    answer.status.unwrap().code
}

#[tokio::test]
async fn a_lock_is_held_from_the_headers_to_the_end_of_the_call() {
    let server = server(&[json!({})]).await;
    let mut call = Call::begin(server.address, &[]).await.unwrap();
    call.ask("/a");
    assert_eq!(removed(call.next().await), ["holdfast-fencing-token"]);
    assert!(is_held(&server.sidecar, "/a").await);

    let mut second = Call::begin(server.address, &[]).await.unwrap();
    second.ask("/a");
    assert_eq!(refused(second.next().await), 503);
    assert!(second.answer().await.unwrap().is_none(), "nothing more is wanted");

    call.send(Step::ResponseHeaders(headers("/a")));
    assert!(matches!(call.next().await, Answer::ResponseHeaders(_)));
    assert!(is_held(&server.sidecar, "/a").await);
    let mut rest = call.end();
    assert!(rest.message().await.unwrap().is_none());
    is_freed(&server.sidecar, "/a").await;
}

#[tokio::test]
async fn a_request_that_nothing_is_for_is_let_go_at_once() {
    let server = server(&[json!({ "match": { "methods": ["POST"] } })]).await;
    let mut call = Call::begin(server.address, &[]).await.unwrap();
    call.ask("/a");
    assert_eq!(removed(call.next().await), ["holdfast-fencing-token"]);
    assert!(call.answer().await.unwrap().is_none());
    assert!(!is_held(&server.sidecar, "/a").await);
}

#[tokio::test]
async fn a_wait_is_announced_and_ends_when_the_lock_is_free() {
    let server = server(&[json!({ "wait": "60s", "onClientGone": "free" })]).await;
    let mut first = Call::begin(server.address, &[]).await.unwrap();
    first.ask("/a");
    let announced = first.answer().await.unwrap().unwrap();
    assert_eq!(announced.override_message_timeout.unwrap().seconds, 65);
    removed(first.next().await);

    let mut second = Call::begin(server.address, &[]).await.unwrap();
    second.ask("/a");
    second.answer().await.unwrap().unwrap();
    assert!(timeout(Duration::from_millis(50), second.answer()).await.is_err());
    drop(first);
    removed(second.next().await);
}

#[tokio::test]
async fn a_client_that_leaves_keeps_or_frees_the_lock() {
    for (setting, kept) in [("keep", true), ("free", false)] {
        let server = server(&[json!({ "onClientGone": setting })]).await;
        let mut call = Call::begin(server.address, &[]).await.unwrap();
        call.ask("/a");
        removed(call.next().await);
        // A half-closed call is what a proxy leaves behind.
        let Call { steps, mut answers } = call;
        drop(steps);
        assert!(answers.message().await.unwrap().is_none());
        match kept {
            false => is_freed(&server.sidecar, "/a").await,
            true => assert!(is_held(&server.sidecar, "/a").await),
        }
    }
}

#[tokio::test]
async fn a_proxy_that_gives_up_is_as_a_client_that_leaves() {
    for (setting, details, kept) in [
        ("keep", "response_timeout", true),
        ("free", "response_timeout", false),
        ("keep", "via_upstream", false),
    ] {
        let server = server(&[json!({ "onClientGone": setting })]).await;
        let mut call = Call::begin(server.address, &[]).await.unwrap();
        call.ask("/a");
        removed(call.next().await);
        let kind = Some(Kind::StringValue(details.to_owned()));
        let fields = [("response.code_details".to_owned(), ProtoValue { kind })].into();
        let mut answered = message(Step::ResponseHeaders(headers("/a")));
        answered.attributes =
            [("envoy.filters.http.ext_proc".to_owned(), Struct { fields })].into();
        call.steps.send(answered).unwrap();
        call.next().await;
        let mut rest = call.end();
        assert!(rest.message().await.unwrap().is_none());
        match kept {
            false => is_freed(&server.sidecar, "/a").await,
            true => assert!(is_held(&server.sidecar, "/a").await),
        }
    }
}

/// With the bodies of responses reported, the end of the body is the end of the answer, and not its headers.
#[tokio::test]
async fn a_client_that_leaves_within_the_body_is_noticed_if_bodies_are_sent() {
    let server = server(&[json!({ "onClientGone": "keep" })]).await;
    for (whole, kept) in [(true, false), (false, true)] {
        let path = if whole { "/whole" } else { "/cut" };
        let mut call = Call::begin(server.address, &[]).await.unwrap();
        let streamed = BodySendMode::Streamed.into();
        let modes = ProtocolConfiguration { request_body_mode: 0, response_body_mode: streamed };
        let mut first = message(Step::RequestHeaders(headers(path)));
        first.protocol_config = Some(modes);
        call.steps.send(first).unwrap();
        let answer = call.answer().await.unwrap().unwrap();
        let wanted = answer.mode_override.unwrap();
        assert_eq!(wanted.response_body_mode, streamed);
        assert_eq!(wanted.response_trailer_mode(), HeaderSendMode::Send);
        removed(answer.response.unwrap());
        let response = HttpHeaders { end_of_stream: false, ..headers(path) };
        call.send(Step::ResponseHeaders(response));
        call.next().await;
        call.send(Step::ResponseBody(HttpBody { body: vec![0; 100], end_of_stream: whole }));
        assert!(matches!(call.next().await, Answer::ResponseBody(_)));
        let mut rest = call.end();
        assert!(rest.message().await.unwrap().is_none());
        match kept {
            false => is_freed(&server.sidecar, path).await,
            true => assert!(is_held(&server.sidecar, path).await),
        }
    }
}

#[tokio::test]
async fn metadata_names_the_edge_lock() {
    let server = server(&[json!({ "resource": "zero" }), json!({ "resource": "one" })]).await;
    let mut call = Call::begin(server.address, &[("holdfast-edge-lock", "lock-1")]).await.unwrap();
    call.ask("/a");
    removed(call.next().await);
    assert!(is_held(&server.sidecar, "one").await && !is_held(&server.sidecar, "zero").await);
    let mut call = Call::begin(server.address, &[]).await.unwrap();
    call.ask("/a");
    removed(call.next().await);
    assert!(is_held(&server.sidecar, "zero").await);
}

#[tokio::test]
async fn what_cannot_be_served_is_refused_with_the_reason() {
    let refusal = async |server: &Served, metadata: &[(&'static str, &str)]| {
        let status = Call::begin(server.address, metadata).await.err().unwrap();
        (status.code(), status.message().to_owned())
    };
    let none = grpc(in_memory()).await;
    let message = "no edge lock is defined: the resources folder has no document of kind EdgeLock";
    assert_eq!(refusal(&none, &[]).await, (Code::FailedPrecondition, message.to_owned()));
    let server = server(&[json!({})]).await;
    let unknown = refusal(&server, &[("holdfast-edge-lock", "other")]).await;
    assert_eq!(unknown, (Code::NotFound, "edge lock other not found".to_owned()));

    let with = async |message: ProcessingRequest| {
        let mut call = Call::begin(server.address, &[]).await.unwrap();
        call.steps.send(message).unwrap();
        let status = call.answer().await.unwrap_err();
        (status.code(), status.message().to_owned())
    };
    let observed = ProcessingRequest { observability_mode: true, ..message_of_headers() };
    let (code, text) = with(observed).await;
    assert_eq!(code, Code::FailedPrecondition);
    assert!(text.starts_with("observability_mode: "), "{text}");
    for step in [Step::ResponseHeaders(headers("/a")), Step::RequestBody(HttpBody::default())] {
        let (code, text) = with(self::message(step)).await;
        assert_eq!(code, Code::FailedPrecondition);
        assert!(text.starts_with("processing_mode.request_header_mode must be SEND"), "{text}");
    }
    let body = HttpBody { body: vec![0; 5 << 20], end_of_stream: true };
    let (code, text) = with(self::message(Step::RequestBody(body))).await;
    assert_eq!(code, Code::ResourceExhausted, "{text}");
    let twice = async {
        let mut call = Call::begin(server.address, &[]).await.unwrap();
        call.ask("/twice");
        removed(call.next().await);
        call.ask("/twice");
        call.answer().await.unwrap_err()
    };
    assert_eq!(twice.await.code(), Code::InvalidArgument);
}

fn message_of_headers() -> ProcessingRequest {
    message(Step::RequestHeaders(headers("/a")))
}

#[tokio::test]
async fn locks_beyond_the_limit_are_in_doubt() {
    let locks = ["closed", "open"].map(|word| {
        let spec = json!({
            "store": STORE, "resource": "{:path}", "ttl": "60s", "inDoubt": word,
        });
        EdgeLock::read(word, spec).unwrap()
    });
    let server = grpc(in_memory().max_holds(1).edge_locks(locks.to_vec())).await;
    let mut first = Call::begin(server.address, &[]).await.unwrap();
    first.ask("/a");
    removed(first.next().await);
    let mut second = Call::begin(server.address, &[]).await.unwrap();
    second.ask("/b");
    assert_eq!(refused(second.next().await), 503);
    let open = [("holdfast-edge-lock", "open")];
    let mut third = Call::begin(server.address, &open).await.unwrap();
    third.ask("/b");
    removed(third.next().await);
    assert!(!is_held(&server.sidecar, "/b").await);
}

/// Otherwise a crowd for one lock would take the room of all others.
#[tokio::test]
async fn the_number_of_waiters_for_one_lock_is_bounded() {
    let fields =
        json!({ "wait": "60s", "maxWaiting": 2, "inDoubt": "open", "onClientGone": "free" });
    let server = server(&[fields]).await;
    let begin = async |path: &str| {
        let mut call = Call::begin(server.address, &[]).await.unwrap();
        call.ask(path);
        call.answer().await.unwrap().unwrap();
        call
    };
    let mut first = begin("/a").await;
    removed(first.next().await);
    let waiting = [begin("/a").await, begin("/a").await];
    assert_eq!(refused(begin("/a").await.next().await), 503);
    removed(begin("/b").await.next().await);

    let [leaving, mut staying] = waiting;
    drop(leaving);
    let joins = async || {
        let mut next = begin("/a").await;
        timeout(Duration::from_millis(50), next.answer()).await.is_err()
    };
    eventually("there is a place for another", joins).await;
    drop(first);
    removed(staying.next().await);
}
