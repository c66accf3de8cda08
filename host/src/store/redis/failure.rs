//! What an error of the client library means: whether the command may have been done, and whether to
//! try again.

use holdfast_redis_rules::refusal::Again;
use redis::{ErrorKind, RedisError};

/// What is known of a command that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The server refused it and changed nothing.
    Refused(Again),
    /// It may have been sent, and its reply is lost.
    Lost,
}

pub(super) fn verdict(error: &RedisError) -> Verdict {
    match error.kind() {
        ErrorKind::Server(_) | ErrorKind::Extension => {
            Verdict::Refused(Again::after(error.code().unwrap_or_default()))
        }
        _ => Verdict::Lost,
    }
}

/// The error in a few words. It may quote the server, which never repeats a password.
pub(super) fn describe(error: &RedisError) -> String {
    match (error.kind(), error.code()) {
        (ErrorKind::Server(_) | ErrorKind::Extension, Some(code)) => {
            format!("{code} {}", error.detail().unwrap_or_default()).trim_end().to_owned()
        }
        _ if error.is_timeout() => "sending timed out".to_owned(),
        _ if error.is_connection_dropped() => "connection lost".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use redis::make_extension_error;

    use super::*;

    fn server(line: &str) -> RedisError {
        redis::parse_redis_value(format!("-{line}\r\n").as_bytes())
            .and_then(redis::Value::extract_error)
            .unwrap_err()
    }

    #[test]
    fn refusals_changed_nothing() {
        for (line, again) in [
            ("LOADING Redis is loading the dataset in memory", Again::Later),
            ("READONLY You can't write against a read only replica.", Again::Elsewhere),
            ("NOSCRIPT x", Again::InFull),
            ("WRONGPASS invalid username-password pair", Again::No),
            ("ERR x", Again::No),
        ] {
            assert_eq!(verdict(&server(line)), Verdict::Refused(again), "{line}");
            assert_eq!(describe(&server(line)), line);
        }
        let bare = make_extension_error("MISCONF".to_owned(), None);
        assert_eq!(describe(&bare), "MISCONF");
    }

    #[test]
    fn anything_else_may_have_happened() {
        for (error, words) in [
            (RedisError::from(io::Error::from(io::ErrorKind::BrokenPipe)), "connection lost"),
            (RedisError::from(io::Error::from(io::ErrorKind::TimedOut)), "sending timed out"),
            (RedisError::from((ErrorKind::Parse, "nonsense")), "nonsense - Parse"),
        ] {
            assert_eq!(verdict(&error), Verdict::Lost);
            assert_eq!(describe(&error), words);
        }
    }
}
