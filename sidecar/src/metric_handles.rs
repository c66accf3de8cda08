//! Metric handles whose labels are only known at run time: made when first needed, and kept.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, PoisonError, RwLock},
};

/// Values by key. The number of keys must be bounded: no value is ever removed.
#[derive(Debug)]
pub(crate) struct MetricHandles<K, V>(RwLock<HashMap<K, Arc<V>>>);

impl<K, V> Default for MetricHandles<K, V> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

impl<K: Copy + Eq + Hash, V> MetricHandles<K, V> {
    /// The value of `key`, made by `make` if there is none yet.
    pub(crate) fn get(&self, key: K, make: impl FnOnce() -> V) -> Arc<V> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        known.unwrap_or_else(|| {
            let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(all.entry(key).or_insert_with(|| Arc::new(make())))
        })
    }
}
