//! From a call to its response.

use std::{convert::Infallible, fmt, pin::pin, sync::Arc, time::Instant};

use bytes::Bytes;
use holdfast_proto::DESCRIPTORS;
use hyper::{
    HeaderMap, Request, Response,
    body::Body,
    http::{request::Parts, uri::PathAndQuery},
};
use tokio_util::sync::CancellationToken;
use tonic::{
    Code, Status, body::Body as GrpcBody, codec::CompressionEncoding, metadata::MetadataMap,
    service::Routes,
};
use tonic_health::pb::health_server::{self, HealthServer};
use tonic_reflection::server::Builder;
use tower::ServiceExt;
use tracing::{Instrument, Span, field};

use super::{
    admission::admit,
    bounds::Bounds,
    calls::{DaprService, FULL_METHODS, METHODS, SERVICE},
    ext_proc,
    ext_proc::EdgeLocks,
    frame::refusal,
    head,
    health::Checks,
    leases,
    metrics::GrpcMetrics,
    status,
    unary::MAX_MESSAGE,
    until::until,
};
use crate::{
    requests::{intake::NotRead, trace_context::TraceParent},
    server::{HttpApi, RequestBody},
    sidecar::{Sidecar, start_of},
};

/// The longest message that is accepted of health checks and reflection, in bytes.
const MAX_ROUTED_MESSAGE: usize = 8 << 10;

/// How the names of the services of reflection begin.
const REFLECTION: &str = "grpc.reflection.";

/// Dapr's gRPC API for locks, as a function from requests to responses. Cheap to clone.
///
/// [`Server`](crate::server::Server) serves it, and so can any other server of [`hyper::Request`]s,
/// through [`answer`](Self::answer).
#[derive(Clone)]
pub struct Api {
    dapr: DaprService,
    edge_locks: EdgeLocks,
    /// Health checks and reflection.
    routes: Routes,
}

/// The descriptors of the service cannot be decoded, so reflection cannot serve them.
#[derive(Debug, thiserror::Error)]
#[error("the gRPC service's own descriptors cannot be read: {0}")]
pub struct DescriptorError(#[from] tonic_reflection::server::Error);

impl Api {
    /// The API of a sidecar, with reflection and health checks.
    ///
    /// # Errors
    ///
    /// [`DescriptorError`], only in a broken build.
    pub fn new(sidecar: Sidecar) -> Result<Self, DescriptorError> {
        let reflection = || {
            Builder::configure()
                .register_encoded_file_descriptor_set(DESCRIPTORS)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
                // The service of operators is defined beside these, and not served here.
                .with_service_name(SERVICE)
                .with_service_name(leases::SERVICE)
                .with_service_name(ext_proc::SERVICE)
                .with_service_name(health_server::SERVICE_NAME)
                .with_service_name("grpc.reflection.v1.ServerReflection")
                .with_service_name("grpc.reflection.v1alpha.ServerReflection")
        };
        let metrics = Arc::new(GrpcMetrics::new(sidecar.metadata().app_id()));
        let health = HealthServer::new(Checks(sidecar.readiness().clone()));
        let health = health.accept_compressed(CompressionEncoding::Gzip);
        let v1 = reflection().build_v1()?.accept_compressed(CompressionEncoding::Gzip);
        let v1alpha = reflection().build_v1alpha()?.accept_compressed(CompressionEncoding::Gzip);
        let routes = Routes::new(health.max_decoding_message_size(MAX_ROUTED_MESSAGE))
            .add_service(v1.max_decoding_message_size(MAX_ROUTED_MESSAGE))
            .add_service(v1alpha.max_decoding_message_size(MAX_ROUTED_MESSAGE));
        let edge_locks = EdgeLocks::new(sidecar.all_edge_locks());
        Ok(Self { dapr: DaprService { sidecar, metrics }, edge_locks, routes: routes.prepare() })
    }

    fn sidecar(&self) -> &Sidecar {
        &self.dapr.sidecar
    }

    /// Answers a call. A message of more than 4 MiB is refused.
    ///
    /// The future, and the body of a response that lasts, end with the caller's deadline, and may be dropped when the
    /// caller leaves. A lock that its call took is then given back.
    pub async fn answer<B>(&self, request: Request<B>) -> Response<GrpcBody>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let started = Instant::now();
        let (mut head, body) = request.into_parts();
        let counted_as = counted_as(&head);
        let response = self.spanned(&mut head, body).await;
        if let Some(method) = counted_as {
            self.dapr.metrics.record_call(method, name_of(code_of(&response)), started.elapsed());
        }
        response
    }

    async fn spanned<B>(&self, head: &mut Parts, body: B) -> Response<GrpcBody>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let span = call_span(head);
        // Pinned here, so that the future exists once, although two branches await it.
        let call = pin!(self.call(head, body));
        if span.is_disabled() {
            return call.await;
        }
        let started = Instant::now();
        let response = call.instrument(span.clone()).await;
        let (code, duration) = (code_of(&response), started.elapsed());
        span.record("rpc.grpc.status_code", i32::from(code));
        if is_our_fault(code) {
            span.record("otel.status_code", "ERROR");
        }
        let _in_span = span.enter();
        tracing::debug!(?code, duration_us = duration.as_micros(), "answered");
        response
    }

    async fn call<B>(&self, head: &mut Parts, body: B) -> Response<GrpcBody>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        if let Some(refusal) = head::refusal(head) {
            return refusal;
        }
        let bounds = self.admit(head);
        let bounds = bounds.and_then(|()| Bounds::of(head, self.sidecar().intake()));
        let bounds = match bounds {
            Ok(bounds) => bounds,
            Err(refusal) => return refusal.into_http(),
        };
        let is_stream = is_stream(head);
        let answering = pin!(self.answer_admitted(head, body));
        match is_stream {
            true => Box::pin(bounds.keep_stream(answering)).await,
            false => bounds.keep(answering).await,
        }
    }

    async fn answer_admitted<B>(&self, head: &mut Parts, mut body: B) -> Response<GrpcBody>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        if head.uri.path() == ext_proc::PROCESS {
            return ext_proc::process(self.sidecar(), &self.edge_locks, head, body);
        }
        if let Some(response) = self.dapr.answer(head, &mut body).await {
            return response;
        }
        // Boxed, because a larger future would make that of a call of Dapr's service as large.
        Box::pin(self.answer_others(head, body)).await
    }

    async fn answer_others<B>(&self, head: &mut Parts, mut body: B) -> Response<GrpcBody>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        if let Some(response) = leases::answer(&self.dapr, head, &mut body).await {
            return response;
        }
        let request = Request::from_parts(head.clone(), GrpcBody::new(body));
        if is_reflection(head) { self.reflect(request).await } else { self.route(request).await }
    }

    /// Answers a call of reflection, which does not delay the end of the server.
    ///
    /// A task of the library reads the request, and would keep it beyond the end of the response.
    async fn reflect(&self, request: Request<GrpcBody>) -> Response<GrpcBody> {
        let ended = CancellationToken::new();
        let response_ends = ended.clone().cancelled_owned();
        let guard = ended.drop_guard();
        let end = async {
            response_ends.await;
            Status::cancelled("the response has ended")
        };
        let response = self.route(request.map(|body| until(body, end))).await;
        let last_call = self.sidecar().last_call().clone().cancelled_owned();
        let end = async move {
            let _until_then = guard;
            last_call.await;
            Status::unavailable("the server is shutting down")
        };
        response.map(|body| until(body, end))
    }

    /// Answers a call by the library.
    async fn route(&self, request: Request<GrpcBody>) -> Response<GrpcBody> {
        let limit = self.sidecar().intake().time();
        let response = match tokio::time::timeout(limit, self.routes.clone().oneshot(request)).await
        {
            Ok(answered) => answered.unwrap_or_else(|never: Infallible| match never {}),
            Err(_) => return refusal(NotRead::TooSlow(limit), MAX_MESSAGE).into_http(),
        };
        match response.extensions().get().and_then(status::of_too_long) {
            Some(refusal) => refusal.into_http(),
            None => response,
        }
    }

    /// Refuses a call without the token, and a call of a method that is not served.
    fn admit(&self, head: &Parts) -> Result<(), Status> {
        let (service, method) = method_of(head).unwrap_or_default();
        // As over HTTP, health checks need no token.
        let is_health_check = service == health_server::SERVICE_NAME;
        if let Some(token) = self.sidecar().token()
            && !is_health_check
        {
            admit(token, &head.headers)?;
        }
        let is_lock_call = service == SERVICE && METHODS.contains(&method);
        let is_lease_call = leases::METHODS.contains(&head.uri.path());
        let is_of_proxy = head.uri.path() == ext_proc::PROCESS;
        let is_served =
            is_lock_call || is_lease_call || is_of_proxy || is_health_check || is_reflection(head);
        // A query would be a part of the method's name.
        if is_served && head.uri.query().is_none() {
            return Ok(());
        }
        let called = head.uri.path_and_query().map_or("", PathAndQuery::as_str);
        self.sidecar().note_foreign("gRPC", called);
        let served = METHODS.join(", ");
        Err(Status::unimplemented(format!(
            "method {} is not supported: Holdfast serves {served} of {SERVICE}, {}, and {}",
            start_of(called.trim_start_matches('/')),
            leases::SERVICE,
            ext_proc::SERVICE
        )))
    }
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").field("sidecar", self.sidecar()).finish_non_exhaustive()
    }
}

impl HttpApi for Api {
    type Body = GrpcBody;

    fn answer(
        &self,
        request: Request<RequestBody>,
    ) -> impl Future<Output = Response<GrpcBody>> + Send {
        Self::answer(self, request)
    }
}

/// The service and the method that a call names.
fn method_of(head: &Parts) -> Option<(&str, &str)> {
    head.uri.path().strip_prefix('/')?.split_once('/')
}

fn is_reflection(head: &Parts) -> bool {
    method_of(head).is_some_and(|(service, _)| service.starts_with(REFLECTION))
}

/// Whether the response may have many messages.
fn is_stream(head: &Parts) -> bool {
    [leases::HOLD, ext_proc::PROCESS].contains(&head.uri.path())
        || method_of(head) == Some((health_server::SERVICE_NAME, "Watch"))
        || is_reflection(head)
}

/// The method's name as a label; the number of its values is bounded. `None` for streams, which Dapr does
/// not count either.
fn counted_as(head: &Parts) -> Option<&'static str> {
    if is_stream(head) {
        return None;
    }
    if method_of(head) == Some((health_server::SERVICE_NAME, "Check")) {
        return Some("/grpc.health.v1.Health/Check");
    }
    let path = head.uri.path();
    let mut known = FULL_METHODS.into_iter().chain(leases::METHODS);
    Some(known.find(|known| *known == path).unwrap_or("unknown"))
}

/// The span of a call, which is disabled unless a subscriber wants it.
fn call_span(head: &Parts) -> Span {
    let span = tracing::debug_span!(
        "call",
        otel.name = head.uri.path().trim_start_matches('/'),
        otel.kind = "server",
        otel.status_code = field::Empty,
        rpc.system = "grpc",
        rpc.service = field::Empty,
        rpc.method = field::Empty,
        rpc.grpc.status_code = field::Empty,
        trace_id = field::Empty,
    );
    if !span.is_disabled() {
        if let Some((service, method)) = method_of(head) {
            span.record("rpc.service", service).record("rpc.method", method);
        }
        if let Some(parent) = trace_parent(&head.headers) {
            span.record("trace_id", parent.trace_id());
            parent.adopt(&span, &head.headers);
        }
    }
    span
}

/// The caller's span. The binary form takes precedence over the header (Dapr 1.18,
/// `pkg/diagnostics/grpc_tracing.go`).
fn trace_parent(headers: &HeaderMap) -> Option<TraceParent> {
    let binary = headers.contains_key("grpc-trace-bin").then(|| {
        let metadata = MetadataMap::from_headers(headers.clone());
        let bytes = metadata.get_bin("grpc-trace-bin")?.to_bytes().ok()?;
        TraceParent::binary(&bytes)
    });
    binary.flatten().or_else(|| TraceParent::of(headers))
}

fn code_of<B>(response: &Response<B>) -> Code {
    response.extensions().get().map_or(Code::Ok, Status::code)
}

/// Whether a code means that the server failed, and not its caller (OpenTelemetry, semantic conventions
/// for gRPC).
fn is_our_fault(code: Code) -> bool {
    use Code::{DataLoss, DeadlineExceeded, Internal, Unavailable, Unimplemented, Unknown};
    matches!(code, Unknown | DeadlineExceeded | Unimplemented | Internal | Unavailable | DataLoss)
}

/// The name of a code in gRPC's implementation in Go, which is Dapr's.
fn name_of(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "Canceled",
        Code::Unknown => "Unknown",
        Code::InvalidArgument => "InvalidArgument",
        Code::DeadlineExceeded => "DeadlineExceeded",
        Code::NotFound => "NotFound",
        Code::AlreadyExists => "AlreadyExists",
        Code::PermissionDenied => "PermissionDenied",
        Code::ResourceExhausted => "ResourceExhausted",
        Code::FailedPrecondition => "FailedPrecondition",
        Code::Aborted => "Aborted",
        Code::OutOfRange => "OutOfRange",
        Code::Unimplemented => "Unimplemented",
        Code::Internal => "Internal",
        Code::Unavailable => "Unavailable",
        Code::DataLoss => "DataLoss",
        Code::Unauthenticated => "Unauthenticated",
    }
}
