//! Looks at the keys in Redis all the time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use crate::{
    history::{Broken, Nanos, ms, now},
    record::Record,
    view::View,
};

/// How often it looks.
const PERIOD: Duration = Duration::from_millis(5);

/// A pause of [`PERIOD`] that takes longer than this shows that the driver got no processor.
const STARVED: Nanos = ms(250);

/// A thread that looks at the keys until it has to stop.
pub struct Probe {
    done: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Probe {
    /// Begins to look at these keys.
    pub fn start(mut view: Box<dyn View>, keys: Vec<String>, record: Arc<Record>) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let until = done.clone();
        let thread = thread::spawn(move || {
            while !until.load(Ordering::SeqCst) {
                for seen in view.look(&keys).into_iter().flatten() {
                    record.observation(seen);
                }
                let start = now();
                thread::sleep(PERIOD);
                if now() - start > STARVED {
                    record.broken(Broken::Starved, start);
                }
            }
        });
        Self { done, thread }
    }

    /// Stops.
    pub fn finish(self) {
        self.done.store(true, Ordering::SeqCst);
        let _ = self.thread.join();
    }
}
