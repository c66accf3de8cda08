//! Envoy for one test, with a configuration of `examples/envoy/` in which only the addresses and some settings are
//! changed.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    FILTER, eventually, eventually_ok, prepared, process::Watched, read, repository, temporary_dir,
};

/// An Envoy with two workers, that runs until it is dropped.
pub struct Envoy {
    client: reqwest::Client,
    folder: TempDir,
    process: Watched,
}

impl Envoy {
    /// Starts the Envoy that `cargo xtask test` prepared, with a file of the example, and waits until it listens. Where
    /// there is none, says that the test is skipped.
    ///
    /// Each change is a text that is in the file once, and its replacement. The address of the listener is changed in
    /// any case.
    ///
    /// # Panics
    ///
    /// When it does not start, or when a text that is to be changed is not in the file once.
    pub async fn start(file: &str, changes: &[(impl AsRef<str>, impl AsRef<str>)]) -> Option<Self> {
        let made = prepared("HOLDFAST_SERVER_ENVOY", "Envoy")?;
        let folder = configured(file, changes);
        let process = Watched::start(command(&made, folder.path()));
        let socket = folder.path().join("socket");
        let client = reqwest::Client::builder().unix_socket(socket.clone()).build();
        let envoy = Self { client: client.expect("a client"), folder, process };
        let log = || format!("Envoy listens; it says: {}", envoy.log());
        eventually(&log(), async || std::os::unix::net::UnixStream::connect(&socket).is_ok()).await;
        Some(envoy)
    }

    /// Whether Envoy refuses a configuration: its log, or `None` where there is no Envoy.
    ///
    /// # Panics
    ///
    /// When it does not.
    pub async fn refuses(
        file: &str,
        changes: &[(impl AsRef<str>, impl AsRef<str>)],
    ) -> Option<String> {
        let made = prepared("HOLDFAST_SERVER_ENVOY", "Envoy")?;
        let folder = configured(file, changes);
        let mut process = Watched::start(command(&made, folder.path()));
        let status = eventually_ok("Envoy ends", || {
            let ended = process.process_mut().try_wait().expect("its status");
            ended.ok_or_else(|| log(folder.path()))
        });
        assert!(!status.await.success());
        Some(log(folder.path()))
    }

    /// A GET request of a path.
    pub fn get(&self, path: &str) -> reqwest::RequestBuilder {
        self.request(reqwest::Method::GET, path)
    }

    /// A request of a path.
    pub fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("http://edge.example{path}"))
    }

    /// The status of a GET request of a path.
    ///
    /// # Panics
    ///
    /// When there is no response.
    pub async fn status(&self, path: &str) -> u16 {
        self.get(path).send().await.expect("a response").status().as_u16()
    }

    /// The log so far.
    pub fn log(&self) -> String {
        log(self.folder.path())
    }

    /// Kills the process.
    ///
    /// # Panics
    ///
    /// When it has ended.
    pub fn kill(mut self) {
        self.process.process_mut().kill().expect("a running process");
    }
}

/// The changes in `filter.yaml`: the path of the module that was built, and these settings.
///
/// # Panics
///
/// When the file is not as it was.
pub fn filter_with(settings: &Value) -> [(String, String); 2] {
    let example = read("examples/envoy/filter.yaml");
    let settings_of = |example: &str| {
        let (_, after) = example.split_once("value: |\n")?;
        let (written, _) = after.split_once("                # What")?;
        Some(written.to_owned())
    };
    let written = settings_of(&example).expect("the settings of the filter");
    let module = ("filename: holdfast-filter.wasm".to_owned(), format!("filename: {FILTER}"));
    [(written, format!("                    {settings}\n")), module]
}

fn log(folder: &Path) -> String {
    fs::read_to_string(folder.join("log")).unwrap_or_default()
}

fn command(made: &Path, folder: &Path) -> Command {
    let mut command = Command::new(made.join("envoy"));
    command.args([
        "-c",
        "envoy.yaml",
        "--disable-hot-restart",
        "--concurrency",
        "2",
        "-l",
        "warning",
    ]);
    let log = fs::File::create(folder.join("log")).expect("a log");
    command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    command
}

/// A folder with the configuration.
fn configured(file: &str, changes: &[(impl AsRef<str>, impl AsRef<str>)]) -> TempDir {
    let folder = temporary_dir();
    let socket = format!("pipe: {{ path: {} }}", folder.path().join("socket").display());
    let listener = ("socket_address: { address: 127.0.0.1, port_value: 8080 }", socket.as_str());
    let example = repository("examples/envoy").join(file);
    let mut text = fs::read_to_string(example).expect("a file of the example");
    let changes = changes.iter().map(|(from, to)| (from.as_ref(), to.as_ref()));
    for (from, to) in [listener].into_iter().chain(changes) {
        assert_eq!(text.matches(from).count(), 1, "{file} has {from} once");
        text = text.replace(from, to);
    }
    fs::write(folder.path().join("envoy.yaml"), text).expect("a file");
    folder
}
