//! Takes a lock unless it is held: `SET key owner NX` with an expiry.

use core::time::Duration;

use holdfast_timing::milliseconds;

use crate::{
    expiry::Expiry,
    fence::{self, Fenced},
    reply::{Nonsense, Reply},
    resp::decimal,
};

/// The outcome of an acquire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acquired {
    /// The key was free and was set to the owner's value. If the time of [`Expiry::At`] is over, the server deleted the
    /// key again at once. Carries the fencing token, if the caller asked for one.
    Granted(Option<u64>),
    /// The key is set, by this owner or another.
    Held,
}

/// A lock that a caller asks for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The lock's key.
    pub key: &'a str,
    /// The value to set.
    pub owner: &'a str,
    /// The time to live.
    pub ttl: Duration,
    /// The [key](crate::fence::token_key) of the resource's latest fencing token, if the grant gets one.
    pub token_key: Option<&'a str>,
}

impl Wanted<'_> {
    /// Passes the words of the command to `send`.
    pub fn words<T>(&self, expiry: Expiry, send: impl FnOnce(&[&str]) -> T) -> T {
        let Self { key, owner, ttl, token_key } = *self;
        if let Some(token_key) = token_key {
            let ttl = milliseconds(ttl);
            return fence::words(Fenced { key, token_key, owner, ttl }, expiry, send);
        }
        let (option, milliseconds) = expiry.option();
        let mut digits = [0; 20];
        send(&["SET", key, owner, "NX", option, decimal(milliseconds, &mut digits)])
    }
}

/// Whether the server refused a command because it does not know [`Expiry::At`].
pub fn expiry_is_unknown(error: &str) -> bool {
    // Redis 6.2 and older report it in the middle of the line if a script set the lock.
    error.starts_with("ERR") && error.contains("ERR syntax error")
}

impl Acquired {
    /// Reads the reply. `fenced` is whether the command asked for a fencing token.
    ///
    /// # Errors
    ///
    /// [`Nonsense`] for a reply that the command cannot have. This includes an error line, which
    /// [`RetryAdvice::after`](crate::refusal::RetryAdvice::after) reads.
    pub fn read(reply: &Reply, fenced: bool) -> Result<Self, Nonsense> {
        match reply {
            Reply::Okay if !fenced => Ok(Self::Granted(None)),
            Reply::Integer(token) if fenced => {
                u64::try_from(*token).map(|token| Self::Granted(Some(token))).map_err(|_| Nonsense)
            }
            Reply::Nil => Ok(Self::Held),
            _ => Err(Nonsense),
        }
    }
}

/// The cause for a caller whose lock has a wrong expiry, because the server's clock was set.
pub const CLOCK_WAS_SET: &str = "the server's clock was set while the lock was taken";

/// The cause for a grant that does not count, because its end is unknown.
pub const CLOCK_LOST: &str = "the server does not report its clock any more";

#[cfg(test)]
mod tests {
    use alloc::{
        string::{String, ToString},
        vec::Vec,
    };

    use super::*;

    fn owned(key: &str, owner: &str, expiry: Expiry) -> Vec<String> {
        let wanted = Wanted { key, owner, ttl: Duration::ZERO, token_key: None };
        wanted.words(expiry, |words| words.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn the_words_are_in_redis_order() {
        let expected = ["SET", "lock||k", "o w", "NX", "PX", "18446744073709551615"];
        assert_eq!(owned("lock||k", "o w", Expiry::After(u64::MAX)), expected);
        let expected = ["SET", "k", "o", "NX", "PXAT", "1700000000000"];
        assert_eq!(owned("k", "o", Expiry::At(1_700_000_000_000)), expected);
    }

    #[test]
    fn only_ok_is_a_grant() {
        for (reply, expected) in [
            (Reply::Okay, Ok(Acquired::Granted(None))),
            (Reply::Nil, Ok(Acquired::Held)),
            (Reply::Status, Err(Nonsense)),
            (Reply::Integer(1), Err(Nonsense)),
            (Reply::Text("OK".into()), Err(Nonsense)),
            (Reply::Error("ERR no".into()), Err(Nonsense)),
        ] {
            assert_eq!(Acquired::read(&reply, false), expected, "{reply:?}");
        }
    }

    #[test]
    fn only_a_number_is_a_grant_with_a_token() {
        for (reply, expected) in [
            (Reply::Integer(5), Ok(Acquired::Granted(Some(5)))),
            (Reply::Nil, Ok(Acquired::Held)),
            (Reply::Integer(-1), Err(Nonsense)),
            (Reply::Okay, Err(Nonsense)),
        ] {
            assert_eq!(Acquired::read(&reply, true), expected, "{reply:?}");
        }
    }
}
