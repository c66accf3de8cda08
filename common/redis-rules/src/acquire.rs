//! Takes a lock unless it is held: `SET key owner NX PX milliseconds`.

use alloc::string::{String, ToString};

use crate::reply::{Nonsense, Reply};

/// The command.
pub struct Acquire<'a> {
    key: &'a str,
    owner: &'a str,
    milliseconds: String,
}

/// The outcome of an acquire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acquired {
    /// The key was free and has the owner's value now.
    Granted,
    /// The key is set, by this owner or another.
    Held,
}

impl<'a> Acquire<'a> {
    /// Sets `key` to `owner` for `milliseconds`.
    pub fn new(key: &'a str, owner: &'a str, milliseconds: u64) -> Self {
        Self { key, owner, milliseconds: milliseconds.to_string() }
    }

    /// The words to send.
    pub fn words(&self) -> [&str; 6] {
        ["SET", self.key, self.owner, "NX", "PX", &self.milliseconds]
    }
}

impl Acquired {
    /// Reads the reply to [`Acquire`].
    ///
    /// # Errors
    ///
    /// [`Nonsense`] for a reply that `SET` cannot have. An error line is one of these: its meaning is
    /// [`Again::after`](crate::refusal::Again::after)'s to tell.
    pub fn read(reply: &Reply) -> Result<Self, Nonsense> {
        match reply {
            Reply::Okay => Ok(Self::Granted),
            Reply::Nil => Ok(Self::Held),
            _ => Err(Nonsense),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_in_redis_order() {
        let acquire = Acquire::new("lock||k", "o w", u64::MAX);
        let expected = ["SET", "lock||k", "o w", "NX", "PX", "18446744073709551615"];
        assert_eq!(acquire.words(), expected);
    }

    #[test]
    fn only_ok_is_a_grant() {
        for (reply, expected) in [
            (Reply::Okay, Ok(Acquired::Granted)),
            (Reply::Nil, Ok(Acquired::Held)),
            (Reply::Status, Err(Nonsense)),
            (Reply::Integer(1), Err(Nonsense)),
            (Reply::Text("OK".into()), Err(Nonsense)),
            (Reply::Error("ERR no".into()), Err(Nonsense)),
        ] {
            assert_eq!(Acquired::read(&reply), expected, "{reply:?}");
        }
    }
}
