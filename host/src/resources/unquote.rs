//! Go's `strconv.Unquote`.

use std::str::Chars;

/// The text that a literal of Go stands for: a string in double quotes or in backquotes, or a character in single
/// quotes. `None` if the text is no literal, or stands for bytes that are not UTF-8.
pub(super) fn unquote(text: &str) -> Option<String> {
    let mut inside = text.chars();
    let quote = inside.next()?;
    if inside.next_back()? != quote {
        return None;
    }
    match (quote, inside.as_str()) {
        ('`', raw) => (!raw.contains('`')).then(|| raw.replace('\r', "")),
        ('"' | '\'', escaped) => unescape(escaped, quote),
        _ => None,
    }
}

fn unescape(escaped: &str, quote: char) -> Option<String> {
    let mut bytes = Vec::with_capacity(escaped.len());
    let mut rest = escaped.chars();
    while !rest.as_str().is_empty() {
        read_one(&mut rest, quote, &mut bytes)?;
        if quote == '\'' && !rest.as_str().is_empty() {
            return None;
        }
    }
    String::from_utf8(bytes).ok()
}

/// Reads a character or an escape.
fn read_one(rest: &mut Chars<'_>, quote: char, bytes: &mut Vec<u8>) -> Option<()> {
    let character = match rest.next()? {
        '\\' => match rest.next()? {
            'a' => '\x07',
            'b' => '\x08',
            'f' => '\x0c',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\x0b',
            '\\' => '\\',
            escaped if escaped == quote => escaped,
            'u' => char::from_u32(number(rest, 4, 16)?)?,
            'U' => char::from_u32(number(rest, 8, 16)?)?,
            'x' => {
                bytes.push(u8::try_from(number(rest, 2, 16)?).ok()?);
                return Some(());
            }
            first => {
                let high = first.to_digit(8)? << 6;
                bytes.push(u8::try_from(high | number(rest, 2, 8)?).ok()?);
                return Some(());
            }
        },
        '\n' => return None,
        character if character == quote => return None,
        character => character,
    };
    bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    Some(())
}

/// Reads this many digits.
fn number(rest: &mut Chars<'_>, digits: usize, radix: u32) -> Option<u32> {
    (0..digits).try_fold(0, |number, _| Some(number * radix + rest.next()?.to_digit(radix)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Go 1.26 reads them.
    #[test]
    fn literals_are_read_as_go_reads_them() {
        for (text, expected) in [
            ("", None),
            ("plain", None),
            ("\"", None),
            ("\"\"", Some("")),
            ("\"half", None),
            ("\"a\"b\"", None),
            ("\"a\\\"", None),
            ("\"a\nb\"", None),
            ("\"tab\tx\u{e9}\"", Some("tab\tx\u{e9}")),
            (r#""pass\"word""#, Some("pass\"word")),
            (r#""\a\b\f\n\r\t\v\\""#, Some("\x07\x08\x0c\n\r\t\x0b\\")),
            (r#""\x41b\101\u00e9\U0001F600""#, Some("AbA\u{e9}\u{1f600}")),
            (r#""\xc3\xa9\303\251""#, Some("\u{e9}\u{e9}")),
            (r#""\xff""#, None),
            (r#""\x4""#, None),
            (r#""\x+4""#, None),
            (r#""\400""#, None),
            (r#""\18""#, None),
            (r#""\ud83d\ude00""#, None),
            (r#""\UFFFFFFFF""#, None),
            (r#""a\/b""#, None),
            (r#""it\'s""#, None),
            ("`raw\\`", Some("raw\\")),
            ("`a\r\nb`", Some("a\nb")),
            ("`a`b`", None),
            ("''", Some("")),
            ("'k'", Some("k")),
            ("'\u{1f600}'", Some("\u{1f600}")),
            (r"'\''", Some("'")),
            (r#"'\"'"#, None),
            (r"'\x41'", Some("A")),
            ("'ab'", None),
            ("'single'", None),
        ] {
            assert_eq!(unquote(text).as_deref(), expected, "{text}");
        }
    }
}
