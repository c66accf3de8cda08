//! The values of options that are read as Go reads them.

use std::time::Duration;

use holdfast_redis_rules::go_duration::parse_go_duration;

/// A boolean, as Go's `strconv.ParseBool` reads it.
pub fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("it is not true or false".to_owned()),
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
            None => return Err("it is neither seconds nor a duration such as 90s or 1h".to_owned()),
        },
    };
    whole.try_into().map_err(|_| format!("it is more than {} seconds", i32::MAX))
}

/// A time: seconds, or a duration in Go's form.
pub fn time(text: &str) -> Result<Duration, &'static str> {
    if let Ok(seconds) = text.parse() {
        return Ok(Duration::from_secs(seconds));
    }
    let nanoseconds = parse_go_duration(text).and_then(|duration| u64::try_from(duration).ok());
    nanoseconds
        .map(Duration::from_nanos)
        .ok_or("it is neither seconds nor a duration such as 90s or 1h")
}

#[cfg(test)]
mod tests {
    use super::*;

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
        ] {
            assert_eq!(seconds(text), Err(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn times_are_seconds_or_durations() {
        for (text, milliseconds) in [("0", 0), ("30", 30_000), ("1m", 60_000), ("1500ms", 1_500)] {
            assert_eq!(time(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["", "-1", "-1s", "soon", "1.5"] {
            assert!(time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn booleans_are_gos() {
        assert_eq!((boolean("T"), boolean("False")), (Ok(true), Ok(false)));
        assert!(boolean("yes").is_err());
    }
}
