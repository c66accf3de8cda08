//! Takes a lease: the tries, the waits between them, and the check of a grant.

use std::time::Duration;

use holdfast_rules::message;
use holdfast_timing::milliseconds;
use tokio::time::{Instant, sleep};

use super::{
    admission::{Turn, Waiting},
    calls::Call,
    drive::{Question, Shared, release_unused},
    result::{ErrorKind, Ordinary},
    store::NamedStore,
    wait::{NextMove, PlaceInLine},
};
use crate::{
    error::Error,
    store::{Acquired, Failure, Grant, retrying},
    types::{AcquireStep, Answer, Form, Lease, Outcome},
};

/// Why a grant cannot be used as a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum UnusableGrant {
    /// The time of the grant is over.
    #[error("{}", message::RAN_OUT)]
    RanOut,
    /// The store granted without the requested fencing token.
    #[error("{}", message::NO_FENCING_TOKEN)]
    NoFencingToken,
}

/// How a try ended: with a lease, with `None` because the lock is held, or with a failure.
pub(super) type TryResult = Result<Option<Lease>, Failure>;

impl Shared {
    /// Takes a lease, waits for it if the step says so, and answers.
    pub(super) async fn answer_acquire<'s>(
        &'s self,
        call: &mut Call<'_>,
        turn: Turn<'s>,
        question: Question,
        store: &NamedStore,
        step: AcquireStep,
        owner: String,
    ) -> Result<Answer, Error> {
        let outcome = self.acquire_lease(call, turn, store, &step, &owner).await?;
        match (outcome, question.form) {
            (Ok(lease), Form::Typed) => Ok(Answer::Acquire(lease)),
            (Ok(lease), Form::Json) => {
                let answer = self.answer(question, Outcome::Leased(lease.as_ref()));
                if let (Some(_), Err(_)) = (&lease, &answer) {
                    release_unused(store, &step.key, &owner).await;
                }
                answer
            }
            (Err(failure), _) => self.answer(question, Outcome::Failed(&failure.naming(&owner))),
        }
    }

    /// Takes a lease, and waits for it if the step says so.
    pub(super) async fn acquire_lease<'s>(
        &'s self,
        call: &mut Call<'_>,
        turn: Turn<'s>,
        store: &NamedStore,
        step: &AcquireStep,
        owner: &str,
    ) -> Result<TryResult, Error> {
        if step.wait == 0 {
            return Ok(attempt(call, store, step, owner).await);
        }
        let counted = match self.admission.lock_wait() {
            Ok(counted) => counted,
            Err(full) if store.waits.has_line(&step.key) => return Err(full),
            // The lock may be free, and calls that wait for others are no reason to refuse it.
            Err(full) => {
                let over = sleep(Duration::from_millis(step.wait));
                return match retrying::until(over, attempt(call, store, step, owner)).await {
                    Ok(None) => Err(full),
                    tried => Ok(tried),
                };
            }
        };
        // A call that waits for a lock does not keep other calls from their turn.
        drop(turn);
        self.wait(call, counted, store, step, owner).await
    }

    /// Stands in line for the lock, and tries to take it when the caller is the first and the lock may be free. A try
    /// that is at the store is never cut off, because its outcome would be unknown.
    async fn wait(
        &self,
        call: &mut Call<'_>,
        _counted: Waiting<'_>,
        store: &NamedStore,
        step: &AcquireStep,
        owner: &str,
    ) -> Result<TryResult, Error> {
        // If the caller leaves before an outcome, the call counts as cancelled.
        call.set_result(ErrorKind::Cancelled);
        let place = store.waits.join(&step.key, Duration::from_millis(step.wait));
        let Some(mut first) = place.first().await else {
            if place.is_watched() {
                return not_free(call, &place);
            }
            return match self.try_in_turn(call, store, step, owner, &place).await {
                Ok(Ok(None)) => not_free(call, &place),
                tried => {
                    if let Ok(Ok(Some(_))) = tried {
                        place.acquired();
                    }
                    tried
                }
            };
        };
        let mut next = match first.begins_with_a_try() {
            true => NextMove::Try,
            false => first.next(&*store.store).await,
        };
        let mut tried_before = false;
        while next != NextMove::Leave {
            match self.try_in_turn(call, store, step, owner, &place).await {
                Ok(Ok(None)) => {}
                // The call may get a turn later.
                Err(Error::Overloaded { .. }) if tried_before => {}
                ended => {
                    if let Ok(Ok(Some(_))) = ended {
                        first.acquired();
                    }
                    return ended;
                }
            }
            tried_before = true;
            call.set_result(ErrorKind::Cancelled);
            next = first.next(&*store.store).await;
        }
        not_free(call, &place)
    }

    /// Tries once when the call has its turn. A policy of the store may try again, until the wait is over.
    async fn try_in_turn(
        &self,
        call: &mut Call<'_>,
        store: &NamedStore,
        step: &AcquireStep,
        owner: &str,
        place: &PlaceInLine<'_>,
    ) -> Result<TryResult, Error> {
        let _turn = self.admission.turn().await?;
        Ok(retrying::until(place.over(), attempt(call, store, step, owner)).await)
    }
}

/// The end of a wait that brought neither the lock nor a failure.
fn not_free(call: &mut Call<'_>, place: &PlaceInLine<'_>) -> Result<TryResult, Error> {
    if place.is_ended() {
        return Err(Error::WaitsEnded);
    }
    call.set_result(Ordinary::Held);
    Ok(Ok(None))
}

/// Tries once.
async fn attempt(
    call: &mut Call<'_>,
    store: &NamedStore,
    step: &AcquireStep,
    owner: &str,
) -> TryResult {
    let ttl = Duration::from_millis(step.ttl);
    let begun = Instant::now();
    let (outcome, now) = store.acquire(call, &step.key, owner, ttl, step.fenced).await;
    let Acquired::Granted(grant) = outcome? else { return Ok(None) };
    let fenced = step.fenced || store.fencing;
    match check_grant(grant, fenced, ttl.saturating_sub(now - begun)) {
        Ok((fencing_token, valid_for)) => {
            store.metrics.holds.begin(&step.key, owner, now, Duration::from_millis(valid_for));
            Ok(Some(Lease { owner: owner.to_owned(), fencing_token, valid_for }))
        }
        Err(unusable) => {
            call.set_result(ErrorKind::StoreFailed);
            // An expired grant needs no release, which could end a newer lock of the same owner.
            if unusable == UnusableGrant::NoFencingToken {
                release_unused(store, &step.key, owner).await;
            }
            Err(Failure::not_done(unusable.to_string()))
        }
    }
}

/// The fencing token of a grant, and for how many milliseconds the grant is valid. `left` is the rest of the time to
/// live.
fn check_grant(
    grant: Grant,
    fenced: bool,
    left: Duration,
) -> Result<(Option<u64>, u64), UnusableGrant> {
    let Grant { fencing_token, valid_for } = grant;
    match (fencing_token, valid_for.unwrap_or(milliseconds(left))) {
        (_, 0) => Err(UnusableGrant::RanOut),
        (None, _) if fenced => Err(UnusableGrant::NoFencingToken),
        (token, valid_for) => Ok((token.filter(|_| fenced), valid_for)),
    }
}
