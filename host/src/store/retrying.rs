//! How long a call may be tried again: only while its caller has a use for the outcome.
//!
//! A policy may repeat a call without limit. Whoever calls knows when that is of no use any more, such as after the wait
//! for a lock, but must not drop a call whose outcome nobody would know then.

use std::pin::pin;

use tokio_util::sync::CancellationToken;

tokio::task_local! {
    /// Cancelled when the call is not to be tried again.
    static OVER: CancellationToken;
}

/// Makes a call, which is not tried again once `over` has ended. A try under way goes on.
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

/// Waits until the call is not to be tried again. Never ends in a call that [`until`] did not make.
#[cfg(feature = "resiliency")]
pub(crate) async fn over() {
    match OVER.try_with(Clone::clone) {
        Ok(token) => token.cancelled().await,
        Err(_) => std::future::pending().await,
    }
}
