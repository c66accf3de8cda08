//! The answer to a request.

use std::{error::Error as StdError, time::Instant};

use bytes::Bytes;
use holdfast_http_api::{
    Reply, Route,
    body::{self, MAX},
    health,
    metadata::{self, Component},
    path, reply,
};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{
    HeaderMap, Method, Request, Response, Uri,
    body::{Body, Incoming},
};
use tracing::{Instrument, Span, field};

use super::{admission::admits, send};
use crate::{
    Error,
    server::Answer,
    sidecar::{ComponentInfo, Metadata, Sidecar},
    trace_context::TraceParent,
};

/// Dapr's HTTP API for locks, as a function from requests to responses. Cheap to clone.
///
/// Needs no server of its own: [`Server`](crate::server::Server) is one, and any other that has a
/// [`hyper::Request`] can call [`answer`](Self::answer).
#[derive(Clone, Debug)]
pub struct Api {
    sidecar: Sidecar,
    access: Access,
}

/// Who may ask for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    /// Everything, for whoever shows the token.
    Full,
    /// Health and metadata, for everybody.
    Public,
}

/// What differs between the two calls when something fails on the way.
#[derive(Clone, Copy)]
struct Failing {
    error_code: &'static str,
    doing: &'static str,
}

const TRY_LOCK: Failing =
    Failing { error_code: "ERR_TRY_LOCK", doing: "failed to try acquiring lock" };
const UNLOCK: Failing = Failing { error_code: "ERR_UNLOCK", doing: "failed to release lock" };

impl Api {
    /// The API of a sidecar.
    pub fn new(sidecar: Sidecar) -> Self {
        Self { sidecar, access: Access::Full }
    }

    /// The part of a sidecar's API that anybody may see, without a token: `GET` of health and
    /// metadata (Dapr 1.18, `--dapr-public-port`, which lets metadata be changed, too).
    pub fn public(sidecar: Sidecar) -> Self {
        Self { sidecar, access: Access::Public }
    }

    /// Answers a request. The body is read up to 4 MiB; what is beyond is refused.
    ///
    /// The future may be dropped when the caller goes away: a lock that was taken for nobody is
    /// given back.
    pub async fn answer<B>(&self, request: Request<B>) -> Response<Full<Bytes>>
    where
        B: Body + Unpin,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        send::response(self.reply(request).await)
    }

    async fn reply<B>(&self, request: Request<B>) -> Reply
    where
        B: Body + Unpin,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        let (head, mut body) = request.into_parts();
        let sent_path = head.uri.path();
        if !path::is_well_escaped(sent_path) {
            return reply::bad_request();
        }
        if self.access == Access::Full
            && let Some(token) = self.sidecar.token()
            && !admits(token, &head.method, sent_path, &head.headers)
        {
            return reply::invalid_token();
        }
        let path = path::clean(sent_path);
        let route = Route::of(head.method.as_str(), &path);
        if self.access == Access::Public && !route.is_public() {
            return reply::not_public();
        }

        let span = request_span(&head.method, &route, &head.headers);
        if span.is_disabled() {
            return self.call(route, &head.uri, &head.headers, &mut body).await;
        }
        let started = Instant::now();
        let call = self.call(route, &head.uri, &head.headers, &mut body);
        let reply = call.instrument(span.clone()).await;
        let _in_span = span.enter();
        let (status, duration) = (reply.status, started.elapsed());
        tracing::debug!(status, duration_us = duration.as_micros(), "answered");
        reply
    }

    async fn call<B>(&self, route: Route<'_>, uri: &Uri, headers: &HeaderMap, body: &mut B) -> Reply
    where
        B: Body + Unpin,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        let (locks, metadata) = (self.sidecar.locks(), self.sidecar.metadata());
        match route {
            Route::TryLock { store } => match read(body).await {
                Ok(body) => match locks.try_lock_json(&store, &body).await {
                    Ok(verdict) => reply::json(verdict.status, verdict.body),
                    Err(error) => failed(TRY_LOCK, &error, headers),
                },
                Err(refusal) => refusal,
            },
            Route::Unlock { store } => match read(body).await {
                Ok(body) => match locks.unlock_json(&store, &body).await {
                    Ok(verdict) => reply::json(verdict.status, verdict.body),
                    Err(error) => failed(UNLOCK, &error, headers),
                },
                Err(refusal) => refusal,
            },
            Route::Healthz => {
                let obstacle = self.sidecar.readiness().obstacle();
                health::healthz(metadata.app_id(), uri.query(), obstacle)
            }
            Route::OutboundHealthz => health::outbound(self.sidecar.readiness().obstacle()),
            Route::Metadata => describe(metadata),
            Route::PutMetadata { key } => match read(body).await {
                Ok(value) => {
                    metadata.set(&key, String::from_utf8_lossy(&value).into_owned());
                    reply::empty()
                }
                Err(refusal) => refusal,
            },
            Route::Unknown => reply::not_found(),
        }
    }
}

impl Answer for Api {
    type Body = Full<Bytes>;

    fn answer(
        &self,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<Self::Body>> + Send {
        Self::answer(self, request)
    }
}

/// The span of a request, which costs nothing where its level is not logged.
fn request_span(method: &Method, route: &Route<'_>, headers: &HeaderMap) -> Span {
    let span = tracing::debug_span!(
        "request",
        %method,
        route = route.template(),
        trace_id = field::Empty,
    );
    if !span.is_disabled()
        && let Some(trace_id) = trace_id(headers)
    {
        span.record("trace_id", trace_id);
    }
    span
}

fn trace_id(headers: &HeaderMap) -> Option<String> {
    TraceParent::of(headers).map(|parent| parent.trace_id())
}

/// The whole body, or the reply that refuses it.
async fn read<B>(body: &mut B) -> Result<Bytes, Reply>
where
    B: Body + Unpin,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    if body::is_absurd(body.size_hint().lower()) {
        return Err(reply::body_too_large());
    }
    let cause = match Limited::new(&mut *body, MAX).collect().await {
        Ok(whole) => return Ok(whole.to_bytes()),
        Err(cause) => cause,
    };
    if !cause.is::<LengthLimitError>() {
        return Err(reply::body_not_read(&cause.to_string()));
    }
    skip(body).await;
    Err(reply::body_too_large())
}

/// Reads on for a while and forgets it, for a client that looks for the answer only when all is
/// sent.
async fn skip<B: Body + Unpin>(body: &mut B) {
    let mut skipped = 0;
    while skipped < MAX
        && let Some(Ok(frame)) = body.frame().await
    {
        skipped += frame.data_ref().map_or(0, bytes::Buf::remaining);
    }
}

fn describe(metadata: &Metadata) -> Reply {
    let components = metadata.components().iter().map(listed);
    match metadata::to_json(metadata.app_id(), components, &metadata.extended()) {
        Ok(document) => reply::json(200, document),
        Err(error) => reply::not_encoded(&error),
    }
}

fn listed(info: &ComponentInfo) -> Component<'_> {
    let ComponentInfo { name, component_type, version } = info;
    Component { name, component_type, version }
}

fn failed(failing: Failing, error: &Error, headers: &HeaderMap) -> Reply {
    if let Error::Overloaded { .. } = error {
        return reply::overloaded(&error.to_string());
    }
    let Failing { error_code, doing } = failing;
    tracing::error!(trace_id = trace_id(headers), "{doing}: {error}");
    let message = format!("{doing}: {error}");
    reply::error(500, error_code, &message)
}
