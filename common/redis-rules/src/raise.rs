//! Raises a resource's latest fencing token to the token that another server gave, by the script `raise.lua`, so that
//! later grants have larger tokens on this server as well.

use crate::{
    fence::TOKEN_KEPT,
    reply::{Nonsense, Reply},
    resp::decimal,
};

/// The script. It is sent in full: Redis compiles it once, and a lost script needs no second try.
pub const RAISE_LUA: &str = include_str!("raise.lua");

/// Passes the words of the command to `send`. `token_key` is the [key](crate::fence::token_key) of the resource's
/// latest fencing token.
pub fn words<T>(token_key: &str, at_least: u64, send: impl FnOnce(&[&str]) -> T) -> T {
    let (mut digits, mut kept) = ([0; 20], [0; 20]);
    let number = decimal(at_least, &mut digits);
    send(&["EVAL", RAISE_LUA, "1", token_key, number, decimal(TOKEN_KEPT, &mut kept)])
}

/// Reads the reply to a command for `at_least`.
///
/// # Errors
///
/// [`Nonsense`] for a reply that the script does not give.
pub fn read(reply: &Reply, at_least: u64) -> Result<(), Nonsense> {
    match reply {
        Reply::Integer(number) if u64::try_from(*number).is_ok_and(|it| it >= at_least) => Ok(()),
        _ => Err(Nonsense),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_in_the_scripts_order() {
        words("n", 17, |words| {
            assert_eq!(words, ["EVAL", RAISE_LUA, "1", "n", "17", "2592000000"]);
        });
    }

    #[test]
    fn only_a_number_that_is_large_enough_is_believed() {
        for (reply, expected) in [
            (Reply::Integer(17), Ok(())),
            (Reply::Integer(18), Ok(())),
            (Reply::Integer(16), Err(Nonsense)),
            (Reply::Integer(-1), Err(Nonsense)),
            (Reply::Nil, Err(Nonsense)),
            (Reply::Okay, Err(Nonsense)),
        ] {
            assert_eq!(read(&reply, 17), expected, "{reply:?}");
        }
    }
}
