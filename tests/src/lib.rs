//! Code that the tests share: servers and clients, a store whose outcomes a test scripts, the promises that every store
//! keeps, and the answers of every server of the HTTP API.
//!
//! The tests themselves are in `tests/`.
//!
//! | module | what lives there |
//! |---|---|
//! | [`conformance`], [`http_api`] | the promises of every store, and the answers of every server of the HTTP API |
//! | [`fake_store`], [`redis_store`], [`durable_object`] | stores: with outcomes that a test scripts, in Redis, in Durable Objects |
//! | [`redis_server`], [`redis_options`] | a redis-server, and how it is started |
//! | [`redis_cluster`], [`sentinel_group`], [`redis_quorum`] | several of them |
//! | [`scripted_node`] | a sentinel, or a node of a cluster, whose answers a test scripts |
//! | [`proxy`], [`redis_proxy`] | networks that misbehave, and proxies in front of Redis |
//! | [`envoy`], [`nginx`], [`traefik`], [`upstream`] | proxies of requests, and an upstream |
//! | [`workerd`], [`browser`], [`sdk`] | other programs: a Worker, Chromium, programs with Dapr's SDKs |
//! | `holdfast` | the program `holdfast`, run by a test |
//! | [`http_client`], [`grpc_client`], [`calls`] | clients, and calls on the library |
//! | [`resources`], [`certificates`], [`exposition`] | files: resource files, certificates, the page of metrics |
//! | [`process`], [`clock`] | processes that end with their test, and the clock that they read |

pub mod browser;
pub mod calls;
pub mod certificates;
pub mod clock;
pub mod conformance;
pub mod durable_object;
pub mod envoy;
pub mod exposition;
pub mod fake_store;
pub mod grpc_client;
pub mod holdfast;
pub mod http_api;
pub mod http_client;
pub mod nginx;
pub mod proxy;
pub mod redis_cluster;
pub mod redis_options;
pub mod redis_proxy;
pub mod redis_quorum;
pub mod redis_server;
pub mod redis_store;
pub mod resources;
pub mod scripted_node;
pub mod sdk;
pub mod sentinel_group;
pub mod traefik;
pub mod upstream;
pub mod workerd;

pub use holdfast_watched as process;

use std::{
    env, fs,
    io::{self, Write},
    net::TcpListener,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use ::holdfast::store::{Acquired, Failure, Grant, Released, Store};
use tempfile::TempDir;

/// The file of the plugin in `tests/plugin/`.
pub const PLUGIN: &str = env!("HOLDFAST_TEST_PLUGIN");

/// The file of the proxy-wasm filter in `adapters/proxy-wasm/`.
pub const FILTER: &str = env!("HOLDFAST_FILTER");

/// The name of the lock store in tests that need only one.
pub const STORE: &str = "lockstore";

/// The application id in tests that need only one.
pub const APP_ID: &str = "app1";

/// A time to live that is longer than any test.
pub const MINUTE: Duration = Duration::from_secs(60);

/// One second.
pub const SECOND: Duration = Duration::from_secs(1);

/// How long a server may take to start.
pub(crate) const STARTING: Duration = Duration::from_secs(20);

/// Longer than any single step of a test takes: an event that has not come by then does not come.
pub const LONG: Duration = Duration::from_secs(60);

/// The answer of a store that grants a lock.
pub const GRANTED: Acquired = Acquired::Granted(Grant { fencing_token: None, valid_for: None });

/// Whether an acquire was granted.
pub fn is_granted(outcome: &Result<Acquired, Failure>) -> bool {
    matches!(outcome, Ok(Acquired::Granted(_)))
}

/// Checks that an acquire was granted.
///
/// # Panics
///
/// If it was not.
#[track_caller]
pub fn assert_granted(outcome: Result<Acquired, Failure>) {
    assert!(is_granted(&outcome), "{outcome:?}");
}

/// Waits until a store works again: it takes a lock and releases it.
///
/// # Panics
///
/// After 60 seconds, or if the lock cannot be released.
pub async fn assert_recovers(store: &dyn Store) {
    eventually("the store works again", async || {
        is_granted(&store.acquire("recovers", "me", MINUTE).await)
    })
    .await;
    assert_eq!(store.release("recovers", "me").await, Ok(Released::Released));
}

/// How long [`eventually`] and [`eventually_ok`] wait.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `condition` holds.
///
/// # Panics
///
/// After 60 seconds, with `what`.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let deadline = Instant::now() + PATIENCE;
    while !condition().await {
        assert!(Instant::now() < deadline, "not within 60 seconds: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Waits until `attempt` succeeds, and returns its value. Its error says why it has not succeeded yet.
///
/// # Panics
///
/// After 60 seconds, with `what` and the last error.
pub async fn eventually_ok<T>(what: &str, mut attempt: impl FnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match attempt() {
            Ok(got) => return got,
            Err(why) => {
                assert!(Instant::now() < deadline, "not within 60 seconds: {what}: {why}");
            }
        }
        // An attempt may ask many servers.
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

/// The path of a file or folder of the repository.
pub fn repository(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)
}

/// The text of a file of the repository.
///
/// # Panics
///
/// When it cannot be read.
pub fn read(name: &str) -> String {
    fs::read_to_string(repository(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The folder that `cargo xtask test` prepared and named in this environment variable. Where there is none,
/// says on stderr that the test of `what` is skipped.
pub fn prepared(variable: &str, what: &str) -> Option<PathBuf> {
    let folder = env::var_os(variable);
    if folder.is_none() {
        skipped(what, "`cargo xtask test` prepares it where its tools are installed");
    }
    folder.map(PathBuf::from)
}

/// Says on stderr that a test is skipped: what is missing, and why.
pub fn skipped(what: &str, why: &str) {
    // `eprintln!` is captured in a test that passes.
    let _ = writeln!(io::stderr(), "skipped: no {what}: {why}");
}

/// Writes a screen to a file of the folder that the variable `HOLDFAST_SCREENSHOTS` names, if it is set.
///
/// # Panics
///
/// When it cannot be written.
pub fn keep(file: &str, screen: impl AsRef<[u8]>) {
    if let Some(folder) = env::var_os("HOLDFAST_SCREENSHOTS") {
        fs::write(Path::new(&folder).join(file), screen).expect("a screen");
    }
}

/// What the names of temporary directories begin with.
const PREFIX: &str = "holdfast-test-";

/// A temporary directory, removed when dropped.
///
/// # Panics
///
/// When it cannot be created.
pub fn temporary_dir() -> TempDir {
    TempDir::with_prefix(PREFIX).expect("a temporary directory")
}

/// A temporary directory in memory where the system has one, else as [`temporary_dir`]: a server that waits for its
/// files to be on the disk stands still for seconds where others use the disk.
///
/// # Panics
///
/// When it cannot be created.
pub fn memory_dir() -> TempDir {
    TempDir::with_prefix_in(PREFIX, "/dev/shm").unwrap_or_else(|_| temporary_dir())
}

/// A port of 127.0.0.1 on which no process listens now.
///
/// # Panics
///
/// When no port is free.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

#[cfg(doctest)]
#[doc = include_str!("../../docs/embedding.md")]
struct Embedding;
