//! What `serde_json` lets pass inside values that nobody reads, and Dapr does not.

/// How deep unknown values may nest in Dapr's parser.
const DEEPEST: usize = 9_999;

/// Checks the values that were skipped. `json` must be valid JSON: whoever parsed it knows.
///
/// # Errors
///
/// A lone surrogate in a string, and nesting beyond 9,999.
pub fn check(json: &str) -> Result<(), &'static str> {
    let mut depth = 0_usize;
    let mut rest = json.as_bytes();
    while let [byte, after @ ..] = rest {
        rest = after;
        match byte {
            b'"' => rest = after_string(after)?,
            b'{' | b'[' => {
                depth += 1;
                // The document's own braces do not count.
                if depth > DEEPEST + 1 {
                    return Err("exceeded max recursion depth");
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

/// What follows a string whose opening quote was just read.
fn after_string(mut rest: &[u8]) -> Result<&[u8], &'static str> {
    loop {
        rest = match rest {
            [] => return Ok(rest),
            [b'"', after @ ..] => return Ok(after),
            [b'\\', b'u', escaped @ ..] => match (code_unit(escaped), escaped.get(4..)) {
                (0xD800..=0xDBFF, Some([b'\\', b'u', low @ ..]))
                    if (0xDC00..=0xDFFF).contains(&code_unit(low)) =>
                {
                    low
                }
                (0xD800..=0xDFFF, _) => return Err("lone surrogate in a string"),
                _ => escaped,
            },
            [b'\\', _, after @ ..] | [_, after @ ..] => after,
        };
    }
}

/// The number that four hexadecimal digits give; 0 where there are none.
fn code_unit(digits: &[u8]) -> u32 {
    digits
        .get(..4)
        .and_then(|digits| str::from_utf8(digits).ok())
        .and_then(|digits| u32::from_str_radix(digits, 16).ok())
        .unwrap_or(0)
}
