//! Reads the expiry in every way that the JSON form of protocol buffers allows: `60`, `"60"`, `60.0`,
//! `6e1`.
//!
//! Works on the digits, which is exact: a binary fraction would accept `60.00000000000000000001`.

use alloc::{format, string::String};

use super::reader::{Problem, Reader};
use crate::message;

/// The longest number that is accepted, in bytes. Dapr has no such limit.
const MAX_NUMBER_BYTES: usize = 1024;

/// How many bytes of a longer number the error quotes.
const MAX_QUOTED_BYTES: usize = 64;

/// Reads a 32-bit integer from a JSON number, or from a string that is one: the value that `reader` has returned.
///
/// # Errors
///
/// If the value has another type, is not whole, or is out of range.
pub fn read(reader: &Reader<'_>, value: &str) -> Result<i32, Problem> {
    if value.len() > MAX_NUMBER_BYTES {
        let start = message::cut(value, MAX_QUOTED_BYTES);
        return Err(Problem::Value(format!(
            "invalid value: {start}…, expected a 32-bit integer of at most {MAX_NUMBER_BYTES} bytes"
        )));
    }
    if !value.starts_with('"') {
        return integer(value).map_err(Problem::Value);
    }
    let text = reader.value_as_string(value).map_err(Problem::Json)?;
    // The string must be one JSON number without white space around it.
    match Reader::only_value(&text) {
        Ok(number) if number.len() == text.len() => integer(number).map_err(Problem::Value),
        _ => Err(Problem::Value(format!("invalid value: string {value}, expected a whole number"))),
    }
}

fn integer(number: &str) -> Result<i32, String> {
    // The common case: so few digits cannot overflow.
    if number.len() <= 9 && number.bytes().all(|digit| digit.is_ascii_digit()) {
        return Ok(number.bytes().fold(0, |value, digit| value * 10 + i32::from(digit - b'0')));
    }
    let not_whole = || format!("invalid value: {number}, expected a whole number");
    let out_of_range = || format!("invalid value: {number}, expected a 32-bit integer");

    let (negative, magnitude) = match number.strip_prefix('-') {
        Some(magnitude) => (true, magnitude),
        None => (false, number),
    };
    if !magnitude.starts_with(|first: char| first.is_ascii_digit()) {
        return Err(not_whole());
    }
    let (mantissa, exponent) = magnitude.split_once(['e', 'E']).unwrap_or((magnitude, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: String = [whole, fraction].concat();
    let significant = digits.trim_end_matches('0');
    if significant.is_empty() {
        return Ok(0);
    }

    // The value is significant * 10^scale. Dapr accepts no exponent above 20, whatever the digits.
    let exponent: i64 = exponent.parse().map_err(|_| out_of_range())?;
    let scale = exponent
        .saturating_sub(fraction.len() as i64)
        .saturating_add((digits.len() - significant.len()) as i64);
    if scale < 0 {
        return Err(not_whole());
    }
    let significant = significant.trim_start_matches('0');
    // An i32 has at most ten digits.
    if exponent > 20 || significant.len() as i64 + scale.min(11) > 10 {
        return Err(out_of_range());
    }
    let value = significant.parse::<i64>().map_err(|_| out_of_range())? * 10_i64.pow(scale as u32);
    i32::try_from(if negative { -value } else { value }).map_err(|_| out_of_range())
}
