//! The spans of calls, at the level debug. A call makes no span unless a subscriber wants that level.

use tracing::{Level, Span, field};

/// The target for which a subscriber enables the level debug to see resources and owners in the spans of calls. They
/// may reveal more about users than a trace should.
pub const SPAN_DETAILS: &str = "holdfast::details";

/// The span of a call to a store.
pub(super) fn call(operation: &'static str, store: &str) -> Span {
    tracing::debug_span!(
        "lock",
        otel.name = operation,
        operation,
        store,
        outcome = field::Empty,
        error.type = field::Empty,
        otel.status_code = field::Empty,
        lock.key = field::Empty,
        lock.owner = field::Empty,
    )
}

/// Records the key and the owner for a subscriber that wants [`SPAN_DETAILS`].
pub(super) fn details(span: &Span, key: &str, owner: &str) {
    if !span.is_disabled() && tracing::enabled!(target: SPAN_DETAILS, Level::DEBUG) {
        span.record("lock.key", key).record("lock.owner", owner);
    }
}

/// Records the outcome of the call. `error` is empty for a call that did not fail.
pub(super) fn end(span: &Span, outcome: &'static str, error: &'static str) {
    if span.is_disabled() {
        return;
    }
    span.record("outcome", outcome);
    if !error.is_empty() {
        span.record("error.type", error).record("otel.status_code", "ERROR");
    }
}
