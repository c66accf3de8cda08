//! A store under the name that callers use. Measures its operations.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{calls::Call, metrics::StoreMetrics, spans, wait::Waits};
use crate::{
    store::{Acquired, Extended, Failure, Holding, KeyPage, Released, Store},
    types::StoreInfo,
};

pub(super) struct NamedStore {
    pub(super) name: String,
    pub(super) key_prefix: Option<String>,
    pub(super) store: Arc<dyn Store>,
    /// Whether every grant gets a fencing token.
    pub(super) fencing: bool,
    pub(super) metrics: StoreMetrics,
    pub(super) waits: Waits,
}

impl NamedStore {
    pub(super) fn new(
        name: String,
        key_prefix: Option<String>,
        store: Arc<dyn Store>,
        fencing: bool,
    ) -> Self {
        let (metrics, waits) = (StoreMetrics::new(&name), Waits::new(&name));
        Self { name, key_prefix, store, fencing, metrics, waits }
    }

    /// The outcome, and the time of its arrival, from which on a granted lock is held. The grant gets a fencing token
    /// if the call is `fenced`, or if every grant of the store gets one.
    pub(super) async fn acquire(
        &self,
        call: &mut Call<'_>,
        key: &str,
        owner: &str,
        ttl: Duration,
        fenced: bool,
    ) -> (Result<Acquired, Failure>, Instant) {
        spans::details(call.span(), key, owner);
        let begun = Instant::now();
        let outcome = match fenced || self.fencing {
            false => self.store.acquire(key, owner, ttl).await,
            true => self.store.acquire_fenced(key, owner, ttl).await,
        };
        let now = Instant::now();
        self.metrics.acquire_took(now.duration_since(begun));
        call.set_result(&outcome);
        (outcome, now)
    }

    pub(super) async fn extend(
        &self,
        call: &mut Call<'_>,
        key: &str,
        owner: &str,
        ttl: Duration,
        may_shorten: bool,
    ) -> Result<Extended, Failure> {
        spans::details(call.span(), key, owner);
        let begun = Instant::now();
        let outcome = self.store.extend(key, owner, ttl, may_shorten).await;
        let now = Instant::now();
        self.metrics.extend_took(now.duration_since(begun));
        if let Ok(Extended::Extended(left)) = outcome {
            let until = now.checked_add(Duration::from_millis(left));
            self.metrics.holds.prolong(key, owner, until);
        }
        call.set_result(&outcome);
        outcome
    }

    pub(super) async fn inspect(
        &self,
        call: &mut Call<'_>,
        key: &str,
    ) -> Result<Option<Holding>, Failure> {
        spans::details(call.span(), key, "");
        let begun = Instant::now();
        let outcome = self.store.inspect(key).await;
        self.metrics.inspect_took(begun.elapsed());
        call.set_result(&outcome);
        outcome
    }

    pub(super) async fn list(
        &self,
        call: &mut Call<'_>,
        prefix: &str,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<KeyPage, Failure> {
        spans::details(call.span(), prefix, "");
        let begun = Instant::now();
        let outcome = self.store.list(prefix, cursor, limit).await;
        self.metrics.list_took(begun.elapsed());
        call.set_result(&outcome);
        outcome
    }

    /// The owner that held the lock; `None` if the lock was free.
    pub(super) async fn force_release(
        &self,
        call: &mut Call<'_>,
        key: &str,
    ) -> Result<Option<String>, Failure> {
        spans::details(call.span(), key, "");
        let begun = Instant::now();
        let outcome = self.store.force_release(key).await;
        let now = Instant::now();
        self.metrics.force_release_took(now.duration_since(begun));
        if let Ok(Some(owner)) = &outcome {
            self.metrics.holds.end(key, owner, now);
            self.waits.freed(key);
        }
        call.set_result(&outcome);
        outcome
    }

    pub(super) async fn release(
        &self,
        call: &mut Call<'_>,
        key: &str,
        owner: &str,
    ) -> Result<Released, Failure> {
        spans::details(call.span(), key, owner);
        let begun = Instant::now();
        let outcome = self.store.release(key, owner).await;
        let now = Instant::now();
        self.metrics.release_took(now.duration_since(begun));
        if let Ok(Released::Released) = outcome {
            self.metrics.holds.end(key, owner, now);
            self.waits.freed(key);
        }
        call.set_result(&outcome);
        outcome
    }

    /// The facts that the rules need about this store to make an application's keys.
    pub(super) fn info(&self, app_id: &str) -> StoreInfo {
        StoreInfo {
            name: self.name.clone(),
            key_prefix: self.key_prefix.clone(),
            app_id: app_id.to_owned(),
        }
    }
}
