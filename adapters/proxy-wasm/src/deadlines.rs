//! Events that are due at a later time, and the ticks that report when they are due.

use alloc::collections::BTreeMap;

use crate::{host::ContextId, release::Release};

/// Events that are due at a later time. Times are in milliseconds.
#[derive(Debug, Default)]
pub struct Deadlines {
    /// The events by time and, because times are not unique, by place.
    events: BTreeMap<(u64, u64), Event>,
    /// The time that ticks were last asked for.
    armed: Option<u64>,
}

/// An event that is due at a later time.
#[derive(Debug)]
pub enum Event {
    /// A request has waited in its line for as long as it may.
    Waited(ContextId),
    /// A release that failed is tried again.
    Release(Release),
}

impl Deadlines {
    /// Schedules an event. `place` must be unique.
    pub fn add(&mut self, time: u64, place: u64, event: Event) {
        self.events.insert((time, place), event);
    }

    /// Cancels an event.
    pub fn remove(&mut self, time: u64, place: u64) {
        self.events.remove(&(time, place));
    }

    /// Removes and returns the next event that is due.
    pub fn due(&mut self, now: u64) -> Option<Event> {
        let first = self.events.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    /// Notes a tick; ticks repeat with the same period.
    pub fn ticked(&mut self) {
        self.armed = self.armed.map(|_| 0);
    }

    /// The new period of the ticks in milliseconds, 0 for no ticks; `None` if the period need not change.
    pub fn period(&mut self, now: u64) -> Option<u32> {
        let first = self.events.keys().next().map(|(time, _)| *time);
        if first == self.armed {
            return None;
        }
        self.armed = first;
        let period = first.map(|time| time.saturating_sub(now).max(1));
        Some(period.map_or(0, |period| u32::try_from(period).unwrap_or(u32::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_come_for_what_is_first_and_only_while_there_is_something() {
        let due = |deadlines: &mut Deadlines, now| match deadlines.due(now) {
            Some(Event::Waited(request)) => Some(request),
            Some(Event::Release(_)) | None => None,
        };
        let mut deadlines = Deadlines::default();
        assert_eq!(deadlines.period(5), None);
        deadlines.add(100, 0, Event::Waited(1));
        assert_eq!(deadlines.period(5), Some(95));
        deadlines.add(100, 1, Event::Waited(2));
        deadlines.add(200, 2, Event::Waited(3));
        assert_eq!(deadlines.period(6), None);
        deadlines.add(50, 3, Event::Waited(4));
        assert_eq!(deadlines.period(6), Some(44));

        deadlines.ticked();
        assert_eq!(due(&mut deadlines, 49), None);
        assert_eq!(deadlines.period(49), Some(1), "a tick that came early comes again");
        deadlines.ticked();
        assert_eq!(due(&mut deadlines, 50), Some(4));
        assert_eq!(due(&mut deadlines, 50), None);
        assert_eq!(deadlines.period(50), Some(50));
        deadlines.remove(100, 0);
        assert_eq!(deadlines.period(60), None);
        assert_eq!((due(&mut deadlines, 100), due(&mut deadlines, 200)), (Some(2), Some(3)));
        assert_eq!(deadlines.period(200), Some(0));
        assert_eq!(deadlines.period(200), None);
    }
}
