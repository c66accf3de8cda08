//! What an error that the server sent means for a lock: the server did nothing, and another try may or
//! may not make sense.

pub(crate) use crate::again::Again;

/// Reads an error line, without its leading `-`.
pub(crate) fn again(error: &str) -> Again {
    Again::after(error.split(' ').next().unwrap_or_default())
}

/// Whether a server that refuses a connection with this error may take one later.
pub(crate) fn may_pass(error: &str) -> bool {
    // A server that is full says so with the code of any other error.
    again(error) != Again::No || error.contains("max number of clients")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_worth_another_try() {
        for (error, expected) in [
            ("LOADING Redis is loading the dataset in memory", Again::Later),
            ("TRYAGAIN x", Again::Later),
            ("CLUSTERDOWN x", Again::Later),
            ("MASTERDOWN x", Again::Later),
            ("READONLY You can't write against a read only replica.", Again::Elsewhere),
            ("NOAUTH Authentication required.", Again::Elsewhere),
            ("NOSCRIPT x", Again::InFull),
            ("WRONGPASS invalid username-password pair", Again::No),
            ("NOPERM x", Again::No),
            ("MISCONF x", Again::No),
            ("OOM x", Again::No),
            ("NOREPLICAS x", Again::No),
            ("WRONGTYPE x", Again::No),
            ("MOVED 1 h:2", Again::No),
            ("ERR LOADING", Again::No),
            ("MISCONF", Again::No),
            ("", Again::No),
        ] {
            assert_eq!(again(error), expected, "{error}");
            assert_eq!(may_pass(error), expected != Again::No, "{error}");
        }
        assert!(may_pass("ERR max number of clients reached"));
    }
}
