//! Whether requests are welcome.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

const STARTING: u8 = 0;
const READY: u8 = 1;
const ENDING: u8 = 2;

/// What the health checks say: starting at first, ready once it is told so, and never again after
/// it was told that the end has begun. Cheap to clone; clones share one state.
///
/// It changes the health checks alone; other requests are answered in each state.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<AtomicU8>);

impl Readiness {
    /// Not ready yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on the health checks succeed, unless the end has begun.
    pub fn set_ready(&self) {
        let exchange = self.0.compare_exchange(STARTING, READY, Ordering::SeqCst, Ordering::SeqCst);
        debug_assert!(exchange != Err(STARTING));
    }

    /// From now on, and for good, the health checks fail.
    pub fn set_ending(&self) {
        self.0.store(ENDING, Ordering::SeqCst);
    }

    /// Why the health checks fail, if they do.
    pub(super) fn obstacle(&self) -> Option<&'static str> {
        match self.0.load(Ordering::SeqCst) {
            READY => None,
            STARTING => Some("starting"),
            _ => Some("shutting down"),
        }
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
