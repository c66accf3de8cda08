//! Readiness: the state that the health checks report.

use std::sync::Arc;

use tokio::sync::watch;

/// The state that the health checks report: starting, then ready, then ending, which is final. Cheap to clone; clones
/// share one state.
///
/// Only the health checks depend on it. Other requests are answered in every state.
#[derive(Clone, Debug)]
pub struct Readiness(Arc<watch::Sender<State>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Starting,
    Ready,
    Ending,
}

impl Readiness {
    /// Starts in the state "starting", in which the health checks fail.
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(State::Starting)))
    }

    /// Makes the health checks succeed, unless the state is "ending".
    pub fn set_ready(&self) {
        self.0.send_if_modified(|state| {
            let starting = *state == State::Starting;
            if starting {
                *state = State::Ready;
            }
            starting
        });
    }

    /// Makes the health checks fail for good.
    pub fn set_ending(&self) {
        self.0.send_replace(State::Ending);
    }

    /// Whether the health checks fail for good.
    pub fn is_ending(&self) -> bool {
        *self.0.borrow() == State::Ending
    }

    /// Why the health checks fail; `None` if they succeed.
    pub(crate) fn obstacle(&self) -> Option<&'static str> {
        match *self.0.borrow() {
            State::Starting => Some("starting"),
            State::Ready => None,
            State::Ending => Some("shutting down"),
        }
    }

    /// The state and its changes.
    pub(crate) fn watch(&self) -> watch::Receiver<State> {
        self.0.subscribe()
    }
}

impl Default for Readiness {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_final() {
        let readiness = Readiness::new();
        assert_eq!(readiness.obstacle(), Some("starting"));
        readiness.set_ready();
        assert_eq!(readiness.obstacle(), None);
        readiness.clone().set_ending();
        readiness.set_ready();
        assert_eq!(readiness.obstacle(), Some("shutting down"));
    }
}
