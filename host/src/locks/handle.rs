//! The handle that embedders, plugins and transports call.

use std::{
    fmt,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use holdfast_timing::whole_milliseconds;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use super::{app::App, drive::Shared};
use crate::{
    error::{BuildError, Error},
    types::{
        self, Answer, JsonAnswer, JsonRequest, Reply, Request, StoreInfo, TryLockRequest,
        UnlockRequest, UnlockStatus, Verb,
    },
};

/// How long [`Locks::close`] waits for leases that are being released.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Locks over one or more stores: cheap to clone, safe to share.
///
/// A handle acts for one application: no call reaches beyond the id and the stores that [`builder`](Self::builder) or
/// [`scoped`](Self::scoped) received.
///
/// Futures may be dropped at any point. A grant that comes after its caller has left is given back.
#[derive(Clone)]
pub struct Locks {
    pub(super) shared: Arc<Shared>,
    pub(super) app: Arc<App>,
}

/// What a call locks or unlocks.
///
/// ```
/// let order = holdfast::Resource { store: "lockstore", id: "order-17" };
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resource<'a> {
    /// The name of the store.
    pub store: &'a str,
    /// The resource id. It must not be empty or contain `||`.
    pub id: &'a str,
}

/// The result of a try-lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "another owner may hold the lock: check the result"]
pub enum Attempt {
    /// The owner holds the lock from now on.
    Acquired,
    /// The lock is held already, possibly by the same owner.
    Held,
}

/// The reply to a call in the wire form, with its error and its fencing token as values.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JsonReply {
    /// The reply to the client.
    pub reply: Reply,
    /// The error that the reply carries, if it carries one.
    pub error: Option<types::Error>,
    /// The fencing token of a try-lock, if the store [gives every grant one](crate::LocksBuilder::fencing).
    pub fencing_token: Option<u64>,
}

impl Attempt {
    /// Whether the owner holds the lock.
    pub fn is_acquired(self) -> bool {
        self == Self::Acquired
    }
}

impl Locks {
    /// Takes a lock if it is free, without waiting.
    ///
    /// The lock expires after `ttl`, which is rounded up to whole milliseconds: from 1 ms to
    /// 2,147,483,647 s. It counts from this call, and not from the answer.
    ///
    /// # Errors
    ///
    /// See [`Error`]. Only after an error that [is indeterminate](Error::is_indeterminate) may the lock
    /// be taken.
    pub async fn try_lock(
        &self,
        resource: Resource<'_>,
        owner: &str,
        ttl: Duration,
    ) -> Result<Attempt, Error> {
        Ok(self.try_lock_fenced(resource, owner, ttl).await?.0)
    }

    /// [`try_lock`](Self::try_lock), with the fencing token if the store [gives every
    /// grant one](crate::LocksBuilder::fencing).
    ///
    /// # Errors
    ///
    /// Those of [`try_lock`](Self::try_lock).
    pub async fn try_lock_fenced(
        &self,
        resource: Resource<'_>,
        owner: &str,
        ttl: Duration,
    ) -> Result<(Attempt, Option<u64>), Error> {
        let ttl = whole_milliseconds(ttl);
        let has_owner = !owner.is_empty();
        let request = TryLockRequest { resource_id: resource.id, has_owner, ttl };
        let request = Request::TryLock(request);
        let answered = self.shared.call(&self.app, resource.store, request, Some(owner)).await?;
        match answered.answer {
            Answer::TryLock(true) => Ok((Attempt::Acquired, answered.fencing_token)),
            Answer::TryLock(false) => Ok((Attempt::Held, None)),
            answer => Err(no_verdict(answer)),
        }
    }

    /// Frees a lock if the owner holds it.
    ///
    /// # Errors
    ///
    /// See [`Error`]. After an error that [is indeterminate](Error::is_indeterminate) the lock may be
    /// free or still held.
    pub async fn unlock(&self, resource: Resource<'_>, owner: &str) -> Result<UnlockStatus, Error> {
        let has_owner = !owner.is_empty();
        let request = Request::Unlock(UnlockRequest { resource_id: resource.id, has_owner });
        match self.shared.call(&self.app, resource.store, request, Some(owner)).await?.answer {
            Answer::Unlock(status) => Ok(status),
            answer => Err(no_verdict(answer)),
        }
    }

    /// Carries out a call in the wire form of Dapr's HTTP API.
    ///
    /// # Errors
    ///
    /// [`Error::Overloaded`], [`Error::TooManyWaits`], [`Error::WaitsEnded`] and [`Error::Component`]. Every other
    /// outcome is a reply.
    pub async fn json(&self, verb: Verb, store: &str, body: &[u8]) -> Result<Reply, Error> {
        Ok(self.json_reply(verb, store, body).await?.reply)
    }

    /// [`json`](Self::json), with the error and the fencing token of the reply as values.
    ///
    /// # Errors
    ///
    /// Those of [`json`](Self::json).
    pub async fn json_reply(
        &self,
        verb: Verb,
        store: &str,
        body: &[u8],
    ) -> Result<JsonReply, Error> {
        let request = Request::Json(JsonRequest { verb, body });
        let answered = self.shared.call(&self.app, store, request, None).await?;
        match answered.answer {
            Answer::Json(JsonAnswer { reply, error }) => {
                Ok(JsonReply { reply, error, fencing_token: answered.fencing_token })
            }
            answer => Err(no_verdict(answer)),
        }
    }

    /// A handle for another application, over some of the same stores and within the same limits.
    ///
    /// The state of the application is freed when the last clone of the handle is dropped.
    ///
    /// # Errors
    ///
    /// [`BuildError::StoreNotFound`] for a name that the builder was not given, and
    /// [`BuildError::Refused`] for an id that contains `|`.
    pub fn scoped(&self, app_id: &str, store_names: &[&str]) -> Result<Self, BuildError> {
        let stores = store_names
            .iter()
            .map(|name| {
                let store = self.shared.stores.iter().find(|store| store.name == *name);
                store.cloned().ok_or_else(|| BuildError::StoreNotFound((*name).to_owned()))
            })
            .collect::<Result<Vec<_>, BuildError>>()?;
        let app = App::new(&self.shared.pool, app_id, &stores)?;
        Ok(Self { shared: self.shared.clone(), app: Arc::new(app) })
    }

    /// The names of the stores that this handle may use.
    pub fn store_names(&self) -> impl Iterator<Item = &str> {
        self.stores().iter().map(|store| store.name.as_str())
    }

    /// The stores that this handle may use, in the form for the rules.
    pub(crate) fn stores(&self) -> &[StoreInfo] {
        self.app.scope.stores()
    }

    /// Whether a lock that was taken through any handle to the same stores may still be held.
    pub fn holds_locks(&self) -> bool {
        self.shared.stores.iter().any(|store| store.metrics.holds.any_held())
    }

    /// Ends all waits for locks, current and future, through every handle to the same stores. A call that is the first
    /// in its line tries once more. Any other call, and a call that does not get the lock then, fails with
    /// [`Error::WaitsEnded`].
    pub fn end_waits(&self) {
        self.shared.stores.iter().for_each(|store| store.waits.end());
    }

    /// The work that [`close`](Self::close) waits for.
    pub(crate) fn background(&self) -> &TaskTracker {
        &self.shared.background
    }

    /// Waits until the stores have finished the work that earlier calls left to them, and closes their connections.
    /// From then on, calls that need a connection fail, through every handle to the same stores. Takes at most 6
    /// seconds with the stores of this library, also with a quorum of them.
    pub async fn close(&self) {
        self.shared.background.close();
        if timeout(CLOSE_TIMEOUT, self.shared.background.wait()).await.is_err() {
            tracing::warn!("closed before all leases were released");
        }
        self.shared.closed.store(true, Ordering::Relaxed);
        let stores = self.shared.stores.iter();
        futures_util::future::join_all(stores.map(|store| store.store.close())).await;
    }

    /// Updates the gauges that are cheaper to compute than to keep: the component's instances, and the calls in flight
    /// and waiting. An exporter calls this before it reads the metrics, on any one of the handles to the same stores.
    pub fn record_gauges(&self) {
        self.shared.pool.record_gauges();
        self.shared.admission.record_gauges();
    }
}

impl fmt::Debug for Locks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Locks").field("stores", &self.stores()).finish_non_exhaustive()
    }
}

/// The error of a failed call. Any other answer belongs to another call.
pub(super) fn no_verdict(answer: Answer) -> Error {
    match answer {
        Answer::Failed(error) => error.into(),
        answer => {
            Error::Component(format!("it answered another call than the one made: {answer:?}"))
        }
    }
}
