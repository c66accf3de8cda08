//! Holds: leases that last as long as the response that reports them.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{Stream, StreamExt, stream};
use holdfast::{Lease, LeaseOptions, LockError, Lost, Resource};
use holdfast_proto::leases::hold_event::lost::Cause;
use holdfast_rules::{MAX_TIME, message};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use crate::sidecar::Sidecar;

/// What a caller gets.
#[derive(Debug)]
pub(crate) enum Event {
    /// The lock was not free in time.
    NotHeld,
    /// The caller holds the lock.
    Held { owner: String, fencing_token: Option<u64>, valid_for: Duration },
    /// The lock lasts longer.
    Renewed(Duration),
    /// The server begins to end, and the caller should.
    Ending(Duration),
    /// The caller does not hold the lock any more, or not for longer than this.
    Lost(Lost, Duration),
}

/// The events of one hold. Dropping it releases the lock.
pub(crate) struct Hold(Pin<Box<dyn Stream<Item = Event> + Send>>);

/// What is asked for.
pub(crate) struct Wish {
    pub(crate) options: LeaseOptions,
    /// How long to hold the lock at most.
    pub(crate) max_hold: Option<Duration>,
}

/// Why nothing is held.
#[derive(Debug)]
pub(crate) enum HoldError {
    /// This many hold locks already.
    TooMany(usize),
    Locks(holdfast::Error),
}

impl HoldError {
    /// What there is too much of.
    pub(crate) fn too_many(most: usize) -> String {
        format!("too many calls: {most} hold locks by their connections")
    }
}

/// The name of a cause, in both APIs.
pub(crate) fn cause(lost: &Lost) -> Cause {
    match lost {
        Lost::Gone => Cause::Gone,
        Lost::HeldByOther => Cause::HeldByOther,
        Lost::NotRenewed(_) => Cause::NotRenewed,
        Lost::MaxHold => Cause::MaxHold,
        _ => Cause::Unspecified,
    }
}

/// A hold that the server renews.
struct Kept {
    lease: Lease,
    _room: OwnedSemaphorePermit,
    ending: CancellationToken,
    /// Whether the caller knows that the server ends.
    told: bool,
}

impl Hold {
    /// Takes the lock, and waits for it.
    ///
    /// # Errors
    ///
    /// Those of [`Locks::keep`](holdfast::Locks::keep), too many holds, and a longest hold that is out of range.
    pub(crate) async fn begin(
        sidecar: &Sidecar,
        resource: Resource<'_>,
        wish: &Wish,
    ) -> Result<Self, HoldError> {
        let longest = Duration::from_millis(MAX_TIME);
        if wish.max_hold.is_some_and(|max_hold| max_hold > longest) {
            let message = message::time_too_long("maxHold", resource.store);
            return Err(HoldError::Locks(LockError::MalformedRequest(message).into()));
        }
        let room = sidecar.room_for_hold().map_err(HoldError::TooMany)?;
        let locks = sidecar.locks();
        let kept = locks.keep(resource, &wish.options, wish.max_hold).await;
        let Some(lease) = kept.map_err(HoldError::Locks)? else {
            return Ok(Self(stream::iter([Event::NotHeld]).boxed()));
        };
        let held = Event::Held {
            owner: lease.owner().to_owned(),
            fencing_token: lease.fencing_token(),
            valid_for: lease.valid_for(),
        };
        let kept = Kept { lease, _room: room, ending: sidecar.ending().clone(), told: false };
        let later = stream::unfold(Some(kept), async |kept| Some(kept?.next().await));
        Ok(Self(stream::iter([held]).chain(later).boxed()))
    }
}

impl Kept {
    async fn next(mut self) -> (Event, Option<Self>) {
        let renewed = tokio::select! {
            biased;
            renewed = self.lease.renewed() => renewed,
            () = self.ending.cancelled(), if !self.told => {
                self.told = true;
                return (Event::Ending(self.lease.valid_for()), Some(self));
            }
        };
        match renewed {
            Ok(valid_for) => (Event::Renewed(valid_for), Some(self)),
            Err(lost) => {
                let valid_for = self.lease.valid_for();
                // The caller works on until it gets this, and may then need a moment to stop.
                self.lease.leave();
                (Event::Lost(lost, valid_for), None)
            }
        }
    }
}

impl Stream for Hold {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.0.as_mut().poll_next(cx)
    }
}
