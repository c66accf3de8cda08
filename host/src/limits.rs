//! How many resources the lock component and its callers may use.

use std::{thread, time::Duration};

use crate::error::BuildError;

/// The limits of one [`Locks`](crate::Locks): of the component's instances and of the calls.
///
/// ```
/// use std::time::Duration;
///
/// use holdfast::Limits;
///
/// let limits = Limits::default().in_flight(256).step_deadline(Duration::from_millis(500));
/// assert_eq!(limits.in_flight, 256);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// How many instances are kept warm; at least 1. Default: one for each processor, at most 1,000.
    pub warm_instances: usize,
    /// How many instances may exist at a time; at least `warm_instances`, at most 1,000. Default: 4 for
    /// each processor, from 16 to 1,000.
    pub instances: usize,
    /// How much linear memory an instance may have, in bytes: 2 MiB to 4 GiB. Default: 64 MiB.
    pub instance_memory: usize,
    /// The memory size in bytes above which an instance is replaced. A new instance has a little more than 1 MiB.
    /// Default: 2 MiB.
    pub instance_memory_kept: usize,
    /// How long one step of a call may run in an instance: 100 ms to an hour, in steps of 100 ms. The time in a store
    /// does not count. Default: 1 s.
    pub step_deadline: Duration,
    /// How many calls may be with their stores at a time; at least 1. Default: 1,024.
    pub in_flight: usize,
    /// How many more calls may wait for their turn. Calls beyond that are refused. Default: 4,096.
    pub waiting: usize,
    /// How many calls may wait for locks that are held, at a time. Calls beyond that are refused, unless the lock is free
    /// and nobody waits for it. Default: 4,096.
    pub lock_waits: usize,
}

/// The largest number of instances.
const MOST_INSTANCES: usize = 1000;

impl Default for Limits {
    fn default() -> Self {
        Self::for_processors(thread::available_parallelism().map_or(1, usize::from))
    }
}

impl Limits {
    fn for_processors(processors: usize) -> Self {
        let instances = processors.saturating_mul(4).clamp(16, MOST_INSTANCES);
        Self {
            warm_instances: processors.min(instances),
            instances,
            instance_memory: 64 << 20,
            instance_memory_kept: 2 << 20,
            step_deadline: Duration::from_secs(1),
            in_flight: 1024,
            waiting: 4096,
            lock_waits: 4096,
        }
    }

    /// Sets [`warm_instances`](field@Self::warm_instances).
    #[must_use]
    pub fn warm_instances(mut self, warm_instances: usize) -> Self {
        self.warm_instances = warm_instances;
        self
    }

    /// Sets [`instances`](field@Self::instances).
    #[must_use]
    pub fn instances(mut self, instances: usize) -> Self {
        self.instances = instances;
        self
    }

    /// Sets [`instance_memory`](field@Self::instance_memory).
    #[must_use]
    pub fn instance_memory(mut self, instance_memory: usize) -> Self {
        self.instance_memory = instance_memory;
        self
    }

    /// Sets [`instance_memory_kept`](field@Self::instance_memory_kept).
    #[must_use]
    pub fn instance_memory_kept(mut self, instance_memory_kept: usize) -> Self {
        self.instance_memory_kept = instance_memory_kept;
        self
    }

    /// Sets [`step_deadline`](field@Self::step_deadline).
    #[must_use]
    pub fn step_deadline(mut self, step_deadline: Duration) -> Self {
        self.step_deadline = step_deadline;
        self
    }

    /// Sets [`in_flight`](field@Self::in_flight).
    #[must_use]
    pub fn in_flight(mut self, in_flight: usize) -> Self {
        self.in_flight = in_flight;
        self
    }

    /// Sets [`waiting`](field@Self::waiting).
    #[must_use]
    pub fn waiting(mut self, waiting: usize) -> Self {
        self.waiting = waiting;
        self
    }

    /// Sets [`lock_waits`](field@Self::lock_waits).
    #[must_use]
    pub fn lock_waits(mut self, lock_waits: usize) -> Self {
        self.lock_waits = lock_waits;
        self
    }

    /// How often the clock of the step deadline ticks.
    pub(crate) const TICK: Duration = Duration::from_millis(100);

    /// The step deadline in ticks. Adds one, because the current tick may end soon.
    pub(crate) fn step_ticks(&self) -> u64 {
        let ticks = self.step_deadline.as_nanos().div_ceil(Self::TICK.as_nanos());
        u64::try_from(ticks).unwrap_or(u64::MAX).saturating_add(1)
    }

    pub(crate) fn check(&self) -> Result<(), BuildError> {
        let rules = [
            ("instances", self.instances >= 1, "is not positive"),
            ("warm_instances", self.warm_instances >= 1, "is not positive"),
            (
                "warm_instances",
                self.warm_instances <= self.instances,
                "is above the number of instances",
            ),
            ("instances", self.instances <= MOST_INSTANCES, "is above 1000"),
            ("instance_memory", self.instance_memory >= 2 << 20, "is below 2 MiB"),
            ("instance_memory", self.instance_memory <= 4 << 30, "is above 4 GiB"),
            ("step_deadline", self.step_deadline >= Self::TICK, "is below 100 ms"),
            ("step_deadline", self.step_deadline <= Duration::from_secs(3600), "is above an hour"),
            ("in_flight", self.in_flight >= 1, "is not positive"),
            (
                "in_flight",
                self.in_flight <= tokio::sync::Semaphore::MAX_PERMITS,
                "is more than can be counted",
            ),
        ];
        match rules.into_iter().find(|(_, kept, _)| !kept) {
            Some((limit, _, problem)) => Err(BuildError::Limit { limit, problem }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_keep_their_own_bounds() {
        for (processors, warm, most) in [
            (1, 1, 16),
            (4, 4, 16),
            (5, 5, 20),
            (250, 250, 1000),
            (251, 251, 1000),
            (1001, 1000, 1000),
        ] {
            let limits = Limits::for_processors(processors);
            assert_eq!((limits.warm_instances, limits.instances), (warm, most), "{processors}");
            limits.check().unwrap();
        }
    }
}
