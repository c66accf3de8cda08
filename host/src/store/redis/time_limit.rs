//! Waits for a limited time.

use std::time::Duration;

use tokio::time::timeout;

/// Waits for `future`. Fails with the limit if it has passed; `None` is no limit.
pub(super) async fn within<F: Future>(
    limit: Option<Duration>,
    future: F,
) -> Result<F::Output, Duration> {
    match limit {
        Some(limit) => timeout(limit, future).await.map_err(|_| limit),
        None => Ok(future.await),
    }
}
