//! nginx for one test, with the files of `examples/nginx/` in which only the addresses are changed.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

use crate::{eventually, prepared, process::Watched, repository, temporary_dir};

/// An nginx that runs until it is dropped.
pub struct Nginx {
    client: reqwest::Client,
    folder: TempDir,
    _process: Watched,
}

/// The settings of an nginx.
pub struct Settings<'a> {
    /// Holdfast's host and port.
    pub holdfast: &'a str,
    /// The upstream's host and port.
    pub upstream: &'a str,
    /// `DAPR_API_TOKEN`; empty for no token.
    pub token: &'a str,
    /// `$holdfast_in_doubt`, which is `closed` or `open`.
    pub in_doubt: &'a str,
}

impl Nginx {
    /// Starts the nginx that `cargo xtask test` prepared, and waits until it listens. Where there is none, says
    /// that the test is skipped.
    ///
    /// # Panics
    ///
    /// When it does not start, or when an address that is to be changed is not in the files once.
    pub async fn start(settings: &Settings<'_>) -> Option<Self> {
        let made = prepared("HOLDFAST_SERVER_NGINX", "nginx")?;
        let folder = configured(settings, &made);
        let mut command = Command::new(made.join("nginx"));
        // A worker process would outlive the master process when that is killed.
        command.args(["-c", "nginx.conf", "-g", "daemon off; master_process off;", "-p"]);
        command.arg(folder.path()).env("DAPR_API_TOKEN", settings.token);
        let log = fs::File::create(folder.path().join("log")).expect("a log");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let process = Watched::start(command);
        let socket = folder.path().join("socket");
        let client = reqwest::Client::builder().unix_socket(socket.clone()).build();
        let nginx = Self { client: client.expect("a client"), folder, _process: process };
        let log = || format!("nginx listens; it says: {}", nginx.log());
        eventually(&log(), async || std::os::unix::net::UnixStream::connect(&socket).is_ok()).await;
        Some(nginx)
    }

    /// A GET request of a path.
    pub fn get(&self, path: &str) -> reqwest::RequestBuilder {
        self.request(reqwest::Method::GET, path)
    }

    /// A request of a path.
    pub fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("http://edge.example{path}"))
    }

    /// The log so far.
    ///
    /// # Panics
    ///
    /// When there is no log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).expect("a log")
    }
}

/// A folder with the files of the example and these settings.
fn configured(settings: &Settings<'_>, made: &Path) -> TempDir {
    let folder = temporary_dir();
    let into = folder.path();
    fs::create_dir(into.join("tmp")).expect("a directory");
    let example = repository("examples/nginx");
    let copy = |file: &str, changes: &[(&str, String)]| {
        let mut text = fs::read_to_string(example.join(file)).expect("a file of the example");
        for (from, to) in changes {
            assert_eq!(text.matches(from).count(), 1, "{file} has {from} once");
            text = text.replace(from, to);
        }
        fs::write(into.join(file), text).expect("a file");
    };
    let module: PathBuf = made.join("ngx_http_js_module.so");
    copy(
        "nginx.conf",
        &[("/usr/lib/nginx/modules/ngx_http_js_module.so", module.display().to_string())],
    );
    copy(
        "single-flight.conf",
        &[
            ("listen 127.0.0.1:8080", format!("listen unix:{}", into.join("socket").display())),
            ("127.0.0.1:3500", settings.holdfast.to_owned()),
            ("127.0.0.1:9000", settings.upstream.to_owned()),
            ("in_doubt closed", format!("in_doubt {}", settings.in_doubt)),
        ],
    );
    copy("holdfast.js", &[]);
    folder
}
