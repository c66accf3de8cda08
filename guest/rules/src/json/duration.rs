//! Reads and writes times in the JSON form of protocol buffers: seconds, such as `30s` or `0.25s`.

use alloc::{format, string::String};

use super::reader::{Problem, Reader};
use crate::message;

/// Reads a time in milliseconds, rounded up, from the value that `reader` has returned. A time that a `u64` cannot hold
/// becomes `u64::MAX`.
///
/// # Errors
///
/// If the value has another type or form, or is negative.
pub fn read(reader: &Reader<'_>, value: &str) -> Result<u64, Problem> {
    let text = reader.value_as_string(value).map_err(Problem::Json)?;
    milliseconds(&text).ok_or_else(|| {
        let quoted = message::cut(&text, 64);
        Problem::Value(format!("invalid value: {quoted}, expected seconds such as 30s or 0.25s"))
    })
}

/// Reads a time in milliseconds, rounded up; `None` if the text has another form. A time that a `u64` cannot hold
/// becomes `u64::MAX`.
pub fn milliseconds(text: &str) -> Option<u64> {
    let number = text.strip_suffix('s')?;
    let (whole, fraction) = match number.split_once('.') {
        Some((whole, fraction)) if (1..=9).contains(&fraction.len()) => (whole, fraction),
        Some(_) => return None,
        None => (number, ""),
    };
    let digits = |text: &str| text.bytes().all(|digit| digit.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return None;
    }
    let number = |digits: &str| {
        let add =
            |number: u64, digit| number.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
        digits.bytes().fold(0, add)
    };
    let milliseconds = match fraction.len() {
        digits @ ..=3 => number(fraction) * [1_000, 100, 10, 1][digits],
        digits => number(fraction).div_ceil(10_u64.pow(digits as u32 - 3)),
    };
    Some(number(whole).saturating_mul(1_000).saturating_add(milliseconds))
}

/// Writes a time in milliseconds.
pub fn write(milliseconds: u64) -> String {
    match (milliseconds / 1_000, milliseconds % 1_000) {
        (seconds, 0) => format!("{seconds}s"),
        (seconds, milli) => format!("{seconds}.{milli:03}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_read_exactly() {
        for (text, expected) in [
            ("30s", Some(30_000)),
            ("0s", Some(0)),
            ("1.5s", Some(1_500)),
            ("0.001s", Some(1)),
            ("0.0000001s", Some(1)),
            ("0.100000000s", Some(100)),
            ("99999999999999999999s", Some(u64::MAX)),
            ("30", None),
            ("30ms", None),
            ("s", None),
            (".5s", None),
            ("1.s", None),
            ("1.0000000001s", None),
            ("-1s", None),
            ("+1s", None),
            ("1e3s", None),
            (" 1s", None),
            ("", None),
        ] {
            assert_eq!(milliseconds(text), expected, "{text}");
        }
    }

    #[test]
    fn milliseconds_come_back() {
        for time in [0, 1, 999, 1_000, 30_000, 29_998, u64::MAX / 1_000 * 1_000] {
            assert_eq!(milliseconds(&write(time)), Some(time));
        }
    }
}
