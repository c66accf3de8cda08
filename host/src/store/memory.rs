//! A store in the memory of this process, for tests and for a single node without Redis.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures_util::future::BoxFuture;
use holdfast_timing::{after, milliseconds};
use tokio::time::Instant;

use super::{
    Acquired, Extended, Failure, Grant, HeldKey, Holding, KeyPage, Released, Store, Survey,
    watch::{Watched, Watchers},
};

/// A store that keeps its locks in memory. The locks end with the process, and no other process sees them.
///
/// It uses tokio's clock, so a test that pauses that clock decides when a lock expires.
#[derive(Debug, Default)]
pub struct MemoryStore {
    locks: Mutex<StoredLocks>,
}

#[derive(Debug, Default)]
struct StoredLocks {
    by_key: HashMap<String, StoredLock>,
    /// The latest fencing token, of any key.
    last_token: u64,
    /// How many locks were left after the last sweep.
    after_sweep: usize,
    watchers: Watchers,
}

#[derive(Debug)]
struct StoredLock {
    owner: String,
    until: Instant,
    fencing_token: Option<u64>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn locks(&self) -> MutexGuard<'_, StoredLocks> {
        // Every change to the map is a single call, so a panic elsewhere cannot leave it half done.
        self.locks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StoredLocks {
    fn acquire(&mut self, key: &str, owner: &str, ttl: Duration, fenced: bool) -> Acquired {
        let now = Instant::now();
        if self.by_key.get(key).is_some_and(|lock| lock.until > now) {
            return Acquired::Held;
        }
        self.sweep(now);
        let fencing_token = fenced.then(|| self.next_token());
        let lock = StoredLock {
            owner: owner.to_owned(),
            until: after(now, ttl, Instant::checked_add),
            fencing_token,
        };
        self.by_key.insert(key.to_owned(), lock);
        self.watchers.changed(key);
        Acquired::Granted(Grant { fencing_token, valid_for: None })
    }

    /// A larger number than any before, also from an earlier process: the time of day in microseconds, if the clock was
    /// not set back.
    fn next_token(&mut self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = u64::try_from(now.as_micros()).unwrap_or(u64::MAX);
        self.last_token = now.max(self.last_token.saturating_add(1));
        self.last_token
    }

    /// Notes a token that another store has given. A grant with a fencing token takes it over, so that an inspect finds
    /// the latest token of the resource.
    fn raise_token(&mut self, key: &str, at_least: u64) {
        self.last_token = self.last_token.max(at_least);
        let token = self.by_key.get_mut(key).and_then(|lock| lock.fencing_token.as_mut());
        if let Some(token) = token {
            *token = at_least.max(*token);
        }
    }

    fn extend(&mut self, key: &str, owner: &str, ttl: Duration, may_shorten: bool) -> Extended {
        let now = Instant::now();
        match self.by_key.get_mut(key) {
            Some(lock) if lock.until > now => {
                if lock.owner != owner {
                    return Extended::HeldByOther;
                }
                let until = after(now, ttl, Instant::checked_add);
                if until > lock.until || may_shorten {
                    lock.until = until;
                }
                let left = milliseconds(lock.until - now);
                self.watchers.changed(key);
                Extended::Extended(left)
            }
            _ => Extended::Gone,
        }
    }

    fn inspect(&self, key: &str) -> Option<Holding> {
        let lock = self.by_key.get(key)?;
        let left = lock.until.saturating_duration_since(Instant::now());
        (!left.is_zero()).then(|| Holding {
            owner: lock.owner.clone(),
            time_left: Some(milliseconds(left)),
            fencing_token: lock.fencing_token,
        })
    }

    fn release(&mut self, key: &str, owner: &str) -> Released {
        match self.by_key.get(key) {
            Some(lock) if lock.until > Instant::now() => {
                if lock.owner != owner {
                    return Released::HeldByOther;
                }
                self.by_key.remove(key);
                self.watchers.changed(key);
                Released::Released
            }
            _ => Released::Missing,
        }
    }

    fn list(&self, prefix: &str, cursor: Option<&str>, limit: usize) -> KeyPage {
        let now = Instant::now();
        let is_asked_for = |key: &&String| {
            key.starts_with(prefix) && cursor.is_none_or(|cursor| key.as_str() > cursor)
        };
        let mut keys: Vec<HeldKey> = self
            .by_key
            .iter()
            .filter(|(key, lock)| lock.until > now && is_asked_for(key))
            .map(|(key, lock)| HeldKey {
                key: key.clone(),
                owner: lock.owner.clone(),
                time_left: Some(milliseconds(lock.until - now)),
            })
            .collect();
        keys.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        let more = keys.len() > limit;
        keys.truncate(limit);
        let next = keys.last().filter(|_| more).map(|last| last.key.clone());
        KeyPage { keys, next }
    }

    fn force_release(&mut self, key: &str) -> Option<String> {
        let lock = self.by_key.remove(key)?;
        self.watchers.changed(key);
        (lock.until > Instant::now()).then_some(lock.owner)
    }

    /// Forgets expired locks each time the number of locks has doubled, so that the cost of an acquire
    /// stays constant on average.
    fn sweep(&mut self, now: Instant) {
        const SWEEP_FROM: usize = 1024;
        if self.by_key.len() >= SWEEP_FROM.max(self.after_sweep * 2) {
            self.by_key.retain(|_, lock| lock.until > now);
            self.after_sweep = self.by_key.len();
        }
    }
}

impl Store for MemoryStore {
    fn survey(&self) -> BoxFuture<'_, Survey> {
        let promise =
            "A lock excludes the callers of this process alone, and a restart forgets it."
                .to_owned();
        Box::pin(std::future::ready(Survey { servers: Vec::new(), promise }))
    }

    fn acquire<'a>(
        &'a self,
        key: &'a str,
        owner: &'a str,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<Acquired, Failure>> {
        let acquired = self.locks().acquire(key, owner, ttl, false);
        Box::pin(std::future::ready(Ok(acquired)))
    }

    fn release<'a>(
        &'a self,
        key: &'a str,
        owner: &'a str,
    ) -> BoxFuture<'a, Result<Released, Failure>> {
        let released = self.locks().release(key, owner);
        Box::pin(std::future::ready(Ok(released)))
    }

    fn acquire_fenced<'a>(
        &'a self,
        key: &'a str,
        owner: &'a str,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<Acquired, Failure>> {
        let acquired = self.locks().acquire(key, owner, ttl, true);
        Box::pin(std::future::ready(Ok(acquired)))
    }

    fn raise_fencing_token<'a>(
        &'a self,
        key: &'a str,
        at_least: u64,
    ) -> BoxFuture<'a, Result<(), Failure>> {
        self.locks().raise_token(key, at_least);
        Box::pin(std::future::ready(Ok(())))
    }

    fn extend<'a>(
        &'a self,
        key: &'a str,
        owner: &'a str,
        ttl: Duration,
        may_shorten: bool,
    ) -> BoxFuture<'a, Result<Extended, Failure>> {
        let extended = self.locks().extend(key, owner, ttl, may_shorten);
        Box::pin(std::future::ready(Ok(extended)))
    }

    fn inspect<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Holding>, Failure>> {
        let holding = self.locks().inspect(key);
        Box::pin(std::future::ready(Ok(holding)))
    }

    /// Lists the keys in order.
    fn list<'a>(
        &'a self,
        prefix: &'a str,
        cursor: Option<&'a str>,
        limit: u32,
    ) -> BoxFuture<'a, Result<KeyPage, Failure>> {
        let page = self.locks().list(prefix, cursor, limit as usize);
        Box::pin(std::future::ready(Ok(page)))
    }

    fn force_release<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<String>, Failure>> {
        let owner = self.locks().force_release(key);
        Box::pin(std::future::ready(Ok(owner)))
    }

    /// An expiry notifies nobody: the time left shows when it is.
    fn watch<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Option<Watched>> {
        let mut locks = self.locks();
        let watched = Watched { holding: locks.inspect(key), changed: locks.watchers.add(key) };
        Box::pin(std::future::ready(Some(watched)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    const GRANTED: Acquired = Acquired::Granted(Grant { fencing_token: None, valid_for: None });

    #[tokio::test(start_paused = true)]
    async fn a_lease_lasts_its_time_to_live() {
        let store = MemoryStore::new();
        assert_eq!(store.acquire("k", "a", MINUTE).await, Ok(GRANTED));
        tokio::time::advance(MINUTE - Duration::from_millis(1)).await;
        assert_eq!(store.acquire("k", "b", MINUTE).await, Ok(Acquired::Held));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(store.release("k", "a").await, Ok(Released::Missing));
        assert_eq!(store.acquire("k", "b", MINUTE).await, Ok(GRANTED));
    }

    #[tokio::test]
    async fn only_the_owner_releases() {
        let store = MemoryStore::new();
        assert_eq!(store.release("k", "a").await, Ok(Released::Missing));
        assert_eq!(store.acquire("k", "a", MINUTE).await, Ok(GRANTED));
        assert_eq!(store.acquire("k", "a", MINUTE).await, Ok(Acquired::Held));
        assert_eq!(store.release("k", "b").await, Ok(Released::HeldByOther));
        assert_eq!(store.release("k", "a").await, Ok(Released::Released));
        assert_eq!(store.release("k", "a").await, Ok(Released::Missing));
    }

    async fn number(store: &MemoryStore) -> u64 {
        match store.acquire_fenced("k", "a", MINUTE).await {
            Ok(Acquired::Granted(Grant { fencing_token: Some(number), .. })) => number,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_raised_token_is_smaller_than_the_next_and_never_falls() {
        let store = MemoryStore::new();
        let first = number(&store).await;
        let ahead = first + 3_600_000_000;
        assert_eq!(store.raise_fencing_token("k", ahead).await, Ok(()));
        assert_eq!(store.raise_fencing_token("k", first).await, Ok(()));
        let holding = store.inspect("k").await.unwrap().unwrap();
        assert_eq!(holding.fencing_token, Some(ahead));
        assert_eq!(store.release("k", "a").await, Ok(Released::Released));
        assert_eq!(number(&store).await, ahead + 1);
    }

    #[tokio::test(start_paused = true)]
    async fn expired_leases_are_forgotten() {
        let store = MemoryStore::new();
        for round in 0..3 {
            for key in 0..1024 {
                let key = format!("{round}/{key}");
                assert!(store.acquire(&key, "a", MINUTE).await.is_ok());
            }
            tokio::time::advance(MINUTE).await;
        }
        assert!(store.locks().by_key.len() <= 1024, "{}", store.locks().by_key.len());
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_time_to_live_is_no_overflow() {
        let store = MemoryStore::new();
        assert_eq!(store.acquire("k", "a", Duration::MAX).await, Ok(GRANTED));
        assert_eq!(store.acquire("k", "a", Duration::MAX).await, Ok(Acquired::Held));
    }
}
