//! Processes that do not outlive the test that started them.

use std::process::{Child, Command, Stdio};

/// A process that is killed when this is dropped, and when the test's own process ends.
pub struct Watched {
    process: Child,
    /// Kills the process when the test's process ends without dropping this.
    watcher: Child,
}

impl Watched {
    /// Starts a program.
    ///
    /// # Panics
    ///
    /// When the program cannot be run.
    pub fn start(mut command: Command) -> Self {
        let process = command
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run {:?}: {error}", command.get_program()));
        // The watcher's input ends with this process, even if that is killed.
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
        // The watcher first: the kernel may give the process's id to another one once it has ended.
        for child in [&mut self.watcher, &mut self.process] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
