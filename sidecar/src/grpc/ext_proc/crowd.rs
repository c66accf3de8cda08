//! How many requests wait for each lock of an edge lock.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The requests that wait, by their resource.
#[derive(Clone, Debug, Default)]
pub(super) struct Crowd(Arc<Mutex<HashMap<String, u64>>>);

/// The place of a request among those that wait, until this is dropped.
#[derive(Debug)]
pub(super) struct QueueSlot {
    crowd: Crowd,
    resource: String,
}

impl Crowd {
    /// A place for one more request that wants this resource, if fewer than `most` wait.
    pub(super) fn join(&self, resource: &str, most: u64) -> Option<QueueSlot> {
        let mut waiting = self.waiting();
        match waiting.get_mut(resource) {
            Some(count) if *count >= most => return None,
            Some(count) => *count += 1,
            None => _ = waiting.insert(resource.to_owned(), 1),
        }
        Some(QueueSlot { crowd: self.clone(), resource: resource.to_owned() })
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<String, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for QueueSlot {
    fn drop(&mut self) {
        let mut waiting = self.crowd.waiting();
        if let Some(count) = waiting.get_mut(&self.resource) {
            *count -= 1;
            if *count == 0 {
                waiting.remove(&self.resource);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_resource_has_its_own_places() {
        let crowd = Crowd::default();
        let places = [crowd.join("a", 2), crowd.join("a", 2)];
        assert!(places.iter().all(Option::is_some));
        assert!(crowd.join("a", 2).is_none());
        assert!(crowd.join("b", 1).is_some());
        drop(places);
        assert!(crowd.waiting().is_empty(), "nothing is left of those who are gone");
        assert!(crowd.join("a", 1).is_some());
    }
}
