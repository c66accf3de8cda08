//! A wall clock that a test sets while processes read it, by libfaketime. Their monotonic clocks stay as they are.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use crate::{prepared, temporary_dir};

/// The variable with the folder in which `cargo xtask test` has put libfaketime.
pub const FAKETIME: &str = "HOLDFAST_CLOCK_FAKETIME";

/// glibc's own allocator. A server that is linked with jemalloc needs it: jemalloc reads the clock while it is
/// set up, and libfaketime allocates memory while it is.
const ALLOCATOR: &str = "libc_malloc_debug.so.0";

/// A clock that shows the machine's time until it is set. Drop it after the processes that read it.
pub struct Clock {
    library: PathBuf,
    folder: TempDir,
    /// How many milliseconds it is ahead of the machine's clock.
    ahead: i64,
}

impl Clock {
    /// Makes a clock with the libfaketime that `cargo xtask test` prepared. Where there is none, says that the
    /// test is skipped.
    ///
    /// # Panics
    ///
    /// When it cannot be set.
    pub fn make() -> Option<Self> {
        let library = prepared(FAKETIME, "faketime")?.join("libfaketime.so.1");
        let clock = Self { library, folder: temporary_dir(), ahead: 0 };
        clock.show();
        Some(clock)
    }

    /// The environment of a process that is to read this clock.
    pub fn environment(&self) -> Vec<(String, String)> {
        let variables = [
            ("LD_PRELOAD", format!("{ALLOCATOR} {}", self.library.display())),
            ("FAKETIME_TIMESTAMP_FILE", self.file().display().to_string()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ];
        variables.map(|(name, value)| (name.to_owned(), value)).to_vec()
    }

    /// Sets the clock forward by so many milliseconds; back, if they are less than 0.
    ///
    /// # Panics
    ///
    /// When it cannot be set.
    pub fn step(&mut self, milliseconds: i64) {
        self.ahead += milliseconds;
        self.show();
    }

    /// Writes the file that the processes read each time they look at the clock.
    fn show(&self) {
        let sign = if self.ahead < 0 { '-' } else { '+' };
        let (seconds, rest) =
            (self.ahead.unsigned_abs() / 1_000, self.ahead.unsigned_abs() % 1_000);
        // In one step: a process must not find half of it.
        let next = self.folder.path().join("next");
        fs::write(&next, format!("{sign}{seconds}.{rest:03}\n")).expect("a file");
        fs::rename(&next, self.file()).expect("the clock's file");
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("clock")
    }
}

impl Drop for Clock {
    /// Removes the files that libfaketime leaves behind for a process that was killed. A later process with the same id
    /// could not start.
    fn drop(&mut self) {
        for file in fs::read_dir("/dev/shm").into_iter().flatten().flatten() {
            let name = file.file_name();
            let name = name.to_string_lossy();
            let process = name.strip_prefix("sem.faketime_sem_");
            let process = process.or_else(|| name.strip_prefix("faketime_shm_"));
            if process.is_some_and(|id| !Path::new("/proc").join(id).exists()) {
                let _ = fs::remove_file(file.path());
            }
        }
    }
}
