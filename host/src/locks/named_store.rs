//! A store under the name that callers use, whose operations are measured.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    calls::Call,
    metrics::StoreMetrics,
    outcomes::{Attempt, Unlock},
    spans,
};
use crate::{
    bindings::provider::holdfast::lock::store::{
        AcquireCommand, Acquired, Failure, ReleaseCommand, Released, StoreInfo,
    },
    store::Store,
};

pub(crate) struct NamedStore {
    pub(crate) key_prefix: String,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) metrics: StoreMetrics,
}

impl NamedStore {
    /// The outcome, and when it arrived: from then on a lock that was granted is held.
    pub(crate) async fn acquire(
        &self,
        call: &mut Call<'_, Attempt>,
        command: &AcquireCommand,
    ) -> (Result<Acquired, Failure>, Instant) {
        let AcquireCommand { key, owner, ttl, .. } = command;
        spans::details(call.span(), key, owner);
        let begun = Instant::now();
        let outcome = self.store.acquire(key, owner, Duration::from_millis(*ttl)).await;
        let now = Instant::now();
        self.metrics.acquire_took(now.duration_since(begun));
        let outcome = outcome.map(Acquired::from).map_err(Failure::from);
        call.answered(&outcome);
        (outcome, now)
    }

    pub(crate) async fn release(
        &self,
        call: &mut Call<'_, Unlock>,
        command: &ReleaseCommand,
    ) -> Result<Released, Failure> {
        let ReleaseCommand { key, owner, .. } = command;
        spans::details(call.span(), key, owner);
        let begun = Instant::now();
        let outcome = self.store.release(key, owner).await;
        let now = Instant::now();
        self.metrics.release_took(now.duration_since(begun));
        let outcome = outcome.map(Released::from).map_err(Failure::from);
        if let Ok(Released::Released) = outcome {
            self.metrics.holds.end(key, owner, now);
        }
        call.answered(&outcome);
        outcome
    }

    /// Begins to measure how long a lock is held, once its caller knows of it.
    pub(crate) fn hold_begins(&self, command: &AcquireCommand, since: Instant) {
        let ttl = Duration::from_millis(command.ttl);
        self.metrics.holds.begin(&command.key, &command.owner, since, ttl);
    }

    pub(crate) fn info(&self, name: &str, app_id: &str) -> StoreInfo {
        StoreInfo {
            name: name.to_owned(),
            key_prefix: self.key_prefix.clone(),
            app_id: app_id.to_owned(),
        }
    }
}
