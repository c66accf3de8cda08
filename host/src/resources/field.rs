//! Reads a tree of YAML field by field. Keeps the path of each field for problems.
//!
//! Checks types as Go's JSON decoder does for Dapr's resources: names of fields match without case, null counts as
//! absent, and a number or a boolean is accepted as text.

use serde_json::Value;

use super::{error::Flaw, known, yaml::Node};

/// A node and its path.
pub(super) struct Field {
    pub(super) path: String,
    pub(super) node: Node,
}

impl Field {
    /// The root of a tree.
    pub(super) fn root(node: Node) -> Self {
        Self { path: String::new(), node }
    }

    /// Takes a field out of a mapping; null if it is absent.
    pub(super) fn take(&mut self, name: &str) -> Result<Self, Flaw> {
        let path = self.path_of(name);
        let map = match &mut self.node {
            Node::Null => return Ok(Self { path, node: Node::Null }),
            Node::Map(map) => map,
            _ => return Err(self.flaw("must be a mapping")),
        };
        let is_it = |key: &&String| key.eq_ignore_ascii_case(name);
        let spellings: Vec<String> = map.entries.keys().filter(is_it).cloned().collect();
        match spellings.as_slice() {
            [] => Ok(Self { path, node: Node::Null }),
            [key] => {
                if let Some(how) = map.repeated.get(key) {
                    return Err(Flaw::ambiguous(path, *how));
                }
                let node = map.entries.remove(key).unwrap_or(Node::Null);
                Ok(Self { path, node })
            }
            [one, another, ..] => {
                Err(Flaw::ambiguous(path, format!("is given twice, as {one} and {another}")))
            }
        }
    }

    /// The flaws of the fields that were not taken and are not in `known`.
    pub(super) fn unknown(&self, known: &[&str]) -> Vec<Flaw> {
        let Node::Map(map) = &self.node else { return Vec::new() };
        // In a `List`, the path begins with the document's own.
        let inside = self.path.strip_prefix("items[").and_then(|path| path.split_once(']'));
        let parent = inside.map_or(&*self.path, |(_, path)| path.trim_start_matches('.'));
        let flaw = |name: &String| known::unknown_field(&self.path_of(name), parent, name, known);
        map.entries.keys().filter_map(flaw).collect()
    }

    /// The flaw of a field that was not taken, is not in `known`, and was probably meant to be `name`.
    pub(super) fn misspelt(&self, name: &str, known: &[&str]) -> Option<Flaw> {
        let Node::Map(map) = &self.node else { return None };
        let is_meant = |key: &&String| known::most_similar(key, known) == Some(name);
        let key = map.entries.keys().find(is_meant)?;
        known::unknown_field(&self.path_of(key), "", key, known)
    }

    fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    pub(super) fn flaw_at(&self, name: &str, message: &str) -> Flaw {
        Flaw::at(self.path_of(name), message)
    }

    pub(super) fn text(self) -> Result<String, Flaw> {
        let flaw = self.flaw("must be text");
        self.node.into_text().ok_or(flaw)
    }

    /// The field as text; `None` for null or an empty text.
    pub(super) fn some_text(self) -> Result<Option<String>, Flaw> {
        Ok(Some(self.text()?).filter(|text| !text.is_empty()))
    }

    /// The field as a whole number; `None` for null.
    pub(super) fn integer(self) -> Result<Option<i64>, Flaw> {
        let flaw = self.flaw("must be a whole number");
        match self.node {
            Node::Null => Ok(None),
            Node::Number(text) => text.parse().map(Some).map_err(|_| flaw),
            _ => Err(flaw),
        }
    }

    pub(super) fn flag(self) -> Result<bool, Flaw> {
        match self.node {
            Node::Null => Ok(false),
            Node::Bool(value) => Ok(value),
            _ => Err(self.flaw("must be true or false")),
        }
    }

    pub(super) fn items(self) -> Result<Vec<Self>, Flaw> {
        match self.node {
            Node::Null => Ok(Vec::new()),
            Node::List(items) => Ok(items
                .into_iter()
                .enumerate()
                .map(|(index, node)| Self { path: format!("{}[{index}]", self.path), node })
                .collect()),
            _ => Err(self.flaw("must be a list")),
        }
    }

    /// The entries of a mapping, in the order of their names.
    pub(super) fn entries(self) -> Result<Vec<(String, Self)>, Flaw> {
        match self.node {
            Node::Null => Ok(Vec::new()),
            Node::Map(map) => match map.repeated.first_key_value() {
                Some((key, how)) => Err(Flaw::ambiguous(format!("{}.{key}", self.path), *how)),
                None => Ok(map
                    .entries
                    .into_iter()
                    .map(|(name, node)| {
                        let path = format!("{}.{name}", self.path);
                        (name, Self { path, node })
                    })
                    .collect()),
            },
            _ => Err(self.flaw("must be a mapping")),
        }
    }

    /// The tree below as JSON.
    pub(super) fn into_json(self) -> Result<Value, Flaw> {
        Ok(match self.node {
            Node::Null => Value::Null,
            Node::Bool(value) => Value::Bool(value),
            Node::Number(ref text) => {
                text.parse().map_err(|_| self.flaw("is not a number of JSON"))?
            }
            Node::Text(text) => Value::String(text),
            Node::List(_) => {
                self.items()?.into_iter().map(Self::into_json).collect::<Result<_, _>>()?
            }
            Node::Map(_) => {
                let entries = self.entries()?.into_iter();
                entries
                    .map(|(name, field)| Ok((name, field.into_json()?)))
                    .collect::<Result<_, _>>()?
            }
        })
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self.node, Node::Null)
    }

    pub(super) fn flaw(&self, message: &str) -> Flaw {
        if self.path.is_empty() {
            Flaw::new(format!("the document {message}"))
        } else {
            Flaw::at(&self.path, message)
        }
    }
}
