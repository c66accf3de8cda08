//! Limits how long a call is retried: only as long as its caller can use the outcome.
//!
//! A policy may retry a call without limit. The caller knows when further retries are useless, such as after the wait
//! for a lock, but must not drop a call under way, because its outcome would then be unknown.

use std::pin::pin;

use tokio_util::sync::CancellationToken;

tokio::task_local! {
    /// Cancelled when the call must not be tried again.
    static OVER: CancellationToken;
}

/// Makes a call, which is not tried again after `over` has ended. A try under way goes on.
pub(crate) async fn until<T>(over: impl Future<Output = ()>, call: impl Future<Output = T>) -> T {
    let token = CancellationToken::new();
    let mut call = pin!(OVER.scope(token.clone(), call));
    tokio::select! {
        biased;
        ended = &mut call => return ended,
        () = over => token.cancel(),
    }
    call.await
}

/// Waits until the call must not be tried again. Never ends in a call that [`until`] did not make.
#[cfg(feature = "resiliency")]
pub(crate) async fn over() {
    match OVER.try_with(Clone::clone) {
        Ok(token) => token.cancelled().await,
        Err(_) => std::future::pending().await,
    }
}
