//! Until when requests wait in their lines, and the ticks that tell when a time is over.

use alloc::collections::BTreeMap;

use crate::host::ContextId;

/// The ends of waits. Times are in milliseconds.
#[derive(Debug, Default)]
pub struct Deadlines {
    /// By their time and, since times are not unique, their place.
    ends: BTreeMap<(u64, u64), ContextId>,
    /// The time that ticks were last asked for.
    armed: Option<u64>,
}

impl Deadlines {
    /// A request at this place waits until then.
    pub fn add(&mut self, until: u64, place: u64, request: ContextId) {
        self.ends.insert((until, place), request);
    }

    /// It does not wait any more.
    pub fn remove(&mut self, until: u64, place: u64) {
        self.ends.remove(&(until, place));
    }

    /// Takes out a request whose time is over.
    pub fn due(&mut self, now: u64) -> Option<ContextId> {
        let first = self.ends.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    /// A tick came. Further ones come after the same time again, whatever ends until then.
    pub fn ticked(&mut self) {
        self.armed = self.armed.map(|_| 0);
    }

    /// The period to ask for ticks with, 0 for none; `None` if it can stay as it is.
    pub fn period(&mut self, now: u64) -> Option<u32> {
        let first = self.ends.keys().next().map(|(until, _)| *until);
        if first == self.armed {
            return None;
        }
        self.armed = first;
        let period = first.map(|until| until.saturating_sub(now).max(1));
        Some(period.map_or(0, |period| u32::try_from(period).unwrap_or(u32::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_come_at_the_first_end_and_only_while_somebody_waits() {
        let mut deadlines = Deadlines::default();
        assert_eq!(deadlines.period(5), None);
        deadlines.add(100, 0, 1);
        assert_eq!(deadlines.period(5), Some(95));
        deadlines.add(100, 1, 2);
        deadlines.add(200, 2, 3);
        assert_eq!(deadlines.period(6), None);
        deadlines.add(50, 3, 4);
        assert_eq!(deadlines.period(6), Some(44));

        deadlines.ticked();
        assert_eq!(deadlines.due(49), None);
        assert_eq!(deadlines.period(49), Some(1), "a tick that came early comes again");
        deadlines.ticked();
        assert_eq!(deadlines.due(50), Some(4));
        assert_eq!(deadlines.due(50), None);
        assert_eq!(deadlines.period(50), Some(50));
        deadlines.remove(100, 0);
        assert_eq!(deadlines.period(60), None);
        assert_eq!((deadlines.due(100), deadlines.due(200)), (Some(2), Some(3)));
        assert_eq!(deadlines.period(200), Some(0));
        assert_eq!(deadlines.period(200), None);
    }
}
