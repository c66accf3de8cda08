//! The programs below `sdk/`, which take locks through Dapr's published SDKs, as `cargo xtask test` has
//! prepared them.

use std::{
    env, fs,
    io::{BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
    process::{ChildStdin, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread::{self, JoinHandle},
    time::Duration,
};

use crate::{prepared, process::Watched};

/// An SDK gives a sidecar half a minute to get ready, or a minute, before it gives it up.
const ANSWERING: Duration = Duration::from_secs(120);

/// A language that Dapr has an SDK for.
#[derive(Clone, Copy, Debug)]
pub enum Language {
    /// `github.com/dapr/go-sdk`
    Go,
    /// `io.dapr:dapr-sdk`
    Java,
    /// `@dapr/dapr`
    JavaScript,
    /// `dapr` of the Python Package Index
    Python,
    /// The crate `dapr`
    Rust,
}

/// The programs of a language.
pub struct Sdk {
    language: Language,
    made: PathBuf,
}

/// A program that runs until it is dropped, and never longer than the test's process.
pub struct Running {
    process: Watched,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    complaints: JoinHandle<String>,
}

impl Sdk {
    /// The programs, if they are prepared; else says that what needs them is skipped.
    pub fn prepared(language: Language) -> Option<Self> {
        let variable = format!("HOLDFAST_SDK_{language:?}").to_uppercase();
        let made = prepared(&variable, &format!("SDK for {language:?}"))?;
        Some(Self { language, made })
    }

    /// How a program is run: `locks`, or `contend` in Go and Python. The environment is that of this
    /// process without Dapr's variables.
    pub fn program(&self, name: &str) -> Command {
        let mut command = match self.language {
            Language::Go => Command::new(self.made.join("bin").join(name)),
            Language::Java => {
                let class_path = ["target/classes", "target/dependency/*"];
                let class_path = class_path.map(|part| self.made.join(part));
                let mut java = Command::new("java");
                java.arg("-cp").arg(env::join_paths(class_path).expect("no colon"));
                java.arg("Locks");
                java
            }
            Language::JavaScript => interpreted("node".into(), &self.made.join(name), "js"),
            Language::Python => {
                interpreted(self.made.join("venv/bin/python"), &self.source().join(name), "py")
            }
            Language::Rust => Command::new(self.made.join("debug").join(name)),
        };
        for (variable, _) in env::vars_os() {
            if variable.to_string_lossy().starts_with("DAPR_") {
                command.env_remove(variable);
            }
        }
        command
    }

    /// What a program is to print, kept in a file next to it.
    ///
    /// # Panics
    ///
    /// When there is no such file.
    pub fn expected(&self, file: &str) -> String {
        let path = self.source().join(file);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    fn source(&self) -> PathBuf {
        let folder = format!("{:?}", self.language).to_lowercase();
        Path::new(env!("CARGO_MANIFEST_DIR")).join("sdk").join(folder)
    }
}

impl Running {
    /// Starts a program.
    ///
    /// # Panics
    ///
    /// When it cannot be run.
    pub fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = Watched::start(command);
        let started = process.process_mut();
        let input = started.stdin.take();
        let (output, mut errors) = (started.stdout.take(), started.stderr.take());
        let (said, lines) = mpsc::channel();
        thread::spawn(move || {
            let output = BufReader::new(output.expect("a pipe"));
            for line in output.lines().map_while(Result::ok) {
                let _ = said.send(line);
            }
        });
        let complaints = thread::spawn(move || {
            let mut complaints = String::new();
            let _ = errors.as_mut().expect("a pipe").read_to_string(&mut complaints);
            complaints
        });
        Self { process, input, lines, complaints }
    }

    /// Gives the program a line to read.
    ///
    /// # Panics
    ///
    /// When it reads no more.
    pub fn say(&mut self, line: &str) {
        writeln!(self.input.as_mut().expect("an input"), "{line}").expect("a program that reads");
    }

    /// The next line that it prints, without its end.
    ///
    /// # Panics
    ///
    /// When there is none in time.
    pub fn line(&self) -> String {
        self.lines.recv_timeout(ANSWERING).expect("another line")
    }

    /// All that it prints until it ends, when there is no more for it to read.
    ///
    /// # Panics
    ///
    /// When it takes too long or fails, with its complaints.
    pub fn output(mut self) -> String {
        drop(self.input.take());
        let mut output = String::new();
        let in_time = loop {
            match self.lines.recv_timeout(ANSWERING) {
                Ok(line) => output = output + &line + "\n",
                Err(error) => break error == RecvTimeoutError::Disconnected,
            }
        };
        if in_time && self.process.process_mut().wait().expect("its status").success() {
            return output;
        }
        drop(self.process);
        let complaints = self.complaints.join().unwrap_or_default();
        panic!("the program fails, in time: {in_time}. It printed:\n{output}{complaints}");
    }
}

fn interpreted(interpreter: PathBuf, program: &Path, extension: &str) -> Command {
    let mut command = Command::new(interpreter);
    command.arg(program.with_added_extension(extension));
    command
}
