//! Calls that fail: whose fault it is, and the log of those that fail in the store.

use holdfast::LockError;

use crate::throttle::Throttle;

/// The log of calls that failed: at most ten lines in ten seconds, since a store that is down fails every call.
#[derive(Debug)]
pub(crate) struct Failures(Throttle);

impl Failures {
    pub(crate) fn new() -> Self {
        Self(Throttle::new(10))
    }

    /// Logs a failure with the message that the caller gets.
    pub(crate) fn log(&self, message: &str, trace_id: Option<String>) {
        match self.0.pass() {
            Some(0) => tracing::error!(trace_id, "{message}"),
            Some(left_out) => tracing::error!(trace_id, left_out, "{message}"),
            None => {}
        }
    }
}

/// Whether the store is at fault, and not the caller.
pub(crate) fn is_of_store(error: &LockError) -> bool {
    matches!(error, LockError::StoreFailed(_) | LockError::Indeterminate(_))
}
