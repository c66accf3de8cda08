//! A single setting as a boolean, a number or a duration.

use alloc::{borrow::ToOwned, string::String};
use core::{str::FromStr, time::Duration};

use super::{
    error::SettingError,
    names::Setting,
    source::{Found, Source},
};
use crate::limit::{self, Limit};

pub(super) fn text(source: &impl Source, setting: &Setting) -> Option<String> {
    source.find(setting).map(|found| found.value.to_owned())
}

/// The setting if it is true, as Go's `ParseBool` reads it; `None` if it is false or missing.
pub(super) fn flag<'a>(
    source: &'a impl Source,
    setting: &Setting,
) -> Result<Option<Found<'a>>, SettingError> {
    let Some(found) = source.find(setting) else { return Ok(None) };
    match boolean(found.value) {
        Some(false) => Ok(None),
        Some(true) => Ok(Some(found)),
        None => Err(found.error(NOT_A_BOOLEAN)),
    }
}

/// The problem with a setting that is not a [`boolean`].
pub const NOT_A_BOOLEAN: &str = "is not true or false";

/// Reads a boolean as Go's `ParseBool` does; `None` for anything else.
pub fn boolean(value: &str) -> Option<bool> {
    match value {
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        _ => None,
    }
}

/// A limit on a time: `None` for no limit. A limit of zero is the default, as for daprd.
pub(super) fn limit(
    source: &impl Source,
    setting: &Setting,
    default: Option<Duration>,
) -> Result<Option<Duration>, SettingError> {
    let Some(found) = source.find(setting) else { return Ok(default) };
    match limit::parse(found.value) {
        Some(Limit::Of(Duration::ZERO)) => Ok(default),
        Some(Limit::Of(limit)) => Ok(Some(limit)),
        Some(Limit::Off) => Ok(None),
        None => {
            Err(found.error("is not a duration, such as 5s or 1m30s, or a number of milliseconds"))
        }
    }
}

/// A number; `default` if it is missing.
pub(super) fn number<N: FromStr>(
    source: &impl Source,
    setting: &Setting,
    default: N,
    problem: &str,
) -> Result<N, SettingError> {
    match source.find(setting) {
        None => Ok(default),
        Some(found) => found.value.parse().map_err(|_| found.error(problem)),
    }
}

/// A number of retries. Zero is the default, as for daprd, and -1 is zero.
pub(super) fn retries(
    source: &impl Source,
    setting: &Setting,
    default: u32,
) -> Result<u32, SettingError> {
    let Some(found) = source.find(setting) else { return Ok(default) };
    match found.value.parse::<i32>() {
        Ok(0) => Ok(default),
        Ok(-1) => Ok(0),
        Ok(retries) if retries > 0 => Ok(retries.unsigned_abs()),
        _ => Err(found.error("is not a whole number, or -1 for no retries")),
    }
}
