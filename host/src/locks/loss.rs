//! Detects the loss of a lock: the store reports the holder, and each change of the holder.

use std::{future::pending, time::Duration};

use tokio::time::{Instant, sleep};

use super::{
    handle::{Locks, Resource},
    pace::Pace,
    renewal::Lost,
};
use crate::{
    error::Error,
    store::{Watched, retrying},
};

/// A store may cut a longer owner after about this many bytes.
const MAX_REPORTED_OWNER_BYTES: usize = 4_096;

/// How long to wait before trying to watch again.
const WATCH_PAUSE: Duration = Duration::from_secs(1);

impl Locks {
    /// Waits until an owner no longer holds a lock, for at most `wait`. Returns `None` if the owner still holds it
    /// then.
    ///
    /// This is for owners that renew the lock by [`extend`](Self::extend); [`keep`](Self::keep) detects a loss by
    /// itself. If the store [does not notify](crate::store::Store::watch) of changes, the wait goes on after a loss.
    ///
    /// # Errors
    ///
    /// Those of [`inspect`](Self::inspect). A failure of the store ends the wait. A policy does not retry after `wait`.
    pub async fn await_loss(
        &self,
        resource: Resource<'_>,
        owner: &str,
        wait: Duration,
    ) -> Result<Option<Lost>, Error> {
        let over = sleep(wait);
        tokio::pin!(over);
        let mut pace = Pace::default();
        loop {
            match retrying::until(over.as_mut(), self.inspect(resource)).await? {
                None => return Ok(Some(Lost::Gone)),
                Some(holding) if !is_same_owner(&holding.owner, owner) => {
                    return Ok(Some(Lost::HeldByOther));
                }
                Some(_) => {}
            }
            tokio::select! {
                biased;
                () = &mut over => return Ok(None),
                () = self.wait_for_doubt(resource, owner, None, &mut pace) => {}
            }
        }
    }

    /// Waits until the store reports that the owner may have lost the lock, or that the lock expires before `end`, if
    /// there is one. Never returns if the store cannot report changes.
    pub(super) async fn wait_for_doubt(
        &self,
        resource: Resource<'_>,
        owner: &str,
        end: Option<Instant>,
        pace: &mut Pace,
    ) {
        loop {
            match self.watch(resource).await {
                Some(Watched { holding: Some(holding), changed }) => {
                    let left = holding.time_left();
                    let expiry = left.and_then(|left| Instant::now().checked_add(left));
                    let is_shorter = expiry.zip(end).is_some_and(|(expiry, end)| expiry < end);
                    if is_shorter || !is_same_owner(&holding.owner, owner) {
                        return pace.rest().await;
                    }
                    let expired = async {
                        match left {
                            Some(left) => sleep(left).await,
                            None => pending().await,
                        }
                    };
                    tokio::select! {
                        () = changed => {}
                        () = expired => {}
                    }
                    pace.rest().await;
                }
                Some(Watched { holding: None, .. }) => return pace.rest().await,
                None => sleep(WATCH_PAUSE).await,
            }
        }
    }
}

/// Whether a store's report names this owner of a lock that we hold. The store may cut a long owner in the middle of a
/// character.
fn is_same_owner(reported: &str, ours: &str) -> bool {
    if reported == ours {
        return true;
    }
    let whole = reported.trim_end_matches(char::REPLACEMENT_CHARACTER);
    ours.len() > MAX_REPORTED_OWNER_BYTES
        && whole.len() + 4 > MAX_REPORTED_OWNER_BYTES
        && ours.starts_with(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_known_by_all_that_a_store_tells_of_it() {
        let long = format!("a{}", "\u{e9}".repeat(4_000));
        let cut =
            String::from_utf8_lossy(&long.as_bytes()[..MAX_REPORTED_OWNER_BYTES]).into_owned();
        let other = format!("b{}", &cut[1..]);
        for (reported, ours, same) in [
            ("abc", "abc", true),
            ("ab", "abc", false),
            ("", "abc", false),
            ("abcd", "abc", false),
            (&cut, &long, true),
            (&other, &long, false),
            (&long[..101], &long, false),
        ] {
            assert_eq!(is_same_owner(reported, ours), same, "{reported:.10} {ours:.10}");
        }
    }
}
