//! What the tests share: real servers and clients, the certificates that servers show, waiting for a
//! condition, the promises that every store is held to, and the answers of every HTTP API.
//!
//! No test lives here, and but for those promises and answers nothing that a test asserts.

pub mod certificates;
pub mod conformance;
pub mod exposition;
pub mod holdfast;
pub mod http_api;
pub mod http_client;
pub mod nginx;
pub mod process;
pub mod proxy;
pub mod redis_server;
pub mod sdk;

use std::{
    env,
    future::Future,
    io::{self, Write},
    path::PathBuf,
    time::{Duration, Instant},
};

/// Waits until `condition` holds.
///
/// # Panics
///
/// After 20 seconds, with `what`.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition().await {
        assert!(Instant::now() < deadline, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Where `cargo xtask test` has prepared something, as this environment variable says; else says that what
/// needs it is skipped.
pub fn prepared(variable: &str, what: &str) -> Option<PathBuf> {
    let made = env::var_os(variable);
    if made.is_none() {
        // Not by `eprintln!`: that is kept back in a test that passes.
        let why = "`cargo xtask test` prepares it where its tools are";
        let _ = writeln!(io::stderr(), "skipped: no {what}: {why}");
    }
    made.map(PathBuf::from)
}
