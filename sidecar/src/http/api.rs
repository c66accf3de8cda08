//! From a request to a response.

use std::{
    error::Error as StdError,
    mem,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use holdfast::{JsonReply, Resource, Verb};
use holdfast_dapr_api::{
    LeaseCall, Reply, Route,
    body::{self, MAX_BODY_BYTES, MAX_LEASE_BODY_BYTES},
    health,
    metadata::{self, Component},
    path, reply,
};
use holdfast_rules::{json, types::Error};
use hyper::{
    HeaderMap, Method, Request, Response, Uri, body::Body, header::CONTENT_LENGTH,
    http::request::Parts,
};
use tracing::{Instrument, Span, field};

use super::{
    admission::admits,
    failed::failed,
    head, hold,
    metrics::{BodyBytes, Endpoint, HttpMetrics},
    send::{self, ResponseBody},
};
use crate::{
    failure,
    lasting::{
        hold::{Hold, HoldError},
        loss,
    },
    metadata::{ComponentInfo, Form, Metadata},
    openapi,
    requests::{
        intake::{NotRead, Whole, forget_headers},
        trace_context::TraceParent,
    },
    rules_types,
    server::{HttpApi, RequestBody},
    sidecar::Sidecar,
};

/// Dapr's HTTP API for locks, as a function from requests to responses. Cheap to clone.
///
/// [`Server`](crate::server::Server) serves it, and so can any other server of [`hyper::Request`]s,
/// through [`answer`](Self::answer).
#[derive(Clone, Debug)]
pub struct Api {
    sidecar: Sidecar,
    access: Access,
    metrics: Arc<HttpMetrics>,
}

/// Which part of the API is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    /// All of it, to callers that send the token.
    Full,
    /// Health and metadata, to everybody.
    Public,
}

impl Api {
    /// The whole API of a sidecar.
    pub fn new(sidecar: Sidecar) -> Self {
        Self::with_access(sidecar, Access::Full)
    }

    /// The part of a sidecar's API that needs no token: `GET` of health and metadata (Dapr 1.18,
    /// `--dapr-public-port`, where metadata can also be changed).
    pub fn public(sidecar: Sidecar) -> Self {
        Self::with_access(sidecar, Access::Public)
    }

    fn with_access(sidecar: Sidecar, access: Access) -> Self {
        let stores = sidecar.locks().store_names().map(str::to_owned);
        let metrics = HttpMetrics::new(sidecar.metadata().app_id(), stores.collect());
        Self { sidecar, access, metrics: Arc::new(metrics) }
    }

    /// Answers a request. A body of more than 4 MiB is refused, of more than 8 KiB in a call about a lease.
    ///
    /// The future may be dropped when the caller leaves. A lock that its call took is then given back.
    pub async fn answer<B>(&self, request: Request<B>) -> Response<ResponseBody>
    where
        B: Body + Unpin,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        let started = Instant::now();
        let (mut head, mut body) = request.into_parts();
        // Taken out, because the path is needed after the headers are dropped.
        let uri = mem::take(&mut head.uri);
        let path = path::clean(uri.path());
        let route = Route::of(head.method.as_str(), &path);
        let endpoint = Endpoint {
            method: method(&head.method),
            template: route.template(),
            store: route.store().and_then(|store| self.metrics.store(store)),
        };

        let length = length(&head.headers);
        let answered = match self.refusal(&uri, &head, &route) {
            Some(refusal) => ResponseContent::Reply(refusal),
            None => self.admitted(route, &uri, &mut head, &mut body).await,
        };
        let bytes = BodyBytes { request: length, response: answered.body_length() };
        self.metrics.record_request(endpoint, answered.status(), started.elapsed(), bytes);
        match answered {
            ResponseContent::Reply(reply) => send::response(reply),
            ResponseContent::Document(document) => send::document(document),
            ResponseContent::Hold(hold) => hold::response(hold),
        }
    }

    /// The reply to a request that may not be made, `None` for others.
    fn refusal(&self, uri: &Uri, head: &Parts, route: &Route<'_>) -> Option<Reply> {
        if let Some(refusal) = head::refusal(head.version, &head.method, &head.headers) {
            return Some(refusal);
        }
        let sent_path = uri.path();
        // Go's server answers this itself.
        if head.method == Method::OPTIONS && sent_path == "*" {
            return Some(Reply { status: 200, ..reply::empty() });
        }
        if !path::is_well_escaped(sent_path) {
            return Some(reply::bad_request());
        }
        if self.access == Access::Full
            && let Some(token) = self.sidecar.token()
            && !admits(token, &head.method, sent_path, &head.headers)
        {
            return Some(reply::invalid_token());
        }
        let hidden = self.access == Access::Public && !route.is_public();
        hidden.then(reply::not_public)
    }

    async fn admitted<B>(
        &self,
        route: Route<'_>,
        uri: &Uri,
        head: &mut Parts,
        body: &mut B,
    ) -> ResponseContent
    where
        B: Body + Unpin,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        if let Err(problem) = self.sidecar.intake().admit(head) {
            return reply::overloaded(&problem.to_string()).into();
        }
        let span = request_span(head, &route);
        // Pinned here, so that the future exists once, although two branches await it.
        let call = pin!(self.call(route, uri, head, body));
        if span.is_disabled() {
            return call.await;
        }
        let started = Instant::now();
        let answered = call.instrument(span.clone()).await;
        let (status, duration) = (answered.status(), started.elapsed());
        span.record("http.response.status_code", status);
        if status >= 500 {
            span.record("otel.status_code", "ERROR");
        }
        let _in_span = span.enter();
        tracing::debug!(duration_us = duration.as_micros(), "answered");
        answered
    }

    async fn call<B>(
        &self,
        route: Route<'_>,
        uri: &Uri,
        head: &mut Parts,
        body: &mut B,
    ) -> ResponseContent
    where
        B: Body + Unpin,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        match route {
            // Boxed, like other rare calls, because a larger future would make that of a lock call as large.
            Route::Hold { store } => {
                let body = self.read(body, MAX_LEASE_BODY_BYTES).await;
                Box::pin(self.hold(&store, head, body)).await
            }
            Route::Metadata => describe(self.sidecar.metadata()),
            route => self.reply(route, uri, head, body).await.into(),
        }
    }

    async fn hold(
        &self,
        store: &str,
        head: &mut Parts,
        body: Result<Whole, Reply>,
    ) -> ResponseContent {
        forget_headers(head);
        let body = match body {
            Ok(body) => body,
            Err(refusal) => return refusal.into(),
        };
        if let Err(ending) = self.sidecar.grants() {
            return reply::shutting_down(&ending.to_string()).into();
        }
        let (id, terms) = match hold::read(&body.bytes) {
            Ok(terms) => terms,
            Err(error) => return malformed(Verb::Acquire, &error).into(),
        };
        match Hold::begin(&self.sidecar, Resource { store, id: &id }, &terms).await {
            Ok(hold) => ResponseContent::Hold(hold),
            Err(error) => self.not_held(Verb::Acquire, head, error).into(),
        }
    }

    async fn await_loss(&self, store: &str, head: &mut Parts, body: Result<Whole, Reply>) -> Reply {
        forget_headers(head);
        let body = match body {
            Ok(body) => body,
            Err(refusal) => return refusal,
        };
        let read = match json::Body::read_await_loss(&body.bytes) {
            Ok(read) => read,
            Err(error) => return malformed(Verb::Inspect, &error),
        };
        let resource = Resource { store, id: &read.resource_id };
        let wait = Duration::from_millis(read.wait);
        match loss::await_loss(&self.sidecar, resource, &read.lock_owner, wait).await {
            Ok(status) => reply::json(200, format!(r#"{{"status":{}}}"#, status as i32).into()),
            Err(error) => self.not_held(Verb::Inspect, head, error),
        }
    }

    /// The reply to a hold, or to a wait for a loss, that failed.
    fn not_held(&self, verb: Verb, head: &Parts, error: HoldError) -> Reply {
        match error {
            HoldError::TooMany(most) => reply::overloaded(&HoldError::too_many(most)),
            HoldError::Locks(error) => failed(&self.sidecar, verb, error, trace_id(&head.headers)),
        }
    }

    async fn reply<B>(&self, route: Route<'_>, uri: &Uri, head: &mut Parts, body: &mut B) -> Reply
    where
        B: Body + Unpin,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        let metadata = self.sidecar.metadata();
        match route {
            Route::TryLock { store } => {
                self.lock_call(Verb::TryLock, &store, head, self.read(body, MAX_BODY_BYTES).await)
                    .await
            }
            Route::Unlock { store } => {
                self.lock_call(Verb::Unlock, &store, head, self.read(body, MAX_BODY_BYTES).await)
                    .await
            }
            Route::Lease { call, store } => {
                let verb = match call {
                    LeaseCall::Acquire => Verb::Acquire,
                    LeaseCall::Extend => Verb::Extend,
                    LeaseCall::Release => Verb::Unlock,
                    LeaseCall::Inspect => Verb::Inspect,
                };
                self.lock_call(verb, &store, head, self.read(body, MAX_LEASE_BODY_BYTES).await)
                    .await
            }
            Route::AwaitLoss { store } => {
                let body = self.read(body, MAX_LEASE_BODY_BYTES).await;
                Box::pin(self.await_loss(&store, head, body)).await
            }
            Route::Healthz => {
                let obstacle = self.sidecar.readiness().obstacle();
                health::healthz(metadata.app_id(), uri.query(), obstacle)
            }
            Route::OutboundHealthz => health::outbound(self.sidecar.readiness().obstacle()),
            Route::PutMetadata { key } => match self.read(body, MAX_BODY_BYTES).await {
                Ok(value) => {
                    let value = String::from_utf8_lossy(&value.bytes);
                    match metadata.set(&key, &value) {
                        Ok(()) => reply::empty(),
                        Err(refusal) => reply::metadata_not_set(&refusal.to_string()),
                    }
                }
                Err(refusal) => refusal,
            },
            Route::Shutdown => {
                self.sidecar.shutdown().cancel();
                reply::empty()
            }
            Route::OpenApi => openapi::reply(openapi::LOCKS),
            // The first two are not answered by replies.
            Route::Hold { .. } | Route::Metadata | Route::Unknown => {
                self.sidecar.note_foreign(head.method.as_str(), uri.path());
                reply::not_found()
            }
        }
    }

    async fn lock_call(
        &self,
        verb: Verb,
        store: &str,
        head: &mut Parts,
        body: Result<Whole, Reply>,
    ) -> Reply {
        let body = match body {
            Ok(body) => body,
            Err(refusal) => return refusal,
        };
        if verb == Verb::Acquire {
            forget_headers(head);
        }
        if matches!(verb, Verb::TryLock | Verb::Acquire)
            && let Err(ending) = self.sidecar.grants()
        {
            return reply::shutting_down(&ending.to_string());
        }
        let call = pin!(self.sidecar.locks().json_reply(verb, store, &body.bytes));
        match self.sidecar.long_requests().run(body.bytes.len(), call).await {
            Ok(JsonReply { reply, error, fencing_token, .. }) => {
                if let Some(error) = error.filter(failure::is_of_store) {
                    self.sidecar.failures().log(error.message(), trace_id(&head.headers));
                }
                let reply = reply::json(reply.status, reply.body);
                match fencing_token {
                    Some(fencing_token) => reply.with_fencing_token(fencing_token),
                    None => reply,
                }
            }
            Err(error) => failed(&self.sidecar, verb, error, trace_id(&head.headers)),
        }
    }

    /// The whole body of at most `most` bytes, or the reply that refuses it.
    async fn read<B>(&self, body: &mut B, most: usize) -> Result<Whole, Reply>
    where
        B: Body + Unpin,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        if body::is_refused_unread(body.size_hint().lower()) {
            return Err(reply::body_too_large());
        }
        let intake = self.sidecar.intake();
        let problem = match intake.read(body, most, |_| None).await {
            Ok(whole) => return Ok(whole),
            Err(problem) => problem,
        };
        if matches!(problem, NotRead::TooLong(_) | NotRead::NoRoom(_)) {
            intake.skip(body, MAX_BODY_BYTES).await;
        }
        let cause = problem.to_string();
        Err(match problem {
            NotRead::TooLong(_) => reply::body_too_large(),
            NotRead::NoRoom(_) => reply::overloaded(&cause),
            NotRead::TooSlow(_) => reply::body_too_slow(&cause),
            _ => reply::body_not_read(&cause),
        })
    }
}

/// The reply to a call whose body is no request.
fn malformed(verb: Verb, error: &Error) -> Reply {
    let refusal = json::refusal(rules_types::verb(verb), error);
    reply::json(refusal.status, refusal.body)
}

/// The answer to a request.
enum ResponseContent {
    Reply(Reply),
    /// JSON that responses share.
    Document(Bytes),
    Hold(Hold),
}

impl ResponseContent {
    fn status(&self) -> u16 {
        match self {
            Self::Reply(reply) => reply.status,
            Self::Document(_) | Self::Hold(_) => 200,
        }
    }

    /// In bytes. The length of a lasting body is unknown, and counts as 0.
    fn body_length(&self) -> u64 {
        match self {
            Self::Reply(reply) => reply.body.len() as u64,
            Self::Document(document) => document.len() as u64,
            Self::Hold(_) => 0,
        }
    }
}

impl From<Reply> for ResponseContent {
    fn from(reply: Reply) -> Self {
        Self::Reply(reply)
    }
}

impl HttpApi for Api {
    type Body = ResponseBody;

    fn answer(
        &self,
        request: Request<RequestBody>,
    ) -> impl Future<Output = Response<Self::Body>> + Send {
        Self::answer(self, request)
    }

    fn may_grant(&self, method: &Method, uri: &Uri) -> bool {
        Route::of(method.as_str(), &path::clean(uri.path())).may_grant()
    }
}

/// The span of a request, which is disabled unless a subscriber wants it.
fn request_span(head: &Parts, route: &Route<'_>) -> Span {
    let (method, template) = (method(&head.method), route.template());
    let span = tracing::debug_span!(
        "request",
        otel.name = %format_args!("{method} {template}"),
        otel.kind = "server",
        otel.status_code = field::Empty,
        http.request.method = method,
        http.route = template,
        http.response.status_code = field::Empty,
        trace_id = field::Empty,
    );
    if !span.is_disabled()
        && let Some(parent) = TraceParent::of(&head.headers)
    {
        span.record("trace_id", parent.trace_id());
        parent.adopt(&span, &head.headers);
    }
    span
}

fn trace_id(headers: &HeaderMap) -> Option<String> {
    TraceParent::of(headers).map(|parent| parent.trace_id())
}

/// The method as a label; the number of its values is bounded.
fn method(sent: &Method) -> &'static str {
    match *sent {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::CONNECT => "CONNECT",
        Method::TRACE => "TRACE",
        _ => "_OTHER",
    }
}

/// The length of the body by its `Content-Length`, 0 without one, as Dapr measures it.
fn length(headers: &HeaderMap) -> u64 {
    let said = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    said.and_then(|length| length.parse().ok()).unwrap_or(0)
}

fn describe(metadata: &Metadata) -> ResponseContent {
    let document = metadata.document(Form::Json, |extended| {
        let components = metadata.components().iter().map(listed);
        metadata::to_json(metadata.app_id(), components, &extended).map(Bytes::from)
    });
    match document {
        Ok(document) => ResponseContent::Document(document),
        Err(error) => reply::not_encoded(&error).into(),
    }
}

fn listed(info: &ComponentInfo) -> Component<'_> {
    let ComponentInfo { name, component_type, version } = info;
    Component { name, component_type, version }
}
