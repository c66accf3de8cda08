//! Reads strings, and refuses every other type.
//!
//! Own code instead of `serde`'s `String` and its default refusals: their messages can print floating
//! point numbers and escaped text, whose tables would add 25 KB to a component of about 100 KB.

use alloc::{
    borrow::Cow,
    string::{String, ToString},
};
use core::fmt;

use serde::de::{Deserialize, Deserializer, Error, Expected, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A JSON string, or a key.
pub struct Text<'t>(pub Cow<'t, str>);

/// Reads a string.
///
/// # Errors
///
/// If the value has another type, or has an escape that stands for no character.
pub fn read(value: &RawValue) -> Result<Cow<'_, str>, String> {
    let raw = value.get();
    // Valid JSON without an escape is the text itself. Reading it again would double the cost of a body.
    let quoted = raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    if let Some(text) = quoted
        && !text.as_bytes().contains(&b'\\')
    {
        return Ok(Cow::Borrowed(text));
    }
    serde_json::from_str::<Text<'_>>(raw).map(|Text(text)| text).map_err(|error| error.to_string())
}

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(text.into())))
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<Text<'de>, A::Error> {
        Err(refusal("an object", &self))
    }

    refuse_scalars_and_arrays!();
}

/// The error for a value of the wrong type.
pub fn refusal<E: Error>(found: &str, expected: &dyn Expected) -> E {
    E::custom(format_args!("invalid type: {found}, expected {expected}"))
}

/// The methods of a [`Visitor`] that refuses these types.
macro_rules! refuse_scalars_and_arrays {
    () => {
        $crate::json::text::refuse_scalars_and_arrays!(visit_bool(bool) "a boolean");
        $crate::json::text::refuse_scalars_and_arrays!(visit_i64(i64) "a number");
        $crate::json::text::refuse_scalars_and_arrays!(visit_u64(u64) "a number");
        $crate::json::text::refuse_scalars_and_arrays!(visit_f64(f64) "a number");

        fn visit_unit<E: serde::de::Error>(self) -> Result<Self::Value, E> {
            Err($crate::json::text::refusal("null", &self))
        }

        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
            Err($crate::json::text::refusal("an array", &self))
        }
    };
    ($method:ident($type:ty) $found:literal) => {
        fn $method<E: serde::de::Error>(self, _: $type) -> Result<Self::Value, E> {
            Err($crate::json::text::refusal($found, &self))
        }
    };
}
pub(super) use refuse_scalars_and_arrays;
