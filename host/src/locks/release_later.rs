//! Releases in the background.

use std::{sync::atomic::Ordering, time::Duration};

use tokio::{
    runtime::Handle,
    time::{Instant, sleep, sleep_until},
};

use super::handle::{Locks, Resource};
use crate::{error::Error, store::retrying};

/// The first pause and the longest pause before another try of a release that did nothing.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How long to try.
const GIVE_UP_AFTER: Duration = Duration::from_secs(60);

impl Locks {
    /// Releases a lock in the background, for a holder that cannot wait for the release: it has ended, or does not know
    /// whether it got the lock. Retries while the release has done nothing and the lock may be held, for at most
    /// `valid_for` from now. [`close`](Self::close) waits for the release.
    ///
    /// If the caller is outside a Tokio runtime, the lock expires instead.
    pub fn release_later(&self, resource: Resource<'_>, owner: &str, valid_for: Duration) {
        let Ok(runtime) = Handle::try_current() else { return };
        let locks = self.clone();
        let [store, id, owner] = [resource.store, resource.id, owner].map(str::to_owned);
        // A time beyond the range of the clock has no end.
        let until = Instant::now().checked_add(valid_for);
        let release = async move {
            locks.release_in_time(Resource { store: &store, id: &id }, &owner, until).await;
        };
        self.shared.background.spawn_on(release, &runtime);
    }

    /// Releases a lock that is held until `until` at most, and tries again as long as the release did nothing. Ends
    /// when the stores are closed.
    pub(crate) async fn release_in_time(
        &self,
        resource: Resource<'_>,
        owner: &str,
        until: Option<Instant>,
    ) {
        let given_up = Instant::now() + GIVE_UP_AFTER;
        let mut pause = FIRST_PAUSE;
        let mut told = false;
        loop {
            let over = sleep_until(until.map_or(given_up, |until| until.min(given_up)));
            let released = retrying::until(over, self.unlock(resource, owner)).await;
            let Err(error) = released else { return };
            let overloaded = matches!(error, Error::Overloaded { .. });
            if !overloaded && !told {
                tracing::warn!("could not release a lease yet, retrying: {error}");
                told = true;
            }
            let next = Instant::now() + pause;
            let is_over = next >= given_up || until.is_some_and(|until| next >= until);
            // While the stores close, only a release that was refused for overload is retried.
            let is_closing = self.shared.background.is_closed() && !overloaded;
            let is_closed = self.shared.closed.load(Ordering::Relaxed);
            if error.is_indeterminate() || is_over || is_closing || is_closed {
                return tracing::warn!("could not release a lease, which will expire: {error}");
            }
            sleep(pause).await;
            pause = (pause * 2).min(if overloaded { FIRST_PAUSE } else { LONGEST_PAUSE });
        }
    }
}
