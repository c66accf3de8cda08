//! The scopes in use: the applications whose stores an instance must know, and their numbers.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use crate::types::StoreInfo;

/// The stores of one application under their own number. Dropping the scope frees the number.
pub(crate) struct Scope {
    number: u32,
    version: u64,
    stores: Box<[StoreInfo]>,
    scopes: Arc<Scopes>,
}

/// All scopes of a pool.
#[derive(Default)]
pub(super) struct Scopes {
    numbers: Mutex<Numbers>,
    /// How many scopes have ended.
    ended: AtomicU64,
}

#[derive(Default)]
struct Numbers {
    /// The version of the scope that has each number; 0 for a free number.
    versions: Vec<u64>,
    last_version: u64,
}

impl Scopes {
    /// Takes the lowest free number for these stores.
    pub(super) fn add(self: &Arc<Self>, stores: &[StoreInfo]) -> Scope {
        let mut numbers = self.lock();
        numbers.last_version += 1;
        let version = numbers.last_version;
        let free = numbers.versions.iter().position(|version| *version == 0);
        let number = free.unwrap_or(numbers.versions.len());
        match free {
            Some(number) => numbers.versions[number] = version,
            None => numbers.versions.push(version),
        }
        drop(numbers);
        // Memory runs out long before the numbers do.
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        Scope { number, version, stores: stores.into(), scopes: self.clone() }
    }

    /// How many scopes have ended so far.
    pub(super) fn ended(&self) -> u64 {
        self.ended.load(Ordering::Acquire)
    }

    /// Whether a number still belongs to the scope of this version.
    pub(super) fn is_current(&self, number: usize, version: u64) -> bool {
        self.lock().versions.get(number) == Some(&version)
    }

    fn lock(&self) -> MutexGuard<'_, Numbers> {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Scope {
    pub(crate) fn stores(&self) -> &[StoreInfo] {
        &self.stores
    }

    pub(super) fn number(&self) -> u32 {
        self.number
    }

    /// The version, which is unique for each scope, even when numbers are reused.
    pub(super) fn version(&self) -> u64 {
        self.version
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        if let Some(version) = self.scopes.lock().versions.get_mut(self.number as usize) {
            *version = 0;
        }
        self.scopes.ended.fetch_add(1, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_free_again_when_its_scope_ends() {
        let scopes = Arc::new(Scopes::default());
        let (first, second) = (scopes.add(&[]), scopes.add(&[]));
        assert_eq!((first.number(), second.number()), (0, 1));
        let version = first.version();
        drop(first);
        assert_eq!(scopes.ended(), 1);
        assert!(!scopes.is_current(0, version));
        let third = scopes.add(&[]);
        assert_eq!(third.number(), 0);
        assert_ne!(third.version(), version);
        assert!(scopes.is_current(0, third.version()) && scopes.is_current(1, second.version()));
    }
}
