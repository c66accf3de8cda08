//! The programs below `sdk/`, which use Dapr's published SDKs. `cargo xtask test` prepares them.

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

/// How long to wait for a program's next line. An SDK waits up to a minute for its sidecar.
const ANSWERING: Duration = Duration::from_secs(120);

/// A language that has an SDK of Dapr.
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

/// A running program, which is killed when this is dropped and when the test's process ends.
pub struct Running {
    process: Watched,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    errors: JoinHandle<String>,
}

impl Sdk {
    /// The programs, if `cargo xtask test` prepared them. Else says that the test is skipped.
    pub fn prepared(language: Language) -> Option<Self> {
        let variable = format!("HOLDFAST_SDK_{language:?}").to_uppercase();
        let made = prepared(&variable, &format!("SDK for {language:?}"))?;
        Some(Self { language, made })
    }

    /// The command that runs a program: `locks`, or `contend` in Go and Python. Its environment has no
    /// variable of Dapr.
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

    /// The expected output of a program, from a file next to it.
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
    /// When the program cannot be run.
    pub fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = Watched::start(command);
        let started = process.process_mut();
        let input = started.stdin.take();
        let (output, stderr) = (started.stdout.take(), started.stderr.take());
        let (said, lines) = mpsc::channel();
        thread::spawn(move || {
            let output = BufReader::new(output.expect("a pipe"));
            for line in output.lines().map_while(Result::ok) {
                let _ = said.send(line);
            }
        });
        let errors = thread::spawn(move || {
            let mut errors = String::new();
            let _ = stderr.expect("a pipe").read_to_string(&mut errors);
            errors
        });
        Self { process, input, lines, errors }
    }

    /// Writes a line to the program's input.
    ///
    /// # Panics
    ///
    /// When the program has closed it.
    pub fn write_line(&mut self, line: &str) {
        writeln!(self.input.as_mut().expect("an input"), "{line}").expect("a program that reads");
    }

    /// The next line that the program prints, without its line break.
    ///
    /// # Panics
    ///
    /// When there is none within two minutes.
    pub fn read_line(&self) -> String {
        self.lines.recv_timeout(ANSWERING).expect("another line")
    }

    /// Closes the program's input, waits for its end, and returns its output.
    ///
    /// # Panics
    ///
    /// When it fails, or prints nothing for two minutes; the message includes its stderr.
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
        let errors = self.errors.join().unwrap_or_default();
        let end = if in_time { "fails" } else { "does not end" };
        panic!("the program {end}. It printed:\n{output}{errors}");
    }
}

fn interpreted(interpreter: PathBuf, program: &Path, extension: &str) -> Command {
    let mut command = Command::new(interpreter);
    command.arg(program.with_added_extension(extension));
    command
}
