//! Log lines at a limited rate.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Something that may happen once in a while.
#[derive(Debug)]
pub(crate) struct Seldom {
    every: Duration,
    last: Mutex<Option<Instant>>,
}

impl Seldom {
    pub(crate) fn new(every: Duration) -> Self {
        Self { every, last: Mutex::default() }
    }

    /// Whether it is time again.
    pub(crate) fn now(&self) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let due = last.is_none_or(|last| last.elapsed() >= self.every);
        if due {
            *last = Some(Instant::now());
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_time_once_in_a_while() {
        let seldom = Seldom::new(Duration::from_secs(3600));
        assert!(seldom.now() && !seldom.now());
        let always = Seldom::new(Duration::ZERO);
        assert!(always.now() && always.now());
    }
}
