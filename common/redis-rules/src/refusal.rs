//! What an error reply means: the command did nothing, and another try may or may not help. One exception: a proxy
//! whose server does not answer cannot know what the command did.

use alloc::{format, string::String};

use crate::release::Form;

/// Whether to send a refused command again, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryAdvice {
    /// No.
    No,
    /// At once, with the script itself in place of its digest.
    InFull {
        /// Whether the server knows the digest from then on.
        once: bool,
    },
    /// After a wait, on any connection.
    Later,
    /// After a wait, on a new connection: this one leads to a server that was demoted.
    Elsewhere,
}

impl RetryAdvice {
    /// Reads an error line, without its leading `-`. Its [`code`] decides. `form` is how the command
    /// was sent.
    pub fn after(error: &str, form: Form) -> Self {
        match code(error) {
            _ if NOT_REACHED.contains(&error) => Self::Later,
            _ if forbids_command_in_script(error) => Self::No,
            // BUSY: a script of another client runs for too long and blocks the server.
            "BUSY" | "LOADING" | "TRYAGAIN" | "CLUSTERDOWN" | "MASTERDOWN" => Self::Later,
            "NOSCRIPT" => Self::InFull { once: true },
            // A user may have the permission for EVAL alone, and a proxy may know only EVAL.
            "NOPERM" | "ERR" if form == Form::Short => Self::InFull { once: false },
            "READONLY" => Self::Elsewhere,
            _ => Self::No,
        }
    }

    /// Whether the server refuses digests for a lasting reason, so that later scripts are sent in full.
    pub fn ends_digests(self) -> bool {
        self == Self::InFull { once: false }
    }
}

/// The errors of proxies that had no connection to the server: Envoy, and twemproxy.
const NOT_REACHED: [&str; 2] = ["no upstream host", "ERR Connection refused"];

/// The errors of proxies whose server did not answer, or not in time: Envoy, and twemproxy, which uses the words of the
/// C library.
const NO_ANSWER: [&str; 8] = [
    "upstream failure",
    "ERR Broken pipe",
    "ERR Connection reset by peer",
    "ERR Connection timed out",
    "ERR Host is unreachable",
    "ERR No route to host",
    "ERR Operation timed out",
    "ERR unknown",
];

/// Whether the error line comes from a proxy that got no answer. The server may have run the command, or may still run
/// it.
pub fn has_no_answer(error: &str) -> bool {
    NO_ANSWER.contains(&error)
}

/// Whether the server may later answer a question that it refuses with this error line now. A proxy that reaches no
/// server for a question without a key may never answer it.
pub fn may_be_answered_later(error: &str) -> bool {
    let may_pass = matches!(RetryAdvice::after(error, Form::Full), RetryAdvice::Later);
    has_no_answer(error) || may_pass && !NOT_REACHED.contains(&error)
}

/// The code of an error line: its first word, or the first word of the error inside a script's error. Redis before 7
/// wraps the errors of the commands in a script:
/// `ERR Error running script (call to f_…): @user_script:14: @user_script: 14: -READONLY …`.
pub fn code(error: &str) -> &str {
    let inner = match error.strip_prefix("ERR Error running script") {
        Some(wrapped) => wrapped.split(": -").nth(1).unwrap_or(error),
        None => error,
    };
    inner.split(' ').next().unwrap_or_default()
}

/// Whether a cause is an error line of a server, whose code is in capitals, and not an error of the network.
pub fn is_error_line(cause: &str) -> bool {
    let code = code(cause);
    !code.is_empty() && code.bytes().all(|byte| byte.is_ascii_uppercase())
}

/// Whether a connection with this error line is useless for other commands: it leads to a server that was demoted, or
/// is not logged in any more.
pub fn ends_connection(error: &str) -> bool {
    matches!(code(error), "READONLY" | "NOAUTH")
}

/// Why a server refuses a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RefusedLogin {
    /// The client did not log in.
    Missing,
    /// The user or the password is wrong.
    Wrong,
}

/// How the error line refuses the login, if it does.
pub fn refused_login(error: &str) -> Option<RefusedLogin> {
    match code(error) {
        "NOAUTH" => Some(RefusedLogin::Missing),
        "WRONGPASS" => Some(RefusedLogin::Wrong),
        // Redis before 6 has no code for a wrong password.
        _ if error.contains("invalid password") => Some(RefusedLogin::Wrong),
        _ => None,
    }
}

/// Whether a cause says that the user may not use a key. The server's error line may stand alone, or after the name of
/// one of several servers.
pub fn names_forbidden_key(cause: &str) -> bool {
    // An error inside a script begins as it does on the wire.
    cause.split(": ").any(|part| forbids_key(part.trim_start_matches('-')))
}

/// Whether a script runs a command that the user may not run. Redis has a code for this only outside scripts.
fn forbids_command_in_script(error: &str) -> bool {
    code(error) == "ERR" && error.contains("can't run this command or subcommand")
}

/// The error line for an operator, with advice if the line itself does not say what to do.
pub fn with_advice(line: String) -> String {
    match hint(&line) {
        Some(hint) => format!("{line} ({hint})"),
        None => line,
    }
}

fn hint(error: &str) -> Option<&'static str> {
    forbids_command_in_script(error).then_some(
        "the user needs +get +del to release locks, +pexpiretime to give them back, and +get +pttl +pexpire +time for \
         leases",
    )
}

/// Whether the user may not run the command at all. An error about a key may differ for another key.
pub fn forbids_command(error: &str) -> bool {
    forbids_command_in_script(error) || code(error) == "NOPERM" && error.contains("command")
}

/// Whether the user may run the command, but not on this key.
pub fn forbids_key(error: &str) -> bool {
    code(error) == "NOPERM" && !forbids_command(error)
}

/// Whether a server that refuses a connection with this error line may accept one later.
pub fn may_pass(error: &str) -> bool {
    // A full server reports this with the code of any other error.
    matches!(RetryAdvice::after(error, Form::Full), RetryAdvice::Later | RetryAdvice::Elsewhere)
        || error.contains("max number of clients")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_of_the_moment_may_be_answered_later() {
        for (error, later) in [
            ("BUSY Redis is busy running a script.", true),
            ("LOADING Redis is loading the dataset in memory", true),
            ("upstream failure", true),
            ("no upstream host", false),
            ("NOPERM no", false),
            ("ERR unknown command 'INFO'", false),
        ] {
            assert_eq!(may_be_answered_later(error), later, "{error}");
        }
    }

    #[test]
    fn the_code_decides_about_another_try() {
        for (error, expected) in [
            ("LOADING Redis is loading the dataset in memory", RetryAdvice::Later),
            ("TRYAGAIN x", RetryAdvice::Later),
            ("CLUSTERDOWN x", RetryAdvice::Later),
            ("MASTERDOWN x", RetryAdvice::Later),
            ("READONLY You can't write against a read only replica.", RetryAdvice::Elsewhere),
            ("NOAUTH Authentication required.", RetryAdvice::No),
            ("BUSY Redis is busy running a script.", RetryAdvice::Later),
            ("NOSCRIPT x", RetryAdvice::InFull { once: true }),
            ("WRONGPASS invalid username-password pair", RetryAdvice::No),
            ("NOPERM x", RetryAdvice::No),
            ("MISCONF x", RetryAdvice::No),
            ("OOM x", RetryAdvice::No),
            ("NOREPLICAS x", RetryAdvice::No),
            ("WRONGTYPE x", RetryAdvice::No),
            ("MOVED 1 h:2", RetryAdvice::No),
            ("ERR LOADING", RetryAdvice::No),
            ("ERR Error running script without more", RetryAdvice::No),
            ("MISCONF", RetryAdvice::No),
            ("LOADING", RetryAdvice::Later),
            ("", RetryAdvice::No),
        ] {
            assert_eq!(RetryAdvice::after(error, Form::Full), expected, "{error}");
            let later = matches!(expected, RetryAdvice::Later | RetryAdvice::Elsewhere);
            assert_eq!(may_pass(error), later, "{error}");
        }
    }

    #[test]
    fn a_proxy_may_not_know_what_its_server_did() {
        for error in ["upstream failure", "ERR Connection timed out", "ERR unknown"] {
            assert!(has_no_answer(error), "{error}");
        }
        for error in ["no upstream host", "ERR Connection refused", "ERR unknown command 'x'", ""] {
            assert!(!has_no_answer(error), "{error}");
        }
        for form in [Form::Short, Form::Full] {
            assert_eq!(RetryAdvice::after("no upstream host", form), RetryAdvice::Later);
            assert_eq!(RetryAdvice::after("ERR Connection refused", form), RetryAdvice::Later);
        }
    }

    #[test]
    fn a_script_that_cannot_be_named_by_its_digest_is_sent_in_full() {
        for error in [
            "NOSCRIPT No matching script. Please use EVAL.",
            "NOPERM User u has no permissions to run the 'evalsha' command",
            "NOPERM this user has no permissions to run the 'evalsha' command or its subcommand",
            "ERR unknown command 'EVALSHA', with args beginning with: 'x'",
        ] {
            let once = error.starts_with("NOSCRIPT");
            let advice = RetryAdvice::after(error, Form::Short);
            assert_eq!(advice, RetryAdvice::InFull { once }, "{error}");
            assert_eq!(advice.ends_digests(), !once, "{error}");
        }
        assert_eq!(RetryAdvice::after("NOPERM x", Form::Full), RetryAdvice::No);
        assert_eq!(RetryAdvice::after("OOM x", Form::Short), RetryAdvice::No);
    }

    #[test]
    fn a_command_that_a_script_may_not_run_is_named_and_not_tried_again() {
        for error in [
            "ERR The user executing the script can't run this command or subcommand script: 4ac4, on @user_script:1.",
            "ERR Error running script (call to f_4ac4): @user_script:1: @user_script: 1: The user executing the script \
             can't run this command or subcommand",
        ] {
            for form in [Form::Short, Form::Full] {
                assert_eq!(RetryAdvice::after(error, form), RetryAdvice::No, "{error}");
            }
            assert!(forbids_command(error) && !forbids_key(error), "{error}");
            assert!(hint(error).is_some_and(|hint| hint.contains("+del")), "{error}");
        }
        assert_eq!(hint("NOPERM User u has no permissions to run the 'eval' command"), None);
    }

    #[test]
    fn the_code_inside_of_an_error_of_a_script_counts() {
        let wrapped = |inner| {
            alloc::format!(
                "ERR Error running script (call to f_4e6d8fc): @user_script:14: @user_script: 14: {inner}"
            )
        };
        for code in ["READONLY", "OOM", "MISCONF", "NOREPLICAS"] {
            assert_eq!(super::code(&wrapped(alloc::format!("-{code} some words"))), code);
        }
        assert_eq!(super::code(&wrapped("Unknown command".into())), "ERR");
        assert_eq!(super::code("OOM command not allowed"), "OOM");
        let demoted = wrapped("-READONLY You can't write against a read only replica.".into());
        assert_eq!(RetryAdvice::after(&demoted, Form::Short), RetryAdvice::Elsewhere);
        assert!(ends_connection(&demoted) && ends_connection("NOAUTH x"));
        assert!(!ends_connection("NOPERM x"));
    }

    #[test]
    fn a_user_without_the_command_is_told_from_one_without_the_key() {
        assert!(forbids_command("NOPERM User u has no permissions to run the 'eval' command"));
        for error in [
            "NOPERM User u has no permissions to access the 'k' key",
            "NOPERM No permissions to access a key",
            "ERR unknown command",
        ] {
            assert!(!forbids_command(error), "{error}");
            assert_eq!(forbids_key(error), error.starts_with("NOPERM"), "{error}");
            let cause = alloc::format!("redis h:1: {error}");
            assert_eq!(names_forbidden_key(&cause), error.starts_with("NOPERM"), "{error}");
        }
        assert!(!names_forbidden_key("redis h:1: NOPERM User u may not run the 'time' command"));
    }

    #[test]
    fn a_missing_login_is_distinguished_from_a_wrong_one() {
        for (error, refused) in [
            (
                "WRONGPASS invalid username-password pair or user is disabled.",
                Some(RefusedLogin::Wrong),
            ),
            ("ERR invalid password", Some(RefusedLogin::Wrong)),
            ("NOAUTH Authentication required.", Some(RefusedLogin::Missing)),
            ("NOPERM x", None),
            ("connection refused", None),
        ] {
            assert_eq!(refused_login(error), refused, "{error}");
        }
    }

    #[test]
    fn a_full_server_may_have_room_later() {
        assert!(may_pass("ERR max number of clients reached"));
    }
}
