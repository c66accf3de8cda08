//! Durations as a settings file writes them: Go's form, or a bare number of milliseconds.

use core::time::Duration;

use holdfast_timing::go_duration::parse_go_duration;

/// The value of a duration setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// `-1`: no limit.
    Off,
    /// Any other value, zero included.
    Of(Duration),
}

/// Reads `-1`, a whole number of milliseconds, or Go's form such as `1m30s` or `1.5s`.
///
/// Returns `None` for any other text, for a negative duration, and for one that does not fit into
/// 64 bits of nanoseconds, as in Go.
pub fn parse(text: &str) -> Option<Limit> {
    let text = text.trim();
    if text == "-1" {
        return Some(Limit::Off);
    }
    let nanoseconds = match text.parse::<u64>() {
        Ok(milliseconds) => i64::try_from(milliseconds).ok()?.checked_mul(1_000_000)?,
        Err(_) => parse_go_duration(text)?,
    };
    Some(Limit::Of(Duration::from_nanos(u64::try_from(nanoseconds).ok()?)))
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use proptest::prelude::*;

    use super::*;

    fn ms(milliseconds: u64) -> Option<Limit> {
        Some(Limit::Of(Duration::from_millis(milliseconds)))
    }

    #[test]
    fn reads_what_go_reads() {
        for (text, expected) in [
            ("5s", ms(5_000)),
            ("1m30s", ms(90_000)),
            ("1h", ms(3_600_000)),
            ("1.5s", ms(1_500)),
            ("0", ms(0)),
            ("250", ms(250)),
            (" 250 ", ms(250)),
            ("-1", Some(Limit::Off)),
        ] {
            assert_eq!(parse(text), expected, "{text:?}");
        }
    }

    #[test]
    fn refuses_the_rest() {
        for text in ["", "s", "5 s", "5d", "-5s", "-2", "1e3s", "9223372036854775807"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC*") {
            parse(&text);
        }

        #[test]
        fn a_bare_number_is_milliseconds(number in 0..10_000_000_000_u64) {
            prop_assert_eq!(parse(&number.to_string()), ms(number));
        }
    }
}
