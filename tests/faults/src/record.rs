//! Gathers the history of a run from all threads of the driver.

use std::{
    collections::HashMap,
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::history::{
    Answer, Broken, Event, History, Nanos, Observation, Window, now, wall_offset,
};

/// The history of a run in the making.
pub struct Record(Mutex<Parts>);

#[derive(Default)]
struct Parts {
    /// By process and number.
    events: HashMap<(u32, u64), Event>,
    observations: Vec<Observation>,
    windows: Vec<Window>,
    wall_offset: Nanos,
}

impl Record {
    /// A record in which nothing has happened.
    pub fn new() -> Self {
        Self(Mutex::new(Parts { wall_offset: wall_offset(), ..Parts::default() }))
    }

    /// Notes a call, when it starts and again when it ends.
    pub fn event(&self, event: Event) {
        self.parts().events.insert((event.process, event.number), event);
    }

    /// Notes an observation of Redis.
    pub fn observation(&self, observation: Observation) {
        self.parts().observations.push(observation);
    }

    /// Notes a fault that lasted from `start` until now.
    pub fn broken(&self, kind: Broken, start: Nanos) {
        self.parts().windows.push(Window { kind, start, end: now() });
    }

    /// Notes that a process was killed just now: its calls have no answer.
    pub fn died(&self, process: u32) {
        let end = now();
        let mut parts = self.parts();
        let calls = parts.events.values_mut().filter(|event| event.process == process);
        for call in calls.filter(|event| event.answer == Answer::Pending) {
            call.answer = Answer::Died;
            call.end = end;
        }
    }

    /// How many calls of a process have no answer yet.
    pub fn pending(&self, process: u32) -> usize {
        let parts = self.parts();
        let calls = parts.events.values().filter(|event| event.process == process);
        calls.filter(|event| event.answer == Answer::Pending).count()
    }

    /// Takes the history out. Calls without an answer end now.
    pub fn take(&self, settled: Nanos) -> History {
        let Parts { events, observations, windows, wall_offset } = mem::take(&mut *self.parts());
        let mut events: Vec<_> = events.into_values().collect();
        for event in events.iter_mut().filter(|event| event.answer == Answer::Pending) {
            event.end = now();
        }
        events.sort_by_key(|event| event.start);
        History { events, observations, windows, wall_offset, settled }
    }

    fn parts(&self) -> MutexGuard<'_, Parts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
