//! Durations as a component file writes them: Go's form, or a bare number of milliseconds.
//!
//! The crates that read Go's form are either no longer kept or read a wider one, in which a
//! component file could say what daprd refuses.

use std::time::Duration;

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
    if let Ok(milliseconds) = text.parse::<u64>() {
        return within_go(u128::from(milliseconds) * 1_000_000);
    }
    within_go(nanoseconds(text.strip_prefix('+').unwrap_or(text))?)
}

fn within_go(nanoseconds: u128) -> Option<Span> {
    let nanoseconds = i64::try_from(nanoseconds).ok()?;
    Some(Span::Of(Duration::from_nanos(nanoseconds.unsigned_abs())))
}

fn nanoseconds(mut text: &str) -> Option<u128> {
    if text.is_empty() {
        return None;
    }
    let mut total = 0u128;
    while !text.is_empty() {
        let number_ends = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, rest) = text.split_at(number_ends);
        let unit_ends = rest
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(rest.len());
        let (unit, rest) = rest.split_at(unit_ends);
        total = total.checked_add(scale(number, unit_in_nanoseconds(unit)?)?)?;
        text = rest;
    }
    Some(total)
}

fn unit_in_nanoseconds(unit: &str) -> Option<u128> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

fn scale(number: &str, unit: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let whole: u128 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    // Digits beyond the 18th are below a nanosecond even for hours.
    let fraction = &fraction[..fraction.len().min(18)];
    let parts: u128 = if fraction.is_empty() {
        0
    } else {
        fraction.parse().ok()?
    };
    let denominator = 10u128.pow(u32::try_from(fraction.len()).ok()?);
    whole
        .checked_mul(unit)?
        .checked_add(parts * unit / denominator)
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
            (".5s", ms(500)),
            ("1.s", ms(1_000)),
            ("300ms", ms(300)),
            ("+2s", ms(2_000)),
            ("0", ms(0)),
            ("250", ms(250)),
            (" 250 ", ms(250)),
            ("-1", Some(Span::Off)),
            ("1us", Some(Span::Of(Duration::from_micros(1)))),
            ("1µs", Some(Span::Of(Duration::from_micros(1)))),
            ("1h1ns", Some(Span::Of(Duration::new(3600, 1)))),
        ] {
            assert_eq!(parse(text), expected, "{text:?}");
        }
    }

    #[test]
    fn refuses_what_go_refuses() {
        for text in [
            "",
            "s",
            ".s",
            "5 s",
            "1.2.3s",
            "5d",
            "5S",
            "-5s",
            "-2",
            "1e3s",
            "1m 30s",
            "9223372036854775807h",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC*") {
            parse(&text);
        }

        #[test]
        fn never_panics_near_the_form(text in "[-+]?([0-9]{0,20}\\.?[0-9]{0,40}(ns|us|µs|ms|s|m|h|x)){0,4}") {
            parse(&text);
        }

        #[test]
        fn sums_its_parts(h in 0u64..1000, m in 0u64..1000, s in 0u64..1000, milli in 0u64..1000) {
            prop_assert_eq!(
                parse(&format!("{h}h{m}m{s}s{milli}ms")),
                ms(h * 3_600_000 + m * 60_000 + s * 1_000 + milli)
            );
        }

        #[test]
        fn a_fraction_is_exact_to_the_nanosecond(nanos in 0u64..10_000_000_000) {
            let text = format!("{}.{:09}s", nanos / 1_000_000_000, nanos % 1_000_000_000);
            prop_assert_eq!(parse(&text), Some(Span::Of(Duration::from_nanos(nanos))));
        }
    }
}
