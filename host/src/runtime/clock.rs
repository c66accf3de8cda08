//! The clock of the step deadline: one thread for all engines of the process.

use std::{
    sync::{Condvar, Mutex, OnceLock, PoisonError},
    thread,
};

use wasmtime::{Engine, EngineWeak};

use crate::limits::Limits;

#[derive(Default)]
struct Clock {
    engines: Mutex<Vec<EngineWeak>>,
    added: Condvar,
}

/// Increments the engine's epoch every [`Limits::TICK`] as long as the engine lives.
///
/// # Errors
///
/// If the process cannot start a thread.
pub(super) fn tick(engine: &Engine) -> std::io::Result<()> {
    static CLOCK: OnceLock<Clock> = OnceLock::new();
    let clock = CLOCK.get_or_init(Clock::default);

    static STARTED: Mutex<bool> = Mutex::new(false);
    let mut started = STARTED.lock().unwrap_or_else(PoisonError::into_inner);
    if !*started {
        thread::Builder::new().name("holdfast-clock".into()).spawn(|| clock.run())?;
        *started = true;
    }

    clock.engines.lock().unwrap_or_else(PoisonError::into_inner).push(engine.weak());
    clock.added.notify_one();
    Ok(())
}

impl Clock {
    fn run(&self) {
        loop {
            let mut engines = self.engines.lock().unwrap_or_else(PoisonError::into_inner);
            while engines.is_empty() {
                engines = self.added.wait(engines).unwrap_or_else(PoisonError::into_inner);
            }
            engines.retain(|engine| match engine.upgrade() {
                Some(engine) => {
                    engine.increment_epoch();
                    true
                }
                None => false,
            });
            drop(engines);
            thread::sleep(Limits::TICK);
        }
    }
}
