//! Durations in the form of Go's `time.ParseDuration`, which Dapr's files use.
//!
//! Own code: the crates for durations accept other units and spellings, and a file must mean the same to Holdfast and
//! to daprd.

/// The units and their nanoseconds. Both of Unicode's mu signs stand for a microsecond.
const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Reads a duration as Go does: an optional sign, then numbers with an optional fraction and a
/// unit each, as in `300ms`, `-1.5h` or `1m30s`; or a bare `0`.
///
/// Returns nanoseconds, or `None` for any other text, such as a bare number or one with white space,
/// and for a duration that does not fit into an `i64`.
pub fn parse_go_duration(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (whole, after) = split_digits(rest);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => split_digits(after),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let unit_end = after.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let (_, unit) = UNITS.into_iter().find(|(name, _)| *name == unit)?;
        let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        total = total
            .checked_add(whole.checked_mul(unit)?)?
            .checked_add(fraction_of(fraction, unit))?;
        rest = after;
    }
    if negative { 0_i64.checked_sub_unsigned(total) } else { i64::try_from(total).ok() }
}

fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

/// The nanoseconds of a fraction. Go computes them in floating point, so that 0.333… of an hour with
/// nineteen threes is 20 minutes, and drops the digits that would overflow.
fn fraction_of(digits: &str, unit: u64) -> u64 {
    let (mut numerator, mut scale) = (0_u64, 1_f64);
    for digit in digits.bytes() {
        let longer =
            numerator.checked_mul(10).and_then(|tens| tens.checked_add(u64::from(digit - b'0')));
        match longer {
            Some(longer) if longer <= 1 << 63 => numerator = longer,
            _ => break,
        }
        scale *= 10.0;
    }
    (numerator as f64 * (unit as f64 / scale)) as u64
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use proptest::prelude::*;

    use super::parse_go_duration;

    const MILLI: i64 = 1_000_000;
    const SECOND: i64 = 1_000 * MILLI;
    const MINUTE: i64 = 60 * SECOND;
    const HOUR: i64 = 60 * MINUTE;

    #[test]
    fn reads_what_go_reads() {
        for (text, nanoseconds) in [
            ("0", 0),
            ("-0", 0),
            ("+0", 0),
            ("0s", 0),
            ("5s", 5 * SECOND),
            ("+5s", 5 * SECOND),
            ("-1.5h", -90 * MINUTE),
            ("1m30s", 90 * SECOND),
            ("30s1m", 90 * SECOND),
            ("2h45m", 2 * HOUR + 45 * MINUTE),
            ("300ms", 300 * MILLI),
            ("10ns", 10),
            ("11us", 11_000),
            ("12\u{b5}s", 12_000),
            ("12\u{3bc}s", 12_000),
            (".5s", 500 * MILLI),
            ("5.s", 5 * SECOND),
            ("1.004s", SECOND + 4 * MILLI),
            ("0.3333333333333333333h", 20 * MINUTE),
            ("0.3333333333333333333333h", 20 * MINUTE),
            ("9223372036854775807ns", i64::MAX),
            ("-9223372036854775808ns", i64::MIN),
        ] {
            assert_eq!(parse_go_duration(text), Some(nanoseconds), "{text}");
        }
    }

    #[test]
    fn refuses_what_go_refuses() {
        for text in [
            "",
            "-",
            "+",
            ".",
            "s",
            "-.s",
            ".s",
            "+.",
            "3",
            "5",
            "1.5",
            " 5s",
            "5s ",
            "5 s",
            "--5s",
            "5S",
            "1d",
            "1.2.3s",
            "1e3s",
            "5sm",
            "1h,",
            "9223372036854775808ns",
            "3000000h",
            "9223372036854775807ns1ns",
            "99999999999999999999s",
        ] {
            assert_eq!(parse_go_duration(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC*") {
            parse_go_duration(&text);
        }

        #[test]
        fn adds_up_its_parts(h in 0..1000_i64, m in 0..1000_i64, s in 0..1000_i64, ms in 0..1000_i64) {
            let expected = h * HOUR + m * MINUTE + s * SECOND + ms * MILLI;
            prop_assert_eq!(parse_go_duration(&format!("{h}h{m}m{s}s{ms}ms")), Some(expected));
            prop_assert_eq!(parse_go_duration(&format!("-{h}h{m}m{s}.{ms:03}s")), Some(-expected));
        }
    }
}
