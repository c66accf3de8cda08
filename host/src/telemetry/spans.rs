//! The spans of calls. They are on the level debug, and cost nothing where nobody asks for that level.

use tracing::{Level, Span, field};

/// Who asks for the level debug of this target is shown resources and owners as well, which may say more
/// of users than a trace should.
pub const DETAILS: &str = "holdfast::details";

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

/// Says what is locked, and by whom, to those who ask for it.
pub(crate) fn details(span: &Span, key: &str, owner: &str) {
    if !span.is_disabled() && tracing::enabled!(target: DETAILS, Level::DEBUG) {
        span.record("lock.key", key).record("lock.owner", owner);
    }
}

pub(super) fn end(span: &Span, outcome: &'static str, error: &'static str) {
    if span.is_disabled() {
        return;
    }
    span.record("outcome", outcome);
    if !error.is_empty() {
        span.record("error.type", error).record("otel.status_code", "ERROR");
    }
}
