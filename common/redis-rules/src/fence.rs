//! Gives a grant its fencing token, by the script `fenced.lua`.
//!
//! A resource's latest fencing token is kept beside its lock, under a [key of its own](token_key).

use alloc::{format, string::String};

use crate::{
    expiry::Expiry,
    resp::decimal,
    slot::{SLOTS, slot_of, tag},
};

/// The script. It is sent in full: Redis compiles it once, and a lost script needs no second try.
pub const FENCED_LUA: &str = include_str!("fenced.lua");

/// How long a fencing token is kept after its lock has expired, in milliseconds: 30 days. A token after a forgotten one
/// is larger still, unless the server's clock was set back meanwhile.
pub(crate) const TOKEN_KEPT: u64 = 30 * 24 * 3_600 * 1_000;

/// An acquire whose grant gets a fencing token.
#[derive(Clone, Copy, Debug)]
pub struct Fenced<'a> {
    /// The lock's key.
    pub key: &'a str,
    /// The key of the resource's latest fencing token.
    pub token_key: &'a str,
    /// The value to set.
    pub owner: &'a str,
    /// The time to live in milliseconds.
    pub ttl: u64,
}

/// Passes the words of the command to `send`.
pub fn words<T>(fenced: Fenced<'_>, expiry: Expiry, send: impl FnOnce(&[&str]) -> T) -> T {
    let Fenced { key, token_key, owner, ttl } = fenced;
    let (option, milliseconds) = expiry.option();
    let (mut digits, mut kept) = ([0; 20], [0; 20]);
    send(&[
        "EVAL",
        FENCED_LUA,
        "2",
        key,
        token_key,
        owner,
        option,
        decimal(milliseconds, &mut digits),
        decimal(ttl.saturating_add(TOKEN_KEPT), &mut kept),
    ])
}

/// The key of a resource's latest fencing token. It begins as all keys of locks do, so that a user who may write these
/// may write it. No lock has this key, because no resource contains `||`. In a Redis Cluster it is in the lock's slot.
pub fn token_key(key: &str) -> String {
    if tag(key).is_some() {
        // Redis takes the first tag, which is the key's own.
        return format!("lock||fence||{key}");
    }
    if !key.contains(['{', '}']) {
        return format!("lock||fence||{{{key}}}");
    }
    // The key cannot be a tag as it is. Some number has the slot: each has it with a probability of 1 in 16,384.
    let slot = slot_of(key.as_bytes());
    let mut digits = [0; 20];
    let number = (0..u64::from(SLOTS) * 64)
        .find(|number| slot_of(decimal(*number, &mut digits).as_bytes()) == slot)
        .unwrap_or_default();
    format!("lock||fence||{{{number}}}{key}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slot::slot;

    #[test]
    fn a_token_is_in_the_slot_of_its_lock() {
        for resource in
            ["order-17", "{a}b", "a{b}c{d}", "a}b", "a{b", "{}a", "a{}{b}", "}{", "{{a}}"]
        {
            let key = format!("lock||app||{resource}");
            let token_key = token_key(&key);
            assert_eq!(slot(&token_key), slot(&key), "{token_key}");
            assert!(token_key.starts_with("lock||fence||"), "{token_key}");
        }
    }

    #[test]
    fn the_words_are_in_the_scripts_order() {
        let fenced = Fenced { key: "k", token_key: "n", owner: "o", ttl: 1_000 };
        words(fenced, Expiry::At(7), |words| {
            assert_eq!(words, ["EVAL", FENCED_LUA, "2", "k", "n", "o", "PXAT", "7", "2592001000"]);
        });
    }
}
