//! JSON in which each field occurs once.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::{cell::OnceCell, fmt};

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::{fields::below, flaw::Flaw};

/// Reads a tree of values.
///
/// # Errors
///
/// If the text is not JSON, or has a field twice.
pub fn read(text: &[u8]) -> Result<Value, Flaw> {
    let twice = OnceCell::new();
    let mut reader = serde_json::Deserializer::from_slice(text);
    let tree = Tree { path: "", twice: &twice }.deserialize(&mut reader);
    let tree = tree.and_then(|tree| reader.end().map(|()| tree)).map_err(|problem| Flaw {
        field: String::new(),
        message: format!("the configuration is not JSON: {problem}"),
    })?;
    match twice.into_inner() {
        Some(field) => Err(Flaw { field, message: "is given twice".to_string() }),
        None => Ok(tree),
    }
}

/// What is wrong with text that is not JSON, and where; `None` if it is JSON. It contains no part of the text.
pub fn problem(text: &[u8]) -> Option<String> {
    // Any value is taken, so that no message is about a value: only such messages have parts of the text.
    serde_json::from_slice::<Value>(text).err().map(|problem| problem.to_string())
}

/// Reads a part of the tree, at its path. Without the paths, a tree would keep only the last of several fields of one
/// name.
#[derive(Clone, Copy)]
struct Tree<'a> {
    path: &'a str,
    /// The path of the first field that occurs for the second time.
    twice: &'a OnceCell<String>,
}

impl<'de> DeserializeSeed<'de> for Tree<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any valid JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        loop {
            let path = format!("{}[{}]", self.path, list.len());
            match items.next_element_seed(Tree { path: &path, twice: self.twice })? {
                Some(item) => list.push(item),
                None => return Ok(list.into()),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut mapping = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            let path = below(self.path, &name);
            if mapping.contains_key(&name) {
                self.twice.get_or_init(|| path.clone());
            }
            let value = entries.next_value_seed(Tree { path: &path, twice: self.twice })?;
            mapping.insert(name, value);
        }
        Ok(mapping.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_read_as_it_is() {
        let text = r#"{"a":[null,true,-1,18446744073709551615,0.5,"\u00e9",{}],"b":{"a":[]}}"#;
        let expected: Value = serde_json::from_str(text).unwrap();
        assert_eq!(read(text.as_bytes()), Ok(expected));
    }

    #[test]
    fn a_field_that_is_there_twice_is_named() {
        for (text, field) in [
            (r#"{"a":1,"b":2,"a":1}"#, "a"),
            (r#"{"a":[{"b":1},{"b":1,"b":1}]}"#, "a[1].b"),
            (r#"{"a":{"":1,"":1}}"#, "a.\"\""),
            (r#"{"a":1,"a":{"b":1,"b":1}}"#, "a"),
            (r#"{"a":1,"\u0061":1}"#, "a"),
            (r#"{"a":{"a":"a"},"b":["a",{"a":1,"x":[{}],"a":2}]}"#, "b[1].a"),
            (r#"[{"a":[]},{"a":",:{\"","b":1,"a":{}}]"#, "[1].a"),
        ] {
            let flaw = Flaw { field: field.into(), message: "is given twice".into() };
            assert_eq!(read(text.as_bytes()), Err(flaw), "{text}");
        }
    }

    #[test]
    fn invalid_json_is_refused_with_its_position() {
        for (text, problem) in [
            ("", "EOF while parsing a value at line 1 column 0"),
            ("{", "EOF while parsing an object at line 1 column 1"),
            ("{} x", "trailing characters at line 1 column 4"),
        ] {
            let flaw = read(text.as_bytes()).unwrap_err();
            assert_eq!(flaw.message, format!("the configuration is not JSON: {problem}"));
            assert_eq!(super::problem(text.as_bytes()).as_deref(), Some(problem));
        }
    }
}
