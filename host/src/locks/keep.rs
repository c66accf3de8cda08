//! A lease that is kept: renewed in the background until it is released, or lost.

use std::{fmt, future::pending, sync::Arc, time::Duration};

use holdfast_timing::after;
use tokio::{
    sync::watch,
    task::AbortHandle,
    time::{Instant, sleep_until},
};

use super::{
    handle::{Locks, Resource},
    pace::Pace,
    renewal::{self, Lost, Renewal, Schedule},
};
use crate::{
    error::Error,
    store::retrying,
    types::{self, Extended, LeaseOptions, UnlockStatus},
};

/// The shortest time between two renewals. A time to live of less than three of them may be over before a renewal.
const SHORTEST_RENEWAL_INTERVAL: Duration = Duration::from_millis(10);

/// A lock that is held, and renewed in the background after each third of its time to live.
///
/// Work under the lock only as long as [`lost`](Self::lost) is pending:
///
/// ```
/// use std::{sync::Arc, time::Duration};
///
/// use holdfast::{LeaseOptions, Locks, Resource, store::memory::MemoryStore};
///
/// # async fn work() {}
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let locks = Locks::builder().store("lockstore", Arc::new(MemoryStore::new())).build()?;
/// let report = Resource { store: "lockstore", id: "nightly-report" };
///
/// let options = LeaseOptions::new(Duration::from_secs(30)).wait(Duration::from_secs(60));
/// let Some(lease) = locks.keep(report, &options, None).await? else { return Ok(()) };
/// tokio::select! {
///     () = work() => {}
///     lost = lease.lost() => eprintln!("stopped: {lost}"),
/// }
/// lease.release().await?;
/// # Ok(())
/// # }
/// ```
///
/// Dropping it releases the lock in the background, if the drop happens in a Tokio runtime. Otherwise the lock expires.
/// A process that stands still for longer than the time to live loses the lock, and learns of the loss only when it
/// goes on. Work that must never be done twice needs a [fencing token](Self::fencing_token).
#[must_use = "the lock is released when this is dropped"]
pub struct Lease {
    hold: Arc<KeptLock>,
    fencing_token: Option<u64>,
    state: watch::Receiver<State>,
    renewing: AbortHandle,
    /// Whether dropping this releases the lock.
    armed: bool,
}

/// The lock, and the handle through which it is held.
struct KeptLock {
    locks: Locks,
    store: String,
    id: String,
    owner: String,
    ttl: Duration,
}

/// The lock to renew, and how often to act on the store's notifications about it.
struct Renewing {
    hold: Arc<KeptLock>,
    pace: Pace,
}

#[derive(Clone, Debug)]
struct State {
    /// Until when the lock is surely held.
    valid_until: Instant,
    lost: Option<Lost>,
}

impl Locks {
    /// [Acquires](Self::acquire) a lease and keeps it, for at most `max_hold` if this is given. Returns `None` if the
    /// lock was not free in time.
    ///
    /// Renewals are at least 10 ms apart. A lock with a time to live of less than 30 ms may be lost before it can be
    /// renewed.
    ///
    /// Must be called in a Tokio runtime with time enabled.
    ///
    /// # Errors
    ///
    /// Those of [`acquire`](Self::acquire).
    pub async fn keep(
        &self,
        resource: Resource<'_>,
        options: &LeaseOptions,
        max_hold: Option<Duration>,
    ) -> Result<Option<Lease>, Error> {
        let begun = Instant::now();
        let Some(lease) = self.acquire(resource, options).await? else { return Ok(None) };
        // The validity counts from the beginning of the call, so it never ends too late, however late this task goes
        // on. After a wait it counts from now.
        let now = if options.wait == 0 { begun } else { Instant::now() };
        let types::Lease { owner, fencing_token, valid_for } = lease;
        let hold = Arc::new(KeptLock {
            locks: self.clone(),
            store: resource.store.to_owned(),
            id: resource.id.to_owned(),
            owner,
            ttl: Duration::from_millis(options.ttl),
        });
        let valid_until = after(now, Duration::from_millis(valid_for), Instant::checked_add);
        let (sender, state) = watch::channel(State { valid_until, lost: None });
        // A longest hold beyond the range of the clock is no limit.
        let hold_end = max_hold.and_then(|longest| now.checked_add(longest));
        let renewing = tokio::spawn(renew(hold.clone(), hold_end, sender)).abort_handle();
        Ok(Some(Lease { hold, fencing_token, state, renewing, armed: true }))
    }
}

impl Lease {
    /// The owner of the lock.
    pub fn owner(&self) -> &str {
        &self.hold.owner
    }

    /// The fencing token, if [the caller asked for it](LeaseOptions::fenced).
    pub fn fencing_token(&self) -> Option<u64> {
        self.fencing_token
    }

    /// For how long the lock is surely held from now on if it is not renewed again. Zero after a loss other than
    /// [`Lost::MaxHold`].
    pub fn valid_for(&self) -> Duration {
        let state = self.state.borrow();
        match state.lost {
            None | Some(Lost::MaxHold) => {
                state.valid_until.saturating_duration_since(Instant::now())
            }
            Some(_) => Duration::ZERO,
        }
    }

    /// Waits until the lock is lost. Returns as soon as the store [notices](crate::store::Store::watch) the loss, and
    /// at the latest when [`valid_for`](Self::valid_for) is over. Never returns as long as the lock is renewed.
    pub async fn lost(&self) -> Lost {
        let mut state = self.state.clone();
        match state.wait_for(|state| state.lost.is_some()).await {
            Ok(state) => state.lost.clone().unwrap_or(Lost::Gone),
            // The renewal ends without a reason only if it panics.
            Err(_closed) => Lost::NotRenewed("the renewal has ended".to_owned()),
        }
    }

    /// Waits for a renewal after the one that the latest call returned, and returns for how long the lock is surely
    /// held from now on. A slow caller misses renewals, but not the loss.
    ///
    /// # Errors
    ///
    /// The cause of the loss, if the lock is lost.
    pub async fn renewed(&mut self) -> Result<Duration, Lost> {
        if let Some(lost) = self.state.borrow().lost.clone() {
            return Err(lost);
        }
        if self.state.changed().await.is_err() {
            return Err(self.lost().await);
        }
        let State { valid_until, lost } = self.state.borrow_and_update().clone();
        match lost {
            None => Ok(valid_until.saturating_duration_since(Instant::now())),
            Some(lost) => Err(lost),
        }
    }

    /// Stops renewing the lock and lets it expire, for a caller that cannot know whether the work under it has stopped.
    pub fn leave(mut self) {
        self.armed = false;
    }

    /// Releases the lock. If the store's policy retries without limit, the retries end when the lock expires.
    ///
    /// # Errors
    ///
    /// Those of [`Locks::unlock`].
    pub async fn release(mut self) -> Result<UnlockStatus, Error> {
        self.renewing.abort();
        let valid_until = self.state.borrow().valid_until;
        // If the future is dropped before the lock is released, the drop of the lease releases it.
        let status = retrying::until(sleep_until(valid_until), self.hold.release()).await;
        self.armed = false;
        status
    }
}

impl KeptLock {
    fn resource(&self) -> Resource<'_> {
        Resource { store: &self.store, id: &self.id }
    }

    fn count_loss(&self, lost: &Lost) {
        if let Some(choice) = self.locks.app.store(&self.store) {
            let losses = &choice.store.metrics.losses;
            let counter = match lost {
                Lost::Gone => &losses.gone,
                Lost::HeldByOther => &losses.held_by_other,
                Lost::NotRenewed(_) => &losses.not_renewed,
                Lost::MaxHold => &losses.max_hold,
            };
            counter.increment(1);
        }
    }

    async fn release(&self) -> Result<UnlockStatus, Error> {
        self.locks.unlock(self.resource(), &self.owner).await
    }
}

impl renewal::Renewable for Renewing {
    /// Waits until the store reports that another program changed the lock. Never returns if the store cannot report
    /// it.
    async fn wait_for_doubt(&mut self, valid_until: Instant) {
        let KeptLock { locks, owner, ttl, .. } = &*self.hold;
        // The slack covers clocks that differ and times that are rounded.
        let slack = Duration::from_millis(5) + *ttl / 500;
        let end = valid_until.checked_sub(slack);
        locks.wait_for_doubt(self.hold.resource(), owner, end, &mut self.pace).await;
    }

    async fn extend(&mut self) -> Renewal {
        let KeptLock { locks, owner, ttl, .. } = &*self.hold;
        match locks.extend(self.hold.resource(), owner, *ttl, false).await {
            Ok(Extended::Extended(left)) => Renewal::Held(Duration::from_millis(left)),
            Ok(Extended::Gone) => Renewal::Lost(Lost::Gone),
            Ok(Extended::HeldByOther) => Renewal::Lost(Lost::HeldByOther),
            Err(error) => Renewal::Unknown(error.to_string()),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.renewing.abort();
        let State { valid_until, lost } = self.state.borrow().clone();
        // A release would end a newer lock of the same owner.
        if !self.armed || matches!(lost, Some(Lost::Gone | Lost::HeldByOther)) {
            return;
        }
        let left = valid_until.saturating_duration_since(Instant::now());
        self.hold.locks.release_later(self.hold.resource(), &self.hold.owner, left);
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("store", &self.hold.store)
            .field("fencing_token", &self.fencing_token)
            .field("state", &*self.state.borrow())
            .finish_non_exhaustive()
    }
}

/// Renews the lock until it is lost.
async fn renew(hold: Arc<KeptLock>, hold_end: Option<Instant>, state: watch::Sender<State>) {
    let schedule =
        Schedule { ttl: hold.ttl, between: (hold.ttl / 10).max(SHORTEST_RENEWAL_INTERVAL) };
    let mut renewing = Renewing { hold: hold.clone(), pace: Pace::default() };
    let valid_until = state.borrow().valid_until;
    let lost = schedule.keep(valid_until, &mut renewing, |valid_until| {
        state.send_modify(|state| state.valid_until = valid_until);
    });
    let longest = async {
        match hold_end {
            Some(end) => sleep_until(end).await,
            None => pending().await,
        }
    };
    let lost = tokio::select! {
        lost = lost => lost,
        () = longest => Lost::MaxHold,
    };
    hold.count_loss(&lost);
    state.send_modify(|state| state.lost = Some(lost));
    // Keeps the reason as long as a caller may ask for it.
    state.closed().await;
}
