//! Holds: leases that last as long as the response that reports them.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{Stream, StreamExt, stream};
use holdfast::{Lease, LeaseOptions, Lost, Resource};
use holdfast_proto::leases::hold_event::lost::Cause;
use holdfast_rules::{acquire::AcquireTerms, lasting::check_hold, types::Error as RulesError};
use holdfast_timing::whole_milliseconds;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use crate::{rules_types::lock_error, server::Parting, sidecar::Sidecar};

/// The reason for ending a hold that outlasts the grace period of its server.
const SHUT_DOWN: &str = "the server has shut down and no longer renews the lock";

/// An event that the caller of a hold receives.
#[derive(Debug)]
pub(crate) enum Event {
    /// The lock was not free in time.
    NotHeld,
    /// The caller holds the lock.
    Held { owner: String, fencing_token: Option<u64>, valid_for: Duration },
    /// The lock lasts longer.
    Renewed(Duration),
    /// The server begins to shut down, and the caller should stop.
    Ending(Duration),
    /// The caller no longer holds the lock, or holds it for `valid_for` at most.
    Lost { cause: Cause, message: String, valid_for: Duration },
}

/// The events of one hold. Dropping it releases the lock, if the caller has ended the response.
pub(crate) struct Hold {
    events: Pin<Box<dyn Stream<Item = Event> + Send>>,
    parting: Parting,
}

/// The terms of a hold.
pub(crate) struct HoldTerms {
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
    /// The rules refuse the call.
    pub(super) fn refused(error: RulesError) -> Self {
        Self::Locks(lock_error(error).into())
    }

    /// The message for too many holds.
    pub(crate) fn too_many(most: usize) -> String {
        format!("too many calls: {most} hold locks by their connections")
    }
}

/// The name of a cause, in both APIs.
fn cause(lost: &Lost) -> Cause {
    match lost {
        Lost::Gone => Cause::Gone,
        Lost::HeldByOther => Cause::HeldByOther,
        Lost::NotRenewed(_) => Cause::NotRenewed,
        Lost::MaxHold => Cause::MaxHold,
        _ => Cause::Unspecified,
    }
}

/// A hold that the server renews.
struct RenewedHold {
    /// `None` once it was left to expire.
    lease: Option<Lease>,
    _room: OwnedSemaphorePermit,
    parting: Parting,
    ending: CancellationToken,
    last_word: CancellationToken,
    /// Whether the caller may know that it holds the lock.
    is_held_reported: bool,
    /// Whether the caller knows that the server shuts down.
    is_ending_reported: bool,
}

impl Hold {
    /// Takes the lock, and waits for it.
    ///
    /// # Errors
    ///
    /// The errors of [`Locks::keep`](holdfast::Locks::keep), too many holds, and a longest hold that is out of range.
    pub(crate) async fn begin(
        sidecar: &Sidecar,
        resource: Resource<'_>,
        terms: &HoldTerms,
    ) -> Result<Self, HoldError> {
        let HoldTerms { options, max_hold } = terms;
        let LeaseOptions { owner, ttl, wait, fenced } = options;
        let owner_is_empty = owner.as_deref().is_some_and(str::is_empty);
        let asked = AcquireTerms { ttl: *ttl, wait: *wait, fenced: *fenced };
        let store = sidecar.store(resource.store);
        let longest = max_hold.map(whole_milliseconds);
        check_hold(store, resource.id, owner_is_empty, asked, longest)
            .map_err(HoldError::refused)?;
        let room = sidecar.room_for_hold().map_err(HoldError::TooMany)?;
        let locks = sidecar.locks();
        let kept = locks.keep(resource, options, *max_hold).await;
        let Some(lease) = kept.map_err(HoldError::Locks)? else {
            let events = stream::iter([Event::NotHeld]).boxed();
            return Ok(Self { events, parting: Parting::default() });
        };
        let parting = Parting::default();
        let kept = RenewedHold {
            lease: Some(lease),
            _room: room,
            parting: parting.clone(),
            ending: sidecar.ending().clone(),
            last_word: sidecar.last_word().clone(),
            is_held_reported: false,
            is_ending_reported: false,
        };
        let events = stream::unfold(kept, RenewedHold::next).boxed();
        Ok(Self { events, parting })
    }

    /// Learns why the hold is dropped.
    pub(crate) fn parting(&self) -> &Parting {
        &self.parting
    }
}

impl RenewedHold {
    async fn next(mut self) -> Option<(Event, Self)> {
        let lease = self.lease.as_mut()?;
        if !self.is_held_reported {
            self.is_held_reported = true;
            let held = Event::Held {
                owner: lease.owner().to_owned(),
                fencing_token: lease.fencing_token(),
                valid_for: lease.valid_for(),
            };
            return Some((held, self));
        }
        let (cause, message) = tokio::select! {
            biased;
            renewed = lease.renewed() => match renewed {
                Ok(valid_for) => return Some((Event::Renewed(valid_for), self)),
                Err(lost) => (cause(&lost), lost.to_string()),
            },
            () = self.last_word.cancelled() => (Cause::ShutDown, SHUT_DOWN.to_owned()),
            () = self.ending.cancelled(), if !self.is_ending_reported => {
                self.is_ending_reported = true;
                return Some((Event::Ending(lease.valid_for()), self));
            }
        };
        let valid_for = lease.valid_for();
        // The caller keeps working until it receives this, and may then need a moment to stop.
        self.leave();
        Some((Event::Lost { cause, message, valid_for }, self))
    }

    /// Stops renewing the lock and lets it expire.
    fn leave(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.leave();
        }
    }
}

impl Drop for RenewedHold {
    fn drop(&mut self) {
        // A caller who may still work holds the lock for as long as was reported last.
        if self.is_held_reported && self.parting.is_given_up() {
            self.leave();
        }
    }
}

impl Stream for Hold {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.events.as_mut().poll_next(cx)
    }
}
