//! A store under the name that callers know it by, and what is watched of its operations.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{
    bindings::provider::holdfast::lock::store::{
        AcquireCommand, Acquired, Failure, ReleaseCommand, Released, StoreInfo,
    },
    store::Store,
    telemetry::{self, Attempt, Call, StoreMetrics, Unlock},
};

pub(crate) struct NamedStore {
    pub(crate) key_prefix: String,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) metrics: StoreMetrics,
}

impl NamedStore {
    /// The outcome, and when it was known: from then on a lock that was granted is held.
    pub(crate) async fn acquire(
        &self,
        call: &mut Call<'_, Attempt>,
        command: &AcquireCommand,
    ) -> (Result<Acquired, Failure>, Instant) {
        let AcquireCommand { key, owner, ttl, .. } = command;
        telemetry::details(call.span(), key, owner);
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
        telemetry::details(call.span(), key, owner);
        let begun = Instant::now();
        let outcome = self.store.release(key, owner).await;
        let now = Instant::now();
        self.metrics.release_took(now.duration_since(begun));
        let outcome = outcome.map(Released::from).map_err(Failure::from);
        if let Ok(Released::Released) = outcome {
            self.metrics.hold_ends(key, owner, now);
        }
        call.answered(&outcome);
        outcome
    }

    /// Whoever asked for the lock knows that it is held.
    pub(crate) fn hold_begins(&self, command: &AcquireCommand, since: Instant) {
        let ttl = Duration::from_millis(command.ttl);
        self.metrics.hold_begins(&command.key, &command.owner, since, ttl);
    }

    pub(crate) fn info(&self, name: &str, app_id: &str) -> StoreInfo {
        StoreInfo {
            name: name.to_owned(),
            key_prefix: self.key_prefix.clone(),
            app_id: app_id.to_owned(),
        }
    }
}
