//! The secret stores that resource files may define: `secretstores.local.env` and
//! `secretstores.local.file`, as in components-contrib 1.18 (`secretstores/local`).

use std::{
    collections::{BTreeMap, btree_map::Entry},
    io,
    path::Path,
};

use holdfast_edge_lock::json;
use serde_json::Value;

use super::{environment::Env, files, known};
use crate::{input_file, store::properties::Properties};

const LOCAL_ENV: &str = "secretstores.local.env";
const LOCAL_FILE: &str = "secretstores.local.file";

/// An open secret store. It has no `Debug`, because it holds secrets.
pub(super) enum SecretStore {
    /// The environment of this process: the variables with a prefix.
    Env { prefix: String },
    /// The contents of a JSON file: secrets by name, each with its values by key.
    File(BTreeMap<String, Values>),
}

/// The values of a secret by key.
type Values = BTreeMap<String, Result<String, NoText>>;

/// The kind of a value that is not a string. daprd passes Go's note about such a value on as the secret.
type NoText = &'static str;

impl SecretStore {
    /// The supported types, in lower case.
    pub(super) const TYPES: [&str; 2] = [LOCAL_ENV, LOCAL_FILE];

    /// Opens a store of one of the [`TYPES`](Self::TYPES).
    pub(super) fn open(component_type: &str, properties: &Properties) -> Result<Self, String> {
        if component_type == LOCAL_FILE {
            return read_file(properties).map(Self::File);
        }
        Ok(Self::Env { prefix: properties.get("prefix").unwrap_or_default().to_owned() })
    }

    /// One value of a secret. The error names the missing part.
    pub(super) fn get(&self, env: &Env, name: &str, key: &str) -> Result<String, String> {
        match self {
            Self::Env { prefix } => {
                let variable = format!("{prefix}{name}");
                if is_private(&variable) {
                    return Err(format!(
                        "the environment variable {variable} may not be read as a secret"
                    ));
                }
                if key != name {
                    return Err(format!(
                        "an environment variable has no keys: leave out the key {key}"
                    ));
                }
                env(&variable).ok_or(format!("the environment variable {variable} is not set"))
            }
            Self::File(secrets) => {
                let values = secrets.get(name);
                let values = values.ok_or(format!("the secrets file has no secret {name}"))?;
                let value = values.get(key).ok_or(format!("the secret {name} has no key {key}"))?;
                value.clone().map_err(|what| {
                    let of_key = if key == name { "" } else { &format!("key {key} of the ") };
                    // In quotes, null would become text.
                    let advice = if what == "null" { "" } else { ": write it in quotes" };
                    format!("the {of_key}secret {name} is {what}, and not a string{advice}")
                })
            }
        }
    }
}

/// Whether a variable belongs to the runtime, so that components may not read it.
pub(super) fn is_private(variable: &str) -> bool {
    let upper = variable.to_uppercase();
    upper == "APP_API_TOKEN" || upper.starts_with("DAPR_")
}

fn read_file(properties: &Properties) -> Result<BTreeMap<String, Values>, String> {
    let path = properties.get("secretsFile").unwrap_or_default();
    if path.is_empty() {
        return Err("secretsFile is not set".into());
    }
    let separator = match properties.get("nestedSeparator").unwrap_or_default() {
        "" => ":",
        separator => separator,
    };
    let unreadable = |cause: io::Error| format!("cannot read the secrets file {path}: {cause}");
    let bytes = input_file::read(Path::new(path), files::MAX_FILE_MIB).map_err(unreadable)?;
    let entries = match json::read(&bytes) {
        Ok(Value::Object(entries)) => entries,
        Err(flaw) if !flaw.field.is_empty() => {
            return Err(format!("the secrets file {path} has {} twice", flaw.field));
        }
        _ => {
            let why = why_no_json(&bytes).map_or_else(String::new, |why| format!(": {why}"));
            return Err(format!("the secrets file {path} is not a JSON object{why}"));
        }
    };
    let twice = |of: &str, found: Twice| {
        let Twice { name, first, second } = found;
        format!("the secrets file {path} has {of} {name} twice, as {first} and as {second}")
    };
    if is_truthy(properties.get("multiValued").unwrap_or_default()) {
        let mut secrets = BTreeMap::new();
        for (name, value) in entries {
            let values = match value {
                Value::Object(_) => flatten(value, separator)
                    .map_err(|found| twice(&format!("in the secret {name} the key"), found))?,
                Value::String(text) => BTreeMap::from([(name.clone(), Ok(text))]),
                // daprd skips such a value too.
                _ => continue,
            };
            secrets.insert(name, values);
        }
        return Ok(secrets);
    }
    let values =
        flatten(Value::Object(entries), separator).map_err(|it| twice("the secret", it))?;
    let single = |(name, value): (String, _)| (name.clone(), BTreeMap::from([(name, value)]));
    Ok(values.into_iter().map(single).collect())
}

/// What is wrong with text that is not JSON. It contains nothing of the text, which is secret.
fn why_no_json(text: &[u8]) -> Option<String> {
    if files::is_utf16(text) {
        return Some(files::IN_UTF16.to_owned());
    }
    if text.starts_with(b"\xef\xbb\xbf") {
        return Some("it begins with a byte order mark: save it in UTF-8 without one".to_owned());
    }
    if text.trim_ascii().is_empty() {
        return Some("it is empty".to_owned());
    }

    json::problem(text)
}

/// Two values with one name. Each path is an array of JSON.
struct Twice {
    name: String,
    first: Value,
    second: Value,
}

/// Every value below `root` that is not an object or a list. Its name consists of the parts of its path.
fn flatten(root: Value, separator: &str) -> Result<Values, Twice> {
    let mut found: BTreeMap<String, (Value, Result<String, NoText>)> = BTreeMap::new();
    let mut left = vec![(Vec::new(), root)];
    while let Some((path, value)) = left.pop() {
        let below = |part: Value| path.iter().cloned().chain([part]).collect::<Vec<_>>();
        let value = match value {
            Value::Object(entries) => {
                let entries = entries.into_iter().rev();
                left.extend(entries.map(|(name, value)| (below(name.into()), value)));
                continue;
            }
            Value::Array(items) => {
                let items = items.into_iter().enumerate().rev();
                left.extend(items.map(|(index, item)| (below(index.into()), item)));
                continue;
            }
            Value::String(text) => Ok(text),
            Value::Null => Err("null"),
            Value::Bool(_) => Err("a boolean"),
            Value::Number(_) => Err("a number"),
        };
        let part = |part: &Value| part.as_str().map_or_else(|| part.to_string(), str::to_owned);
        let name = path.iter().map(part).collect::<Vec<_>>().join(separator);
        let second = Value::Array(path);
        match found.entry(name) {
            Entry::Vacant(free) => drop(free.insert((second, value))),
            Entry::Occupied(taken) => {
                let (name, (first, _)) = taken.remove_entry();
                return Err(Twice { name, first, second });
            }
        }
    }
    Ok(found.into_iter().map(|(name, (_, value))| (name, value)).collect())
}

/// Whether a setting of a secret store is true, by the rules of Dapr's `kit/strings.IsTruthy`.
fn is_truthy(value: &str) -> bool {
    is_one_of(value, &["y", "yes", "true", "t", "on", "1"])
}

/// The problem with a boolean setting of a secret store that counts as false because it is neither true nor false.
pub(super) fn doubt_of_flag(name: &str, value: &str) -> Option<String> {
    if is_truthy(value) || is_one_of(value, &["", "n", "no", "false", "f", "off", "0"]) {
        return None;
    }
    let hint =
        known::hint(known::most_similar(value, &["true", "false", "yes", "no", "on", "off"]));
    Some(format!("{name} is neither true nor false, so it counts as false{hint}"))
}

fn is_one_of(value: &str, words: &[&str]) -> bool {
    words.iter().any(|word| value.trim().eq_ignore_ascii_case(word))
}
