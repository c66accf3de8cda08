//! JSON in which each field is there once.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use core::str;

use serde_json::Value;

use crate::fields::{Flaw, below};

/// Reads a tree.
///
/// # Errors
///
/// It is not JSON, or has a field twice.
pub fn read(text: &[u8]) -> Result<Value, Flaw> {
    let tree = serde_json::from_slice(text).map_err(|problem| Flaw {
        field: String::new(),
        message: format!("the configuration is not JSON: {problem}"),
    })?;
    match str::from_utf8(text).ok().and_then(twice) {
        Some(field) => Err(Flaw { field, message: "is there more than once".to_string() }),
        None => Ok(tree),
    }
}

/// A list or a mapping that has not ended.
enum Open<'a> {
    /// The index of the item.
    List(usize),
    /// The names, the last of which is that of the entry, and whether a name comes next.
    Mapping(Vec<&'a str>, bool),
}

/// The path of the first field that is there for the second time in a text that is JSON. A tree has only the last one.
fn twice(text: &str) -> Option<String> {
    let mut open = Vec::new();
    let mut at = 0;
    while let Some(byte) = text.as_bytes().get(at) {
        at += 1;
        match (byte, open.last_mut()) {
            (b'{', _) => open.push(Open::Mapping(Vec::new(), true)),
            (b'[', _) => open.push(Open::List(0)),
            (b'}' | b']', _) => _ = open.pop(),
            (b',', Some(Open::List(index))) => *index += 1,
            (b',', Some(Open::Mapping(_, name_is_next))) => *name_is_next = true,
            (b'"', around) => {
                let written = string(text.get(at..)?);
                at += written.len() + 1;
                if let Some(Open::Mapping(names, name_is_next @ true)) = around {
                    *name_is_next = false;
                    let is_twice = names.contains(&written);
                    names.push(written);
                    if is_twice {
                        return Some(path(&open));
                    }
                }
            }
            _ => {}
        }
    }
    None
}

/// What is written before the quotation mark that ends a string.
fn string(text: &str) -> &str {
    let mut is_escaped = false;
    let end = text.bytes().position(|byte| {
        let ends = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        ends
    });
    end.map_or(text, |end| &text[..end])
}

fn path(open: &[Open<'_>]) -> String {
    let mut path = String::new();
    for around in open {
        path = match around {
            Open::List(index) => format!("{path}[{index}]"),
            Open::Mapping(names, _) => below(&path, names.last().unwrap_or(&"")),
        };
    }
    path
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
            (r#"{"a":{"a":"a"},"b":["a",{"a":1,"x":[{}],"a":2}]}"#, "b[1].a"),
            (r#"[{"a":[]},{"a":",:{\"","b":1,"a":{}}]"#, "[1].a"),
        ] {
            let flaw = Flaw { field: field.into(), message: "is there more than once".into() };
            assert_eq!(read(text.as_bytes()), Err(flaw), "{text}");
        }
    }

    #[test]
    fn what_is_no_json_is_refused_with_the_place() {
        for (text, problem) in [
            ("", "EOF while parsing a value at line 1 column 0"),
            ("{", "EOF while parsing an object at line 1 column 1"),
            ("{} x", "trailing characters at line 1 column 4"),
        ] {
            let flaw = read(text.as_bytes()).unwrap_err();
            assert_eq!(flaw.message, format!("the configuration is not JSON: {problem}"));
        }
    }
}
