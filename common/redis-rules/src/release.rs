//! Releases a lock if the owner holds it, by the script `release.lua`, or gives back one grant, by `give_back.lua`.

use crate::{
    reply::{Nonsense, Reply},
    resp::decimal,
};

/// The script. Redis runs it as one atomic step.
pub const RELEASE_LUA: &str = include_str!("release.lua");

/// The script that gives back one grant. It is sent in full, because it is rare.
pub const GIVE_BACK_LUA: &str = include_str!("give_back.lua");

/// Passes the words that give back the grant with this expiry, in milliseconds since 1970, to `send`.
pub fn give_back<T>(key: &str, owner: &str, expiry: u64, send: impl FnOnce(&[&str]) -> T) -> T {
    let mut digits = [0; 20];
    send(&["EVAL", GIVE_BACK_LUA, "1", key, owner, decimal(expiry, &mut digits)])
}

/// The words that make the server remember the script. It answers with the script's digest.
pub const LOAD_RELEASE: [&str; 3] = ["SCRIPT", "LOAD", RELEASE_LUA];

/// The command.
#[derive(Clone, Copy)]
pub struct Release<'a> {
    /// The lock's key.
    pub key: &'a str,
    /// The value that the key must have.
    pub owner: &'a str,
}

/// How a script is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// By its digest, which the server may not know.
    Short,
    /// In full.
    Full,
}

/// The outcome of a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Released {
    /// The key had the owner's value and is gone.
    Released,
    /// The key is not set.
    Missing,
    /// The key has another owner's value and was left alone.
    HeldByOther,
}

impl<'a> Release<'a> {
    /// The words to send for a server that knows the script by `digest`.
    pub fn short(self, digest: &'a str) -> [&'a str; 5] {
        ["EVALSHA", digest, "1", self.key, self.owner]
    }

    /// The words to send for any server.
    pub fn full(self) -> [&'a str; 5] {
        ["EVAL", RELEASE_LUA, "1", self.key, self.owner]
    }
}

impl Released {
    /// Reads the reply to [`Release`].
    ///
    /// # Errors
    ///
    /// [`Nonsense`] for a reply that the script does not give.
    pub fn read(reply: &Reply) -> Result<Self, Nonsense> {
        match reply {
            Reply::Integer(1) => Ok(Self::Released),
            Reply::Integer(-1) => Ok(Self::Missing),
            Reply::Integer(-2) => Ok(Self::HeldByOther),
            _ => Err(Nonsense),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_have_one_key_and_one_argument() {
        let release = Release { key: "k", owner: "o" };
        assert_eq!(release.short("abc"), ["EVALSHA", "abc", "1", "k", "o"]);
        assert_eq!(release.full(), ["EVAL", RELEASE_LUA, "1", "k", "o"]);
    }

    #[test]
    fn the_scripts_numbers_have_their_meaning() {
        for (reply, expected) in [
            (Reply::Integer(1), Ok(Released::Released)),
            (Reply::Integer(-1), Ok(Released::Missing)),
            (Reply::Integer(-2), Ok(Released::HeldByOther)),
            (Reply::Integer(0), Err(Nonsense)),
            (Reply::Integer(-3), Err(Nonsense)),
            (Reply::Okay, Err(Nonsense)),
            (Reply::Nil, Err(Nonsense)),
        ] {
            assert_eq!(Released::read(&reply), expected, "{reply:?}");
        }
    }
}
