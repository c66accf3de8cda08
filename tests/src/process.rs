//! Processes that end with the test that started them, however it ends.

use std::process::{Child, Command, Stdio};

/// A process that is killed when this is dropped, and also when the test's own process is.
pub struct Watched {
    process: Child,
    /// Kills the process when this one ends without having done so.
    watcher: Child,
}

impl Watched {
    /// Starts a program.
    ///
    /// # Panics
    ///
    /// When it cannot be run.
    pub fn start(mut command: Command) -> Self {
        let process = command
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run {:?}: {error}", command.get_program()));
        // Its input ends when this process does, however that comes about.
        let watcher = Command::new("sh")
            .args(["-c", "cat; kill -KILL $0", &process.id().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell");
        Self { process, watcher }
    }

    /// The process.
    pub fn process(&self) -> &Child {
        &self.process
    }

    /// The process.
    pub fn process_mut(&mut self) -> &mut Child {
        &mut self.process
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // The watcher first, or it could hit a process that was given the server's number anew.
        for child in [&mut self.watcher, &mut self.process] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
