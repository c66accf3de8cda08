//! Reading a tree of values field by field.

use alloc::{
    borrow::ToOwned,
    format,
    string::{String, ToString},
    vec::Vec,
};

use holdfast_rules::{MAX_TIME, json};
use serde_json::{Map, Value};

use crate::flaw::Flaw;

/// A value and its path.
#[derive(Debug)]
pub struct Field {
    path: String,
    value: Value,
}

impl Field {
    /// The root of a tree.
    pub fn root(value: Value) -> Self {
        Self { path: String::new(), value }
    }

    /// A flaw of this field.
    pub fn flaw(&self, message: impl Into<String>) -> Flaw {
        Flaw { field: self.path.clone(), message: message.into() }
    }

    /// Whether the value is null, as the value of an absent field is.
    pub fn is_null(&self) -> bool {
        self.value.is_null()
    }

    /// The fields of a mapping, all of them among `known`. Null has none.
    ///
    /// # Errors
    ///
    /// If the value is not a mapping, or has a field of another name.
    pub fn fields(self, known: &[&str]) -> Result<Fields, Flaw> {
        let flaw = self.flaw("must be a mapping");
        let map = match self.value {
            Value::Null => Map::new(),
            Value::Object(map) => map,
            _ => return Err(flaw),
        };
        if let Some(name) = map.keys().find(|name| !known.contains(&name.as_str())) {
            let message = format!("unknown field; the fields here are {}", known.join(", "));
            return Err(Flaw { field: below(&self.path, name), message });
        }
        Ok(Fields { path: self.path, map })
    }

    /// The value as text.
    ///
    /// # Errors
    ///
    /// If the value has another type.
    pub fn text(self) -> Result<String, Flaw> {
        match self.value {
            Value::String(text) => Ok(text),
            _ => Err(self.flaw("must be text")),
        }
    }

    /// The value as text that is not empty.
    ///
    /// # Errors
    ///
    /// If the value is missing, has another type, or is empty.
    pub fn required(self) -> Result<String, Flaw> {
        let missing = self.flaw("is missing");
        if self.is_null() {
            return Err(missing);
        }
        Some(self.text()?).filter(|text| !text.is_empty()).ok_or(missing)
    }

    /// The value as text, or `default` if it is missing.
    ///
    /// # Errors
    ///
    /// If the value has another type.
    pub fn text_or(self, default: &str) -> Result<String, Flaw> {
        if self.is_null() { Ok(default.to_owned()) } else { self.text() }
    }

    /// The value as a boolean, or `default` if it is missing.
    ///
    /// # Errors
    ///
    /// If the value has another type.
    pub fn flag_or(self, default: bool) -> Result<bool, Flaw> {
        match self.value {
            Value::Null => Ok(default),
            Value::Bool(flag) => Ok(flag),
            _ => Err(self.flaw("must be true or false")),
        }
    }

    /// The value as a whole number, or `default` if it is missing.
    ///
    /// # Errors
    ///
    /// If the value has another type, is negative, or is not whole.
    pub fn number_or(self, default: u64) -> Result<u64, Flaw> {
        match &self.value {
            Value::Null => Ok(default),
            Value::Number(number) => {
                number.as_u64().ok_or_else(|| self.flaw("must be a whole number"))
            }
            _ => Err(self.flaw("must be a whole number")),
        }
    }

    /// The value as a time in milliseconds, or `default` if it is missing. Its form is seconds, such as `30s` or
    /// `0.25s`.
    ///
    /// # Errors
    ///
    /// If the value has another form, or is longer than a call may ask for.
    pub fn time_or(self, default: u64) -> Result<u64, Flaw> {
        if self.is_null() {
            return Ok(default);
        }
        let flaw = self.flaw("must be seconds, such as 30s or 0.25s");
        let Value::String(text) = &self.value else { return Err(flaw) };
        match json::milliseconds(text) {
            None => Err(flaw),
            Some(time) if time > MAX_TIME => {
                Err(self.flaw(format!("must be at most {}s", MAX_TIME / 1_000)))
            }
            Some(time) => Ok(time),
        }
    }

    /// The items of a list; null has none.
    ///
    /// # Errors
    ///
    /// If the value is not a list.
    pub fn items(self) -> Result<Vec<Self>, Flaw> {
        let Self { path, value } = self;
        match value {
            Value::Null => Ok(Vec::new()),
            Value::Array(items) => Ok(items
                .into_iter()
                .enumerate()
                .map(|(index, value)| Self { path: format!("{path}[{index}]"), value })
                .collect()),
            _ => Err(Flaw { field: path, message: "must be a list".to_string() }),
        }
    }

    /// The entries of a mapping with any names; null has none.
    ///
    /// # Errors
    ///
    /// If the value is not a mapping.
    pub fn entries(self) -> Result<Vec<(String, Self)>, Flaw> {
        let Self { path, value } = self;
        match value {
            Value::Null => Ok(Vec::new()),
            Value::Object(map) => Ok(map
                .into_iter()
                .map(|(name, value)| {
                    let path = below(&path, &name);
                    (name, Self { path, value })
                })
                .collect()),
            _ => Err(Flaw { field: path, message: "must be a mapping".to_string() }),
        }
    }
}

/// The fields of a mapping. The reader takes them one by one.
#[derive(Debug)]
pub struct Fields {
    path: String,
    map: Map<String, Value>,
}

impl Fields {
    /// A field; null if it is absent.
    pub fn take(&mut self, name: &str) -> Field {
        let value = self.map.remove(name).unwrap_or(Value::Null);
        Field { path: below(&self.path, name), value }
    }
}

pub(crate) fn below(path: &str, name: &str) -> String {
    let name = if name.is_empty() { "\"\"" } else { name };
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
