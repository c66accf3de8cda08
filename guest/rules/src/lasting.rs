//! hold and await-loss: the calls that last as long as their responses. They are not verbs of the contract: a server
//! makes them of an acquire and an inspect, and checks here what these do not check.

use crate::{
    acquire::{self, AcquireTerms},
    check, message,
    scope::Choice,
    types::{Error, Verb},
};

/// Checks the time that a hold lasts at most, in milliseconds. The acquire of the hold makes all other checks.
///
/// # Errors
///
/// If the time is 0, or above [`MAX_TIME`](crate::MAX_TIME): the first check that fails, in the order of an acquire; this
/// one comes last.
pub fn check_hold(
    store: Choice<'_>,
    resource_id: &str,
    owner_is_empty: bool,
    terms: AcquireTerms,
    max_hold: Option<u64>,
) -> Result<(), Error> {
    let refusal = match max_hold {
        None => return Ok(()),
        // The lock would be taken for its whole time to live, and nobody would hold it.
        Some(0) => Error::MalformedRequest(message::max_hold_not_positive(store.name())),
        Some(longest) => match check::is_in_range(store, "maxHold", longest) {
            Ok(()) => return Ok(()),
            Err(too_long) => too_long,
        },
    };
    acquire::begin(store, resource_id, owner_is_empty, terms)?;
    Err(refusal)
}

/// Checks the owner of an await-loss, and its wait, in milliseconds. The inspect of the await-loss makes all other checks.
///
/// # Errors
///
/// If the owner is empty, or the wait is above [`MAX_TIME`](crate::MAX_TIME): the first check that fails, in the order
/// of an unlock; that of the wait comes last.
pub fn check_await_loss(
    store: Choice<'_>,
    resource_id: &str,
    has_owner: bool,
    wait: u64,
) -> Result<(), Error> {
    let in_range = check::is_in_range(store, "wait", wait);
    if has_owner && in_range.is_ok() {
        return Ok(());
    }
    check::key(Verb::Inspect, store, resource_id, has_owner)?;
    in_range
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MAX_TIME, scope::Scope};

    const TOO_LONG: u64 = MAX_TIME + 1;
    const TERMS: AcquireTerms = AcquireTerms { ttl: 1, wait: 0, fenced: false };

    #[test]
    fn a_hold_has_the_checks_of_an_acquire_before_its_own() {
        let (none, some) = (Scope::of_names([]), Scope::of_names(["s".into()]));
        let no_ttl = AcquireTerms { ttl: 0, ..TERMS };
        let long_ttl = AcquireTerms { ttl: u64::MAX, ..TERMS };
        let long_wait = AcquireTerms { wait: u64::MAX, ..TERMS };
        for (scope, store, id, owner_is_empty, terms, refusal) in [
            (&none, "x", "", true, no_ttl, "ttl is not positive in lock store x"),
            (&none, "x", "", true, TERMS, "lock store is not configured"),
            (&some, "x", "", true, TERMS, "ResourceId is empty in lock store x"),
            (&some, "x", "a||b", true, TERMS, "LockOwner is empty in lock store x"),
            (&some, "x", "a||b", false, TERMS, "lock store x not found"),
            (
                &some,
                "s",
                "a||b",
                false,
                long_ttl,
                "failed to acquire lease: input key/keyPrefix 'a||b' can't contain '||'",
            ),
            (&some, "s", "r", false, long_ttl, "ttl is above 2147483647 s in lock store s"),
            (&some, "s", "r", false, long_wait, "wait is above 2147483647 s in lock store s"),
            (&some, "s", "r", false, TERMS, "maxHold is above 2147483647 s in lock store s"),
        ] {
            let check =
                |max_hold| check_hold(scope.named(store), id, owner_is_empty, terms, max_hold);
            assert_eq!(check(Some(TOO_LONG)).unwrap_err().message(), refusal);
            // The acquire refuses the rest.
            assert_eq!((check(Some(MAX_TIME)), check(None)), (Ok(()), Ok(())), "{refusal}");
        }
        let zero = check_hold(some.named("s"), "r", false, TERMS, Some(0));
        assert_eq!(zero.unwrap_err().message(), "maxHold is not positive in lock store s");
        let zero = check_hold(some.named("s"), "", false, TERMS, Some(0));
        assert_eq!(zero.unwrap_err().message(), "ResourceId is empty in lock store s");
    }

    #[test]
    fn an_await_loss_has_the_checks_of_an_unlock_before_its_own() {
        let (none, some) = (Scope::of_names([]), Scope::of_names(["s".into()]));
        for (scope, store, id, has_owner, refusal) in [
            (&none, "x", "", false, "lock store is not configured"),
            (&some, "x", "", false, "ResourceId is empty in lock store x"),
            (&some, "x", "a||b", false, "LockOwner is empty in lock store x"),
            (&some, "x", "a||b", true, "lock store x not found"),
            (
                &some,
                "s",
                "a||b",
                true,
                "failed to inspect lock: input key/keyPrefix 'a||b' can't contain '||'",
            ),
            (&some, "s", "r", true, "wait is above 2147483647 s in lock store s"),
        ] {
            let check = |wait| check_await_loss(scope.named(store), id, has_owner, wait);
            assert_eq!(check(TOO_LONG).unwrap_err().message(), refusal);
            // The inspect refuses the rest, but knows no owner.
            let expected = if has_owner { None } else { Some(refusal) };
            let in_time = check(MAX_TIME);
            assert_eq!(in_time.as_ref().err().map(Error::message), expected);
        }
    }
}
