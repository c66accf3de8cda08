//! Parses the values of options, and words the errors for invalid ones.

use std::{fmt::Display, net::IpAddr, ops::RangeInclusive, str::FromStr, time::Duration};

use holdfast_rules::scope::check_app_id;
use holdfast_timing::go_duration::parse_go_duration;

use super::super::zone::without_zone;

/// A boolean, as Go's `strconv.ParseBool` reads it.
pub fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("it is not true or false".to_owned()),
    }
}

/// The id of an application.
pub fn app_id(text: &str) -> Result<String, String> {
    check_app_id(text).map(|()| text.to_owned())
}

/// Reads whole numbers within these bounds.
pub fn whole<T>(
    bounds: RangeInclusive<T>,
) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static
where
    T: FromStr + PartialOrd + Display + Clone + Send + Sync + 'static,
{
    move |text| {
        let number = text.parse().ok().filter(|number| bounds.contains(number));
        let (from, to) = (bounds.start(), bounds.end());
        number.ok_or_else(|| format!("must be a whole number from {from} to {to}"))
    }
}

/// Whole seconds: a number, or a duration in Go's form.
pub fn seconds(text: &str) -> Result<i32, String> {
    const SECOND: i64 = 1_000_000_000;
    let whole = match text.parse::<i64>() {
        Ok(seconds) => seconds,
        Err(_) => match parse_go_duration(text) {
            Some(duration) if duration % SECOND == 0 => duration / SECOND,
            Some(_) => return Err("it is not a whole number of seconds".to_owned()),
            None => return Err(no_time(text).to_owned()),
        },
    };
    whole.try_into().map_err(|_| match whole {
        ..0 => NEGATIVE.to_owned(),
        _ => format!("it is more than {} seconds", i32::MAX),
    })
}

/// A time: seconds, or a duration in Go's form.
pub fn time(text: &str) -> Result<Duration, &'static str> {
    if let Ok(seconds) = text.parse() {
        return Ok(Duration::from_secs(seconds));
    }
    let nanoseconds = parse_go_duration(text).ok_or_else(|| no_time(text))?;
    u64::try_from(nanoseconds).map(Duration::from_nanos).map_err(|_| NEGATIVE)
}

/// Why a negative number is refused.
pub const NEGATIVE: &str = "it is negative";

/// Why a text is no time, though perhaps it has the form of one.
fn no_time(text: &str) -> &'static str {
    let number = text.trim_end_matches(|unit: char| unit.is_ascii_lowercase());
    let digits = number.strip_prefix('-').unwrap_or(number);
    let is_whole = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    match &text[number.len()..] {
        "" | "ns" | "us" | "ms" | "s" | "m" | "h" if is_whole && number.starts_with('-') => {
            NEGATIVE
        }
        "" | "ns" | "us" | "ms" | "s" | "m" | "h" if is_whole => "it is too long",
        _ => "it is neither seconds nor a duration such as 90s or 1h",
    }
}

/// A host or an IP address, without a port.
pub fn host(text: &str) -> Result<String, &'static str> {
    let bare = text.trim_matches(['[', ']']);
    if bare.is_empty() {
        return Err("it is empty");
    }
    let is_ip = || without_zone(bare).is_some() || bare.parse::<IpAddr>().is_ok();
    if bare.contains('/') || bare.contains(':') && !is_ip() {
        return Err("it is not a host or an IP address alone; --port names the port");
    }
    Ok(bare.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_within_their_bounds() {
        let number = whole(4..=70_u8);
        assert_eq!((number("4"), number("70")), (Ok(4), Ok(70)));
        for text in ["", "3", "71", "256", "-1", "1.5", "abc", " 5", "0x5", "5Mi"] {
            assert_eq!(
                number(text),
                Err("must be a whole number from 4 to 70".to_owned()),
                "{text}"
            );
        }
    }

    #[test]
    fn seconds_are_numbers_or_durations() {
        for (text, expected) in
            [("60", 60), ("-1", -1), ("90s", 90), ("1h", 3600), ("1m30s", 90), ("2000ms", 2)]
        {
            assert_eq!(seconds(text), Ok(expected), "{text}");
        }
        for (text, expected) in [
            ("1500ms", "it is not a whole number of seconds"),
            ("soon", "it is neither seconds nor a duration such as 90s or 1h"),
            ("1d", "it is neither seconds nor a duration such as 90s or 1h"),
            ("2147483648", "it is more than 2147483647 seconds"),
            ("1000000h", "it is more than 2147483647 seconds"),
            ("-2147483649", "it is negative"),
            ("99999999999999999999", "it is too long"),
        ] {
            assert_eq!(seconds(text), Err(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn times_are_seconds_or_durations() {
        for (text, milliseconds) in [("0", 0), ("30", 30_000), ("1m", 60_000), ("1500ms", 1_500)] {
            assert_eq!(time(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        let other = "it is neither seconds nor a duration such as 90s or 1h";
        for (text, problem) in [
            ("", other),
            ("soon", other),
            ("s", other),
            ("-", other),
            ("1.5", other),
            ("1d", other),
            ("1\u{e9}", other),
            ("-1", "it is negative"),
            ("-1s", "it is negative"),
            ("-99999999999999999999", "it is negative"),
            ("99999999999999999999", "it is too long"),
            ("999999999h", "it is too long"),
        ] {
            assert_eq!(time(text), Err(problem), "{text}");
        }
    }

    #[test]
    fn a_host_has_no_port() {
        for (text, host_alone) in [
            ("localhost", "localhost"),
            ("::1", "::1"),
            ("[::1]", "::1"),
            ("10.0.0.1", "10.0.0.1"),
            ("[fe80::1%eth0]", "fe80::1%eth0"),
        ] {
            assert_eq!(host(text), Ok(host_alone.to_owned()), "{text}");
        }
        for text in ["", "[]", "localhost:3500", "[::1]:3500", "http://localhost", "a/b"] {
            assert!(host(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_app_id_may_have_any_character_but_one() {
        for text in ["", "app1", "my.app", "a/b", "A \u{e9}"] {
            assert_eq!(app_id(text), Ok(text.to_owned()));
        }
        assert!(app_id("a|b").is_err());
    }

    #[test]
    fn booleans_are_gos() {
        assert_eq!((boolean("T"), boolean("False")), (Ok(true), Ok(false)));
        assert!(boolean("yes").is_err());
    }
}
