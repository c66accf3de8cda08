//! The secret stores that resource files may define: `secretstores.local.env` and
//! `secretstores.local.file`, as in components-contrib 1.18 (`secretstores/local`).

use std::{collections::BTreeMap, io, path::Path};

use serde_json::Value;

use super::{environment::Env, files};
use crate::store::properties::Properties;

const LOCAL_ENV: &str = "secretstores.local.env";
const LOCAL_FILE: &str = "secretstores.local.file";

/// An open secret store. It has no `Debug`, because it holds secrets.
pub(super) enum SecretStore {
    /// The environment of this process: the variables with a prefix.
    Env { prefix: String },
    /// The contents of a JSON file: secrets by name, each with its values by key.
    File(BTreeMap<String, BTreeMap<String, String>>),
}

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

    /// One value of a secret. The error names what is missing.
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
            Self::File(secrets) => secrets
                .get(name)
                .ok_or(format!("the secrets file has no secret {name}"))?
                .get(key)
                .cloned()
                .ok_or(format!("the secret {name} has no key {key}")),
        }
    }
}

/// Whether a variable belongs to the runtime, so that components may not read it.
pub(super) fn is_private(variable: &str) -> bool {
    let upper = variable.to_uppercase();
    upper == "APP_API_TOKEN" || upper.starts_with("DAPR_")
}

fn read_file(
    properties: &Properties,
) -> Result<BTreeMap<String, BTreeMap<String, String>>, String> {
    let path = properties.get("secretsFile").unwrap_or_default();
    if path.is_empty() {
        return Err("secretsFile is not set".into());
    }
    let separator = match properties.get("nestedSeparator").unwrap_or_default() {
        "" => ":",
        separator => separator,
    };
    let unreadable = |cause: io::Error| format!("cannot read the secrets file {path}: {cause}");
    let bytes = files::read_bounded(Path::new(path)).map_err(unreadable)?;
    let Ok(Value::Object(entries)) = serde_json::from_slice(&bytes) else {
        return Err(format!("the secrets file {path} is not a JSON object"));
    };
    let single = |name: &str, value: String| BTreeMap::from([(name.to_owned(), value)]);
    if is_truthy(properties.get("multiValued").unwrap_or_default()) {
        Ok(entries
            .into_iter()
            .filter_map(|(name, value)| match value {
                Value::String(text) => Some((name.clone(), single(&name, text))),
                Value::Object(_) => {
                    let mut values = BTreeMap::new();
                    flatten("", value, separator, &mut values);
                    Some((name, values))
                }
                _ => None,
            })
            .collect())
    } else {
        let mut values = BTreeMap::new();
        flatten("", Value::Object(entries), separator, &mut values);
        Ok(values.into_iter().map(|(name, value)| (name.clone(), single(&name, value))).collect())
    }
}

/// Collects every scalar below `value` under its path. Numbers and booleans become their JSON text; in
/// Dapr they become Go's note that they are not strings.
fn flatten(path: &str, value: Value, separator: &str, values: &mut BTreeMap<String, String>) {
    let below = |name: &str| {
        if path.is_empty() { name.to_owned() } else { format!("{path}{separator}{name}") }
    };
    match value {
        Value::Object(entries) => {
            for (name, value) in entries {
                flatten(&below(&name), value, separator, values);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.into_iter().enumerate() {
                flatten(&below(&index.to_string()), item, separator, values);
            }
        }
        Value::String(text) => {
            values.insert(path.to_owned(), text);
        }
        Value::Null => {
            values.insert(path.to_owned(), String::new());
        }
        scalar => {
            values.insert(path.to_owned(), scalar.to_string());
        }
    }
}

/// Whether a setting of a secret store is true, by the rules of Dapr's `kit/strings.IsTruthy`.
fn is_truthy(value: &str) -> bool {
    ["y", "yes", "true", "t", "on", "1"].iter().any(|word| value.trim().eq_ignore_ascii_case(word))
}
