//! One call: from the steps of a request to their answers.

use std::{
    collections::VecDeque,
    error::Error as StdError,
    mem,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::stream;
use holdfast::{LeaseOptions, Resource, Verb};
use holdfast_edge_lock::{InDoubt, details::gave_up};
use holdfast_proto::ext_proc::{
    BodySendMode, HttpHeaders, ProcessingRequest, ProcessingResponse, ProtocolConfiguration,
    processing_request::Request as Step,
};
use hyper::{Response, body::Body, http::request::Parts};
use prost_types::value::Kind;
use tokio::time::{Instant, timeout};
use tonic::{Status, body::Body as GrpcBody};
use tracing::{Instrument, Span, field};
use uuid::Uuid;

use super::{
    NAME,
    held::Held,
    locks::{Choice, Counted, EdgeLocks},
    reply,
    request::Proxied,
};
use crate::{
    grpc::{
        calls::failed,
        frame::refusal,
        messages::Messages,
        unary::{MAX_MESSAGE, stream},
    },
    lasting::hold::HoldError,
    requests::{intake::NotRead, trace_context::TraceParent},
    server::Lasting,
    sidecar::Sidecar,
};

/// How much longer than the wait for the lock the proxy is asked to wait, in milliseconds.
const MARGIN: u64 = 5_000;

/// Answers a call.
pub(in crate::grpc) fn process<B>(
    sidecar: &Sidecar,
    locks: &EdgeLocks,
    head: &Parts,
    body: B,
) -> Response<GrpcBody>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    let name = head.headers.get(NAME).map(|name| name.as_bytes());
    let choice = match locks.choice(name) {
        Ok(choice) => choice,
        Err(status) => {
            sidecar.failures().log(status.message(), None);
            return status.into_http();
        }
    };
    let asked = Arc::new(AtomicBool::new(false));
    let exchange = Exchange {
        messages: Messages::new(body, &head.headers, sidecar.intake(), MAX_MESSAGE),
        asked: asked.clone(),
        sidecar: sidecar.clone(),
        choice,
        stage: Stage::Beginning,
        replies: VecDeque::new(),
        modes: Modes::default(),
        body_modes: None,
        held: None,
    };
    let mut response = stream(stream::unfold(exchange, Exchange::next));
    response.extensions_mut().insert(Lasting::once(asked));
    response
}

/// A call, up to its end. Dropping it ends its hold.
struct Exchange<B> {
    sidecar: Sidecar,
    choice: Choice,
    messages: Messages<B>,
    /// Set once the proxy waits for an answer.
    asked: Arc<AtomicBool>,
    stage: Stage,
    /// Answers that are not sent yet.
    replies: VecDeque<ProcessingResponse>,
    modes: Modes,
    /// The body modes of the proxy, if it can be asked to report trailers as well.
    body_modes: Option<ProtocolConfiguration>,
    held: Option<Held>,
}

enum Stage {
    /// The proxy has reported nothing yet.
    Beginning,
    /// The request has to take its lock.
    Taking(Box<Taking>),
    /// The request is on its way.
    Going,
    /// The call needs nothing more from the proxy.
    Done,
}

/// A request that takes its lock.
struct Taking {
    lock: Arc<Counted>,
    resource: String,
    span: Span,
}

/// How bodies are reported.
#[derive(Clone, Copy, Default)]
struct Modes {
    request: BodySendMode,
    response: BodySendMode,
}

/// The decision about a request.
enum Verdict {
    Granted(Held, Option<u64>),
    NotFree,
    /// The queue for the lock is full.
    Crowded,
    /// The server shuts down, and grants no more locks.
    Ending,
    /// Nobody knows who has the lock.
    InDoubt,
    /// The proxy has ended the call.
    Left,
}

impl<B> Exchange<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    async fn next(mut self) -> Option<(Result<ProcessingResponse, Status>, Self)> {
        loop {
            if let Some(reply) = self.replies.pop_front() {
                return Some((Ok(reply), self));
            }
            let going = match mem::replace(&mut self.stage, Stage::Going) {
                Stage::Beginning => self.begin().await,
                Stage::Taking(taking) => {
                    self.take(*taking).await;
                    Ok(())
                }
                Stage::Going => self.go_on().await,
                Stage::Done => return None,
            };
            if let Err(status) = going {
                self.stage = Stage::Done;
                return Some((Err(status), self));
            }
        }
    }

    /// Waits for the first message, which has the headers of the request.
    async fn begin(&mut self) -> Result<(), Status> {
        let limit = self.sidecar.intake().time();
        let first = timeout(limit, self.messages.next::<ProcessingRequest>());
        let first = tokio::select! {
            biased;
            first = first => first.map_err(|_| refusal(NotRead::TooSlow(limit), MAX_MESSAGE))??,
            () = self.sidecar.last_call().cancelled() => None,
        };
        let Some(first) = first else {
            self.stage = Stage::Done;
            return Ok(());
        };
        self.asked.store(true, Ordering::Relaxed);
        if let Some(modes) = first.protocol_config {
            let mode = |mode| BodySendMode::try_from(mode).unwrap_or(BodySendMode::None);
            let (request, response) =
                (mode(modes.request_body_mode), mode(modes.response_body_mode));
            self.modes = Modes { request, response };
            // In the duplex modes the proxy reports trailers in any case, and the modes cannot be changed.
            let is_duplex = reply::is_duplex(request) || reply::is_duplex(response);
            self.body_modes = (!is_duplex).then_some(modes);
        }
        match first.request {
            _ if first.observability_mode => Err(Status::failed_precondition(
                "observability_mode: a request cannot take a lock if nobody waits for the answer",
            )),
            Some(Step::RequestHeaders(headers)) => {
                self.choose(headers);
                Ok(())
            }
            _ => Err(Status::failed_precondition(
                "processing_mode.request_header_mode must be SEND: a lock is taken when the headers of a \
                 request have come",
            )),
        }
    }

    fn choose(&mut self, headers: HttpHeaders) {
        let request = Proxied(headers);
        let Some(lock) = self.choice.of(&request) else {
            self.replies.push_back(reply::go_on(None));
            self.stage = Stage::Done;
            return;
        };
        let Some(resource) = lock.lock.resource.of(&request) else {
            lock.metrics.refused.increment(1);
            self.replies.push_back(reply::refuse(&lock.lock.refused, "holdfast_no_resource"));
            self.stage = Stage::Done;
            return;
        };
        if lock.lock.wait > 0 {
            self.replies.push_back(reply::later(lock.lock.wait.saturating_add(MARGIN)));
        }
        let span = span(&lock.lock.name, &request);
        self.stage = Stage::Taking(Box::new(Taking { lock, resource, span }));
    }

    async fn take(&mut self, taking: Taking) {
        let Taking { lock, resource, span } = taking;
        let verdict = self.verdict(&lock, resource).instrument(span.clone()).await;
        let (metrics, refused) = (&lock.metrics, &lock.lock.refused);
        let (outcome, counter, reply) = match verdict {
            Verdict::Granted(held, token) => {
                self.held = Some(held);
                let reply = match self.body_modes {
                    Some(modes) => reply::go_on_with_trailers(token, modes),
                    None => reply::go_on(token),
                };
                ("granted", &metrics.granted, Some(reply))
            }
            Verdict::NotFree => {
                ("refused", &metrics.refused, Some(reply::refuse(refused, "holdfast_lock_held")))
            }
            Verdict::Crowded => {
                let reply = reply::refuse(refused, "holdfast_lock_crowded");
                ("crowded", &metrics.crowded, Some(reply))
            }
            Verdict::Ending => {
                ("refused", &metrics.refused, Some(reply::refuse(refused, "holdfast_lock_ending")))
            }
            Verdict::InDoubt => match lock.lock.in_doubt {
                InDoubt::Open => {
                    ("in_doubt_passed", &metrics.in_doubt_passed, Some(reply::go_on(None)))
                }
                InDoubt::Closed => {
                    let reply = reply::refuse(refused, "holdfast_lock_in_doubt");
                    ("in_doubt_refused", &metrics.in_doubt_refused, Some(reply))
                }
            },
            Verdict::Left => ("left", &metrics.left, None),
        };
        span.record("outcome", outcome);
        counter.increment(1);
        self.replies.extend(reply);
        if self.held.is_none() {
            self.stage = Stage::Done;
        }
    }

    async fn verdict(&mut self, lock: &Arc<Counted>, resource: String) -> Verdict {
        if self.sidecar.grants().is_err() {
            return Verdict::Ending;
        }
        let Some(_place) = lock.crowd.join(&resource, lock.lock.max_waiting) else {
            return Verdict::Crowded;
        };
        let room = match self.sidecar.room_for_hold() {
            Ok(room) => room,
            Err(most) => {
                self.sidecar.failures().log(&HoldError::too_many(most), None);
                return Verdict::InDoubt;
            }
        };
        let (ttl, wait) =
            (Duration::from_millis(lock.lock.ttl), Duration::from_millis(lock.lock.wait));
        let owner = Uuid::new_v4().to_string();
        let mut options = LeaseOptions::new(ttl).wait(wait).owner(&owner);
        options.fenced = lock.lock.fenced;
        let id = Resource { store: &lock.lock.store, id: &resource };
        let locks = self.sidecar.locks();
        let acquired = tokio::select! {
            // A lock that comes too late is not taken: dropping its future gives it back.
            biased;
            () = self.messages.ended() => return Verdict::Left,
            acquired = locks.acquire(id, &options) => acquired,
        };
        match acquired {
            Ok(Some(lease)) => {
                let valid_for = Duration::from_millis(lease.valid_for);
                let now = Instant::now();
                let held = Held {
                    sidecar: self.sidecar.clone(),
                    lock: lock.clone(),
                    until: now.checked_add(valid_for).unwrap_or(now),
                    owner: lease.owner,
                    answered: false,
                    gave_up: false,
                    _room: room,
                    resource,
                };
                Verdict::Granted(held, lease.fencing_token)
            }
            Ok(None) => Verdict::NotFree,
            Err(holdfast::Error::WaitsEnded) => Verdict::Ending,
            Err(error) => {
                // Called for its line in the log: the proxy gets a refusal, and no status.
                let _ = failed(&self.sidecar, Verb::Acquire, &error);
                if error.is_indeterminate() {
                    locks.release_later(id, &owner, ttl);
                }
                Verdict::InDoubt
            }
        }
    }

    /// Answers a step of a request that holds its lock.
    async fn go_on(&mut self) -> Result<(), Status> {
        let message = tokio::select! {
            message = self.messages.next::<ProcessingRequest>() => message?,
            // The request goes on without this call, and its lock expires.
            () = self.sidecar.last_call().cancelled() => None,
        };
        let Some(message) = message else {
            self.stage = Stage::Done;
            return Ok(());
        };
        let Modes { request, response } = self.modes;
        let gave_up = response_details(&message).is_some_and(gave_up);
        let (reply, answered) = match message.request {
            Some(Step::ResponseHeaders(HttpHeaders { end_of_stream, .. })) => {
                // Without the body, the proxy reports nothing more of a response.
                let is_all = end_of_stream || response == BodySendMode::None;
                (reply::response_headers(), is_all)
            }
            Some(Step::ResponseBody(body)) => {
                let is_all = body.end_of_stream;
                (reply::response_body(body, response), is_all)
            }
            Some(Step::ResponseTrailers(_)) => (reply::response_trailers(), true),
            Some(Step::RequestBody(body)) => (reply::request_body(body, request), false),
            Some(Step::RequestTrailers(_)) => (reply::request_trailers(), false),
            Some(Step::RequestHeaders(_)) => {
                return Err(Status::invalid_argument("the headers of a request came twice"));
            }
            None => return Err(Status::unimplemented("a step of a request that is not known")),
        };
        if let Some(held) = &mut self.held {
            held.gave_up |= gave_up;
            held.answered |= answered;
        }
        self.replies.push_back(reply);
        Ok(())
    }
}

/// Where a response comes from, if the proxy is configured to report it.
fn response_details(message: &ProcessingRequest) -> Option<&str> {
    let mut attributes = message.attributes.values();
    let details = attributes.find_map(|attribute| attribute.fields.get("response.code_details"));
    match details?.kind.as_ref()? {
        Kind::StringValue(details) => Some(details),
        _ => None,
    }
}

/// The span of a request that takes a lock, in the trace of that request.
fn span(edge_lock: &str, request: &Proxied) -> Span {
    let span = tracing::debug_span!(
        "edge_lock",
        otel.name = edge_lock,
        otel.kind = "server",
        outcome = field::Empty,
        trace_id = field::Empty,
    );
    if !span.is_disabled() {
        let headers = request.trace();
        if let Some(parent) = TraceParent::of(&headers) {
            span.record("trace_id", parent.trace_id());
            parent.adopt(&span, &headers);
        }
    }
    span
}
