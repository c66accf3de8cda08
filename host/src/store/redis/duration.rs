//! Durations as a component file writes them: Go's form, or a bare number of milliseconds.

use core::time::Duration;

use crate::duration::parse_go_duration;

/// What a duration setting says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Span {
    /// `-1`: what the setting bounds has no bound.
    Off,
    /// Anything else, zero included.
    Of(Duration),
}

/// Reads `-1`, a whole number of milliseconds, or Go's form such as `1m30s` or `1.5s`. `None`
/// for anything else, for what is negative, and for what Go's 64 bits of nanoseconds cannot hold.
pub(super) fn parse(text: &str) -> Option<Span> {
    let text = text.trim();
    if text == "-1" {
        return Some(Span::Off);
    }
    let nanoseconds = match text.parse::<u64>() {
        Ok(milliseconds) => i64::try_from(milliseconds).ok()?.checked_mul(1_000_000)?,
        Err(_) => parse_go_duration(text)?,
    };
    Some(Span::Of(Duration::from_nanos(u64::try_from(nanoseconds).ok()?)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(milliseconds: u64) -> Option<Span> {
        Some(Span::Of(Duration::from_millis(milliseconds)))
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
            ("-1", Some(Span::Off)),
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
