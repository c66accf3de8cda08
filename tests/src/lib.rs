//! What the tests share: real servers and clients, the certificates that servers show, waiting for a
//! condition, the promises that every store is held to, and the answers of every HTTP API.
//!
//! No test lives here, and but for those promises and answers nothing that a test asserts.

pub mod certificates;
pub mod conformance;
pub mod holdfast;
pub mod http_api;
pub mod http_client;
pub mod process;
pub mod proxy;
pub mod redis_server;
pub mod sdk;

use std::{
    future::Future,
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
