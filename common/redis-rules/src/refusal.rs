//! What an error reply means: the command did nothing, and another try may or may not help.

/// Whether a refused command is worth sending again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// No.
    No,
    /// At once, with the script itself in place of its digest.
    InFull,
    /// After a wait, on any connection.
    Later,
    /// After a wait, on a new connection. This one leads to a server that was demoted, or is not
    /// logged in any more.
    Elsewhere,
}

impl Again {
    /// Reads an error line, without its leading `-`. The first word, the error's code, decides.
    pub fn after(error: &str) -> Self {
        match error.split(' ').next().unwrap_or_default() {
            "LOADING" | "TRYAGAIN" | "CLUSTERDOWN" | "MASTERDOWN" => Self::Later,
            "NOSCRIPT" => Self::InFull,
            "READONLY" | "NOAUTH" => Self::Elsewhere,
            _ => Self::No,
        }
    }
}

/// Whether a server that refuses a connection with this error line may accept one later.
pub fn may_pass(error: &str) -> bool {
    // A server that is full says so with the code of any other error.
    Again::after(error) != Again::No || error.contains("max number of clients")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_decides_about_another_try() {
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
            ("LOADING", Again::Later),
            ("", Again::No),
        ] {
            assert_eq!(Again::after(error), expected, "{error}");
            assert_eq!(may_pass(error), expected != Again::No, "{error}");
        }
    }

    #[test]
    fn a_full_server_may_have_room_later() {
        assert!(may_pass("ERR max number of clients reached"));
    }
}
