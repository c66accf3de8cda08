//! Many runs, several at once.

use std::{
    fs,
    panic::{self, AssertUnwindSafe},
    path::PathBuf,
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow};

use crate::{
    fault::Fault,
    report::{self, Table},
    run::{self, Outcome, overhead},
    stage::Size,
};

/// The runs to do.
pub struct Lanes {
    /// The faults.
    pub faults: Vec<Fault>,
    /// How long each is broken and mended.
    pub length: Duration,
    /// If given, the faults are run repeatedly for this long.
    pub total: Option<Duration>,
    /// How many run at once.
    pub count: usize,
    /// The size of each run.
    pub size: Size,
    /// The seed of all choices.
    pub seed: u64,
    /// Where the histories of runs with violations are written.
    pub history: Option<PathBuf>,
}

/// The state that all lanes share.
struct Shared {
    next: usize,
    good: bool,
    failed: Option<anyhow::Error>,
    table: Table,
}

impl Lanes {
    /// Runs them, and prints the results. Returns whether no promise was broken and every fault was felt.
    pub fn run(&self) -> Result<bool> {
        if let Some(directory) = &self.history {
            fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .context("no runtime")?;
        let start = Instant::now();
        let shared = Shared { next: 0, good: true, failed: None, table: Table::default() };
        let shared = Mutex::new(shared);
        thread::scope(|scope| {
            for _ in 0..self.count.min(self.faults.len()) {
                scope.spawn(|| {
                    while let Some(number) = self.next(&shared, start) {
                        let place = number % self.faults.len();
                        let seed = self.seed.wrapping_add(number as u64);
                        let fault = &self.faults[place];
                        let run =
                            || run::run(fault, self.length, self.size, seed, runtime.handle());
                        // Servers that do not carry out an order in time panic.
                        let outcome = panic::catch_unwind(AssertUnwindSafe(run));
                        let outcome = outcome.unwrap_or_else(|_| Err(anyhow!("panicked")));
                        self.note(&shared, place, outcome.context(fault.name));
                    }
                });
            }
        });
        let shared = shared.into_inner().unwrap_or_else(PoisonError::into_inner);
        shared.table.print();
        match shared.failed {
            Some(error) => Err(error),
            None => Ok(shared.good),
        }
    }

    /// The number of the next run; `None` if there is none.
    fn next(&self, shared: &Mutex<Shared>, start: Instant) -> Option<usize> {
        let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
        let again = match self.total {
            Some(total) => start.elapsed() + self.length + overhead() <= total,
            None => false,
        };
        let first = shared.next < self.faults.len();
        if shared.failed.is_some() || !(first || again) {
            return None;
        }
        shared.next += 1;
        Some(shared.next - 1)
    }

    fn note(&self, shared: &Mutex<Shared>, place: usize, outcome: Result<Outcome>) {
        let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(error) => {
                eprintln!("faults: {error:#}");
                shared.failed.get_or_insert(error);
                return;
            }
        };
        report::print_problems(&outcome);
        shared.good &= outcome.is_good();
        shared.table.add(place, &outcome);
        if let Some(directory) = self.history.as_ref().filter(|_| !outcome.violations.is_empty())
            && let Err(error) = report::save(&outcome, directory)
        {
            eprintln!("faults: {error:#}");
        }
    }
}
