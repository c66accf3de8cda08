//! The part of Traefik that its plugin sees: the program in `tests/traefik/`, which a test runs with the plugin of
//! `examples/traefik/`.

use std::{fs, process::Command};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{prepared, sdk::Running, temporary_dir};

/// A running program, which interprets the plugin once and serves any number of middlewares.
pub struct Traefik {
    program: Running,
    folder: TempDir,
}

impl Traefik {
    /// Starts the program that `cargo xtask test` prepared. Where there is none, says that the test is skipped.
    ///
    /// # Panics
    ///
    /// When it cannot be run.
    pub fn start() -> Option<Self> {
        let made = prepared("HOLDFAST_SERVER_TRAEFIK", "traefik")?;
        let folder = temporary_dir();
        let mut command = Command::new(made.join("traefik"));
        command.arg(made.join("plugins-local")).arg(folder.path().join("log"));
        Some(Self { program: Running::start(command), folder })
    }

    /// Serves a middleware in front of an upstream, with settings as a resource of Kubernetes has them: the
    /// `host:port` to connect to.
    ///
    /// # Panics
    ///
    /// When the plugin refuses the settings.
    pub fn serve(&mut self, upstream: &str, settings: &Value) -> String {
        let made = self.make(&json!({"upstream": upstream, "resource": settings}));
        made.unwrap_or_else(|error| panic!("{settings}: {error}"))
    }

    /// Makes a middleware, as `tests/traefik/settings.go` describes it.
    ///
    /// # Errors
    ///
    /// Why the plugin or Traefik's parsers refuse the settings.
    pub fn make(&mut self, wanted: &Value) -> Result<String, String> {
        self.program.write_line(&wanted.to_string());
        let line = self.program.read_line();
        match line.strip_prefix("error: ") {
            Some(error) => Err(error.to_owned()),
            None => Ok(line),
        }
    }

    /// The plugin's lines in Traefik's log so far, with a line for each request that came and for each that is done.
    ///
    /// # Panics
    ///
    /// When there is no log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).expect("a log")
    }

    /// How many requests came.
    pub fn came(&self) -> usize {
        self.lines("came: ")
    }

    /// How many requests are done: the plugin has returned.
    pub fn done(&self) -> usize {
        self.lines("done: ")
    }

    fn lines(&self, start: &str) -> usize {
        self.log().lines().filter(|line| line.starts_with(start)).count()
    }
}
