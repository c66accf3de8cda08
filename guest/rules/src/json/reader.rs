//! Reads JSON: an object, field by field, or a string.
//!
//! Own code, because `serde_json` would add 14 KB to a component of less than 80 KB: it reads numbers as floating point,
//! and takes the place of an error from the text of the error. This reader reports the same errors in the same words,
//! with the same line and column.

use alloc::{borrow::Cow, format, string::String, vec::Vec};

/// A problem with the value of a field.
pub enum Problem {
    /// The value is malformed JSON, or of another type. The text ends with the place.
    Json(String),
    /// The value is JSON of the right type, but the field cannot have it.
    Value(String),
}

/// A flaw in the JSON. The reader's place is behind it.
#[derive(Clone, Copy)]
enum Flaw {
    CutOffArray,
    CutOffObject,
    CutOffString,
    CutOffValue,
    NoColon,
    NoCommaInArray,
    NoCommaInObject,
    NoValue,
    NoWord,
    NoName,
    Comma,
    Rest,
    ControlCharacter,
    Escape,
    HalfCharacter,
    LoneHalf,
    Number,
    LargeNumber,
}

impl Flaw {
    fn text(self) -> &'static str {
        match self {
            Self::CutOffArray => "EOF while parsing a list",
            Self::CutOffObject => "EOF while parsing an object",
            Self::CutOffString => "EOF while parsing a string",
            Self::CutOffValue => "EOF while parsing a value",
            Self::NoColon => "expected `:`",
            Self::NoCommaInArray => "expected `,` or `]`",
            Self::NoCommaInObject => "expected `,` or `}`",
            Self::NoValue => "expected value",
            Self::NoWord => "expected ident",
            Self::NoName => "key must be a string",
            Self::Comma => "trailing comma",
            Self::Rest => "trailing characters",
            Self::ControlCharacter => {
                "control character (\\u0000-\\u001F) found while parsing a string"
            }
            Self::Escape => "invalid escape",
            Self::HalfCharacter => "unexpected end of hex escape",
            Self::LoneHalf => "lone leading surrogate in hex escape",
            Self::Number => "invalid number",
            Self::LargeNumber => "number out of range",
        }
    }
}

/// A JSON text, and a place in it. Each method moves the place behind the text that it has read.
pub struct Reader<'t> {
    text: &'t str,
    place: usize,
    /// Whether a field of the object was read, so that a comma must come before the next one.
    has_field: bool,
}

impl<'t> Reader<'t> {
    pub fn new(text: &'t str) -> Self {
        Self { text, place: 0, has_field: false }
    }

    /// The text of the only value.
    ///
    /// # Errors
    ///
    /// The flaw in the JSON, and its place.
    pub fn only_value(text: &'t str) -> Result<&'t str, String> {
        let mut reader = Self::new(text);
        let value = reader.value().map_err(|flaw| reader.error(flaw.text()))?;
        reader.end()?;
        Ok(value)
    }

    /// Reads the beginning of an object.
    ///
    /// # Errors
    ///
    /// The flaw in the JSON, or the other type, and its place.
    pub fn object(&mut self) -> Result<(), String> {
        match self.skip_token(b'{') {
            true => Ok(()),
            false => Err(self.wrong_type("an object")),
        }
    }

    /// Reads the name of the object's next field, or, if there is no more, the end of the object.
    ///
    /// # Errors
    ///
    /// The flaw in the JSON, and its place.
    pub fn field(&mut self) -> Result<Option<Cow<'t, str>>, String> {
        if self.skip_token(b'}') {
            return Ok(None);
        }
        self.name().map(Some).map_err(|flaw| self.error(flaw.text()))
    }

    /// Reads the value of a field, after its name, and returns its text.
    ///
    /// # Errors
    ///
    /// The flaw in the JSON, and its place.
    pub fn field_value(&mut self) -> Result<&'t str, String> {
        let value = self.colon().and_then(|()| self.value());
        value.map_err(|flaw| self.error(flaw.text()))
    }

    /// Reads the value that [`field_value`](Self::field_value) has returned as a string.
    ///
    /// # Errors
    ///
    /// The flaw in the JSON, or the other type, and its place.
    pub fn value_as_string(&self, value: &str) -> Result<Cow<'t, str>, String> {
        // Reads the whole text, not the value, so that the place of an error is the place in the text.
        let mut reader = Self { place: self.place - value.len(), ..Self::new(self.text) };
        reader.string()
    }

    /// Reads the end of the text.
    ///
    /// # Errors
    ///
    /// If more text follows.
    pub fn end(&mut self) -> Result<(), String> {
        match self.next_token() {
            Some(_) => {
                let flaw = self.ahead(Flaw::Rest);
                Err(self.error(flaw.text()))
            }
            None => Ok(()),
        }
    }

    /// Reads a string.
    ///
    /// # Errors
    ///
    /// The flaw in the JSON, or the other type, and its place.
    pub fn string(&mut self) -> Result<Cow<'t, str>, String> {
        match self.skip_token(b'"') {
            true => self.rest_of_string().map_err(|flaw| self.error(flaw.text())),
            false => Err(self.wrong_type("a string")),
        }
    }

    /// The error for a problem with the field that was read last.
    pub fn refusal(&mut self, problem: &str) -> String {
        self.skip_token(b'}');
        self.error(problem)
    }

    /// The error for a value that is not of the expected type.
    fn wrong_type(&mut self, expected: &str) -> String {
        match self.type_of_value() {
            Ok(found) => self.error(&format!("invalid type: {found}, expected {expected}")),
            Err(flaw) => self.error(flaw.text()),
        }
    }

    /// The error at the reader's place.
    fn error(&self, what: &str) -> String {
        let before = self.text.as_bytes().get(..self.place).unwrap_or_default();
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = before.iter().rev().take_while(|byte| **byte != b'\n').count();
        format!("{what} at line {line} column {column}")
    }

    /// The flaw of the next byte, which is read, or of the end of the text.
    fn ahead(&mut self, flaw: Flaw) -> Flaw {
        self.place += usize::from(self.peek().is_some());
        flaw
    }

    fn name(&mut self) -> Result<Cow<'t, str>, Flaw> {
        if self.has_field && self.peek().is_some() {
            if !self.skip(b',') {
                return Err(self.ahead(Flaw::NoCommaInObject));
            }
            match self.next_token() {
                Some(b'}') => return Err(self.ahead(Flaw::Comma)),
                None => return Err(Flaw::CutOffValue),
                Some(_) => {}
            }
        }
        self.has_field = true;
        self.quote()?;
        self.rest_of_string()
    }

    /// The type of a value. Of an array or an object, reads no more than the brackets.
    fn type_of_value(&mut self) -> Result<&'static str, Flaw> {
        if self.skip_token(b'"') {
            return self.rest_of_string().map(|_| "a string");
        }
        if self.skip(b'[') {
            // The place that is reported is behind the comma, if one follows, as in serde_json.
            if !self.skip_token(b']') && self.skip(b',') {
                self.next_token();
            }
            return Ok("an array");
        }
        if self.skip(b'{') {
            self.skip_token(b'}');
            return Ok("an object");
        }
        let start = self.place;
        let found = match self.peek() {
            Some(b'n') => "null",
            Some(b't' | b'f') => "a boolean",
            _ => "a number",
        };
        self.word_or_number(Flaw::CutOffValue)?;
        if let Some(length) = length_until_too_large(self.since(start)) {
            self.place = start + length;
            return Err(Flaw::LargeNumber);
        }
        Ok(found)
    }

    /// Reads a value, and returns its text.
    fn value(&mut self) -> Result<&'t str, Flaw> {
        let token = self.next_token();
        let start = self.place;
        match token {
            Some(b'[' | b'{') => self.nested()?,
            _ => self.scalar()?,
        }
        Ok(self.since(start))
    }

    /// Reads an array or an object.
    fn nested(&mut self) -> Result<(), Flaw> {
        // A list of open brackets, not a recursive function: the depth has no limit.
        let mut open = Vec::new();
        loop {
            let bracket = self.next_token().filter(|token| matches!(token, b'[' | b'{'));
            match bracket {
                Some(bracket) => {
                    self.place += 1;
                    open.push(bracket);
                }
                None => self.scalar()?,
            }
            self.close(&mut open, bracket.is_some())?;
            match open.last() {
                None => return Ok(()),
                Some(b'{') => {
                    self.quote()?;
                    self.skip_string()?;
                    self.colon()?;
                }
                Some(_) => {}
            }
        }
    }

    fn scalar(&mut self) -> Result<(), Flaw> {
        match self.skip(b'"') {
            true => self.skip_string(),
            false => self.word_or_number(Flaw::Number),
        }
    }

    /// Reads the brackets that close after a value or an opening bracket, and the comma if another value follows.
    fn close(&mut self, open: &mut Vec<u8>, mut is_first: bool) -> Result<(), Flaw> {
        while let Some(bracket) = open.last() {
            let (end, cut_off, no_comma) = match bracket {
                b'[' => (b']', Flaw::CutOffArray, Flaw::NoCommaInArray),
                _ => (b'}', Flaw::CutOffObject, Flaw::NoCommaInObject),
            };
            match self.next_token() {
                Some(b',') if !is_first => {
                    self.place += 1;
                    return Ok(());
                }
                Some(token) if token == end => {
                    self.place += 1;
                    open.pop();
                    is_first = false;
                }
                Some(_) if is_first => return Ok(()),
                Some(_) => return Err(self.ahead(no_comma)),
                None => return Err(cut_off),
            }
        }
        Ok(())
    }

    /// Reads the quotation mark before a name.
    fn quote(&mut self) -> Result<(), Flaw> {
        self.in_object(b'"', Flaw::NoName)
    }

    fn colon(&mut self) -> Result<(), Flaw> {
        self.in_object(b':', Flaw::NoColon)
    }

    /// Reads the token that must come next in an object.
    fn in_object(&mut self, token: u8, missing: Flaw) -> Result<(), Flaw> {
        match self.next_token() {
            Some(next) if next == token => {
                self.place += 1;
                Ok(())
            }
            Some(_) => Err(self.ahead(missing)),
            None => Err(Flaw::CutOffObject),
        }
    }

    /// Reads `null`, a boolean or a number. `cut_off` is the flaw of a number that has no end.
    fn word_or_number(&mut self, cut_off: Flaw) -> Result<(), Flaw> {
        match self.peek() {
            Some(b'-' | b'0'..=b'9') => self.number(cut_off),
            Some(b'n') => self.word("null"),
            Some(b't') => self.word("true"),
            Some(b'f') => self.word("false"),
            Some(_) => Err(self.ahead(Flaw::NoValue)),
            None => Err(Flaw::CutOffValue),
        }
    }

    fn word(&mut self, word: &str) -> Result<(), Flaw> {
        for letter in word.bytes() {
            match self.peek() {
                Some(found) if found == letter => self.place += 1,
                Some(_) => return Err(self.ahead(Flaw::NoWord)),
                None => return Err(Flaw::CutOffValue),
            }
        }
        Ok(())
    }

    fn number(&mut self, cut_off: Flaw) -> Result<(), Flaw> {
        self.skip(b'-');
        if self.skip(b'0') {
            if matches!(self.peek(), Some(b'0'..=b'9')) {
                return Err(self.ahead(Flaw::Number));
            }
        } else {
            self.digits(cut_off)?;
        }
        if self.skip(b'.') {
            self.digits(cut_off)?;
        }
        if self.skip(b'e') || self.skip(b'E') {
            let _ = self.skip(b'+') || self.skip(b'-');
            self.digits(cut_off)?;
        }
        Ok(())
    }

    /// Reads one digit or more.
    fn digits(&mut self, cut_off: Flaw) -> Result<(), Flaw> {
        match self.peek() {
            Some(b'0'..=b'9') => {}
            Some(_) => return Err(self.ahead(Flaw::Number)),
            None => return Err(cut_off),
        }
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.place += 1;
        }
        Ok(())
    }

    /// Reads the rest of a string, after the opening quotation mark.
    fn rest_of_string(&mut self) -> Result<Cow<'t, str>, Flaw> {
        let mut unescaped = String::new();
        loop {
            let start = self.place;
            self.skip_plain();
            let plain = self.since(start);
            match self.next_in_string()? {
                b'"' if unescaped.is_empty() => return Ok(Cow::Borrowed(plain)),
                b'"' => {
                    unescaped.push_str(plain);
                    return Ok(Cow::Owned(unescaped));
                }
                b'\\' => {
                    unescaped.push_str(plain);
                    let unit = self.escape()?;
                    unescaped.push(self.character(unit)?);
                }
                _ => return Err(Flaw::ControlCharacter),
            }
        }
    }

    /// Skips the rest of a string. Its escapes need not stand for characters.
    fn skip_string(&mut self) -> Result<(), Flaw> {
        loop {
            self.skip_plain();
            if self.skip(b'"') {
                return Ok(());
            }
            if self.skip(b'\\') {
                self.escape()?;
                continue;
            }
            return Err(match self.peek() {
                Some(_) => Flaw::ControlCharacter,
                None => Flaw::CutOffString,
            });
        }
    }

    /// Skips the characters of a string that stand for themselves.
    fn skip_plain(&mut self) {
        let rest = self.text.as_bytes().get(self.place..).unwrap_or_default();
        let ends = |byte: &u8| matches!(byte, b'"' | b'\\' | ..=0x1f);
        self.place += rest.iter().position(ends).unwrap_or(rest.len());
    }

    /// Reads an escape after its backslash, and returns its UTF-16 code unit: a character or half of one.
    fn escape(&mut self) -> Result<u16, Flaw> {
        Ok(match self.next_in_string()? {
            letter @ (b'"' | b'\\' | b'/') => letter.into(),
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => 0x0a,
            b'r' => 0x0d,
            b't' => 0x09,
            b'u' => return self.hex_digits(),
            _ => return Err(Flaw::Escape),
        })
    }

    fn hex_digits(&mut self) -> Result<u16, Flaw> {
        let Some(digits) = self.text.as_bytes().get(self.place..self.place + 4) else {
            self.place = self.text.len();
            return Err(Flaw::CutOffString);
        };
        self.place += 4;
        let mut number = 0;
        for digit in digits {
            let Some(digit) = char::from(*digit).to_digit(16) else { return Err(Flaw::Escape) };
            number = number << 4 | digit as u16;
        }
        Ok(number)
    }

    /// The character of an escape. If the escape is half of a character, reads the escape of the other half.
    fn character(&mut self, unit: u16) -> Result<char, Flaw> {
        let mut units = [unit, 0];
        if (0xd800..0xdc00).contains(&unit) {
            for expected in [b'\\', b'u'] {
                if self.next_in_string()? != expected {
                    return Err(Flaw::HalfCharacter);
                }
            }
            units[1] = self.hex_digits()?;
        }
        match char::decode_utf16(units).next() {
            Some(Ok(character)) => Ok(character),
            _ => Err(Flaw::LoneHalf),
        }
    }

    fn next_in_string(&mut self) -> Result<u8, Flaw> {
        let next = self.peek().ok_or(Flaw::CutOffString)?;
        self.place += 1;
        Ok(next)
    }

    /// Skips white space and, if it follows, this token.
    fn skip_token(&mut self, token: u8) -> bool {
        self.next_token();
        self.skip(token)
    }

    /// Skips white space, and returns the next byte.
    fn next_token(&mut self) -> Option<u8> {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\t' | b'\r')) {
            self.place += 1;
        }
        self.peek()
    }

    fn skip(&mut self, byte: u8) -> bool {
        let follows = self.peek() == Some(byte);
        self.place += usize::from(follows);
        follows
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.place).copied()
    }

    fn since(&self, start: usize) -> &'t str {
        // Both ends are at the border of an ASCII character.
        self.text.get(start..self.place).unwrap_or_default()
    }
}

/// How many bytes of a number show that it is too large for floating point with 64 bits; `None` if it is not, or if the
/// text is not a number. As in `serde_json`, digits that a `u64` cannot hold count only by their number.
fn length_until_too_large(number: &str) -> Option<usize> {
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, ""));
    let (sign, digits) = match exponent.as_bytes() {
        [b'-', digits @ ..] => (-1, digits),
        [b'+', digits @ ..] | digits => (1, digits),
    };
    let (mut significand, mut power, mut is_fraction) = (0_u64, 0_i32, false);
    for byte in mantissa.bytes() {
        match byte {
            b'0'..=b'9' => {
                let longer = significand
                    .checked_mul(10)
                    .and_then(|tens| tens.checked_add(u64::from(byte - b'0')));
                match longer {
                    Some(longer) => {
                        significand = longer;
                        power -= i32::from(is_fraction);
                    }
                    None => power += i32::from(!is_fraction),
                }
            }
            b'.' => is_fraction = true,
            _ => {}
        }
    }
    if significand == 0 {
        return None;
    }
    let mut exponent = 0_i32;
    for (position, digit) in digits.iter().enumerate() {
        match exponent.checked_mul(10).and_then(|tens| tens.checked_add(i32::from(digit - b'0'))) {
            Some(longer) => exponent = longer,
            None if sign < 0 => return None,
            None => return Some(number.len() - digits.len() + position + 1),
        }
    }
    let power = power.saturating_add(sign * exponent);
    let is_infinite = || (0..power).fold(significand as f64, |value, _| value * 10.0).is_infinite();
    (power > 308 || is_infinite()).then_some(number.len())
}

#[cfg(test)]
mod tests {
    use alloc::{collections::BTreeMap, string::ToString};

    use proptest::{collection::vec, prelude::*, sample::select};
    use serde_json::value::RawValue;

    use super::*;

    /// The fields of an object, each with the text of its value.
    fn fields(text: &str) -> Result<BTreeMap<String, &str>, String> {
        let mut reader = Reader::new(text);
        let mut fields = BTreeMap::new();
        reader.object()?;
        while let Some(name) = reader.field()? {
            fields.insert(name.into_owned(), reader.field_value()?);
        }
        reader.end()?;
        Ok(fields)
    }

    fn string(text: &str) -> Result<String, String> {
        let mut reader = Reader::new(text);
        let string = reader.string()?.into_owned();
        reader.end()?;
        Ok(string)
    }

    #[test]
    fn another_type_is_reported_where_it_ends() {
        for (text, flaw) in [
            ("null", "invalid type: null, expected a string at line 1 column 4"),
            (" true", "invalid type: a boolean, expected a string at line 1 column 5"),
            ("-1.5e3", "invalid type: a number, expected a string at line 1 column 6"),
            ("[\n ]", "invalid type: an array, expected a string at line 2 column 2"),
            ("[1]", "invalid type: an array, expected a string at line 1 column 1"),
            ("{ }", "invalid type: an object, expected a string at line 1 column 3"),
            ("", "EOF while parsing a value at line 1 column 0"),
            ("nil", "expected ident at line 1 column 2"),
        ] {
            assert_eq!(string(text), Err(flaw.to_string()), "{text}");
        }
        assert_eq!(
            fields("\"\""),
            Err("invalid type: a string, expected an object at line 1 column 2".to_string())
        );
    }

    /// Texts that are almost JSON.
    fn almost_json() -> impl Strategy<Value = String> {
        let pieces = [
            "{", "}", "[", "]", ":", ",", "\"", "\\", "\\n", "\\x", "\\u", "\\u00e9", "\\uD83D",
            "\\uDE00", "0", "12", "-", "+", ".", "e", "E", "null", "true", "false", "fal", " ",
            "\n", "\t", "\u{1}", "\u{e9}", "\"a\"", "\"b\":", "{}", "[1,2]",
        ];
        vec(select(pieces.to_vec()), 0..12).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn objects_are_those_of_serde_json(rest in almost_json()) {
            let text = format!("{{{rest}");
            let theirs = serde_json::from_str::<BTreeMap<String, &RawValue>>(&text);
            let theirs = theirs.map(|fields| fields.into_iter().map(|(name, value)| (name, value.get())).collect());
            prop_assert_eq!(fields(&text), theirs.map_err(|error| error.to_string()));
        }

        #[test]
        fn values_are_those_of_serde_json(text in almost_json()) {
            let theirs = serde_json::from_str::<&RawValue>(&text).map(RawValue::get);
            prop_assert_eq!(Reader::only_value(&text), theirs.map_err(|error| error.to_string()));
        }

        #[test]
        fn strings_are_those_of_serde_json(rest in almost_json()) {
            let text = format!("\"{rest}");
            let theirs = serde_json::from_str::<String>(&text);
            prop_assert_eq!(string(&text), theirs.map_err(|error| error.to_string()));
        }

        #[test]
        fn numbers_are_too_large_where_they_are_for_serde_json(
            text in "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,30})?([eE][+-]?(29[0-9]|30[0-9]|[0-9]{1,12}))?",
        ) {
            let ours = string(&text).unwrap_err();
            match serde_json::from_str::<f64>(&text) {
                Ok(_) => prop_assert!(ours.starts_with("invalid type: a number"), "{ours}"),
                Err(error) => prop_assert_eq!(ours, error.to_string()),
            }
        }
    }
}
