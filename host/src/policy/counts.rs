//! The counts of a circuit breaker.

/// The results of calls since the state last changed or the counts were cleared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) requests: u32,
    pub(super) total_successes: u32,
    pub(super) total_failures: u32,
    pub(super) consecutive_successes: u32,
    pub(super) consecutive_failures: u32,
}
