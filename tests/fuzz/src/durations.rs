//! Durations: Go's form, and the other forms that a settings file accepts.

use std::time::Duration;

use holdfast_redis_rules::limit::{self, Limit};
use holdfast_timing::go_duration::parse_go_duration;

/// Reads the input as a duration.
pub fn run(input: &[u8]) {
    let text = &*String::from_utf8_lossy(input);
    is_exact(text);
    is_the_sum_of_its_parts(text);
    is_a_limit_as_well(text);
}

/// The duration equals that of exact numbers, and can be written and read again.
fn is_exact(text: &str) {
    let read = parse_go_duration(text);
    match (read, exact(text)) {
        (Some(read), Some(exact)) => {
            let error = (i128::from(read) - exact.nanoseconds).abs();
            assert!(error <= exact.tolerance, "{read} is not {}", exact.nanoseconds);
            assert_eq!(parse_go_duration(&format!("{read}ns")), Some(read));
        }
        (Some(read), None) => panic!("{read} is read from what is no duration"),
        (None, Some(exact)) => {
            let fits = exact.nanoseconds >= i128::from(i64::MIN) + exact.tolerance
                && exact.nanoseconds <= i128::from(i64::MAX) - exact.tolerance;
            assert!(!fits, "{} is refused", exact.nanoseconds);
        }
        (None, None) => {}
    }
}

/// Two durations without a sign, one after the other, are their sum; a sign turns them around.
fn is_the_sum_of_its_parts(text: &str) {
    let unsigned = |text: &str| parse_go_duration(text).filter(|_| text.ends_with('s'));
    if let Some(whole) = unsigned(text)
        && !text.starts_with(['+', '-'])
    {
        assert_eq!(parse_go_duration(&format!("+{text}")), Some(whole));
        assert_eq!(parse_go_duration(&format!("-{text}")), Some(-whole));
        if let Some(twice) = whole.checked_mul(2) {
            assert_eq!(parse_go_duration(&format!("{text}{text}")), Some(twice));
        }
        if let Some(longer) = whole.checked_add(90_000_000_000) {
            assert_eq!(parse_go_duration(&format!("1m30s{text}")), Some(longer));
        }
    }
}

/// A limit is a duration that is not negative, a number of milliseconds, or -1, with white space around it.
fn is_a_limit_as_well(text: &str) {
    let read = limit::parse(text);
    assert_eq!(limit::parse(&format!(" \t{text}\n")), read);
    let trimmed = text.trim();
    let nanoseconds = parse_go_duration(trimmed).and_then(|it| u64::try_from(it).ok());
    let milliseconds = trimmed.parse::<u64>().ok();
    let expected = match (nanoseconds, milliseconds) {
        _ if trimmed == "-1" => Some(Limit::Off),
        (Some(nanoseconds), _) => Some(Limit::Of(Duration::from_nanos(nanoseconds))),
        (None, Some(milliseconds)) => Some(Limit::Of(Duration::from_millis(milliseconds)))
            .filter(|_| milliseconds <= i64::MAX.unsigned_abs() / 1_000_000),
        (None, None) => None,
    };
    assert_eq!(read, expected);
}

/// A duration by exact numbers.
struct Exact {
    nanoseconds: i128,
    /// How far a rounded one may be off: one for each part that has a fraction.
    tolerance: i128,
}

/// Reads a duration by exact numbers; `None` if the text is none.
fn exact(text: &str) -> Option<Exact> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if unsigned == "0" {
        return Some(Exact { nanoseconds: 0, tolerance: 0 });
    }
    if unsigned.is_empty() {
        return None;
    }
    let is_number = |c: char| c == '.' || c.is_ascii_digit();
    let mut sum = Exact { nanoseconds: 0, tolerance: 0 };
    let mut rest = unsigned;
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c| !is_number(c))?);
        let (name, after) = after.split_at(after.find(is_number).unwrap_or(after.len()));
        let unit: i128 = match name {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        let mut halves = number.splitn(2, '.');
        let whole = halves.next().unwrap_or_default();
        let fraction = halves.next().unwrap_or_default();
        if fraction.contains('.') || (whole.is_empty() && fraction.is_empty()) {
            return None;
        }
        sum.nanoseconds = sum.nanoseconds.saturating_add(digits(whole).saturating_mul(unit));
        // Further digits are less than a nanosecond.
        let fraction = &fraction[..fraction.len().min(18)];
        sum.nanoseconds = sum
            .nanoseconds
            .saturating_add(digits(fraction) * unit / 10_i128.pow(fraction.len() as u32));
        sum.tolerance += i128::from(!fraction.is_empty());
        rest = after;
    }
    if text.starts_with('-') {
        sum.nanoseconds = -sum.nanoseconds;
    }
    Some(sum)
}

/// The value of these digits; 0 without digits, and at most `i128::MAX`.
fn digits(text: &str) -> i128 {
    if text.is_empty() { 0 } else { text.parse().unwrap_or(i128::MAX) }
}
