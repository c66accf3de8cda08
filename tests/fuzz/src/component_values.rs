//! A setting's value in a resource file: any JSON is YAML, and reaches the store as it is.

use serde_json::Value;

use crate::components::load;

/// The name of the setting.
const NAME: &str = "value";

/// How many levels deep the value may nest. A document may nest a few more.
const MAX_DEPTH: usize = 40;

/// The longest key, in bytes of JSON. YAML reads no longer one.
const MAX_KEY: usize = 1000;

/// Reads the input as a JSON value, or as a text if it is none.
pub fn run(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let value: Value = serde_json::from_str(&text).unwrap_or(Value::String(text.into_owned()));
    let json = value.to_string();
    let has_template =
        ["{uuid}", "{podName}", "{namespace}", "{appID}"].iter().any(|it| json.contains(it));
    if has_template || !is_within(&value, MAX_DEPTH) {
        return;
    }
    let file = format!(
        "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata:\n  name: store\nspec:\n  \
         type: lock.in-memory\n  metadata:\n  - name: {NAME}\n    value: {json}\n"
    );
    let loaded = load(&file, "");
    let stores = match &loaded.result {
        Ok(defined) => defined.stores.as_slice(),
        Err(error) => panic!("{error}"),
    };
    let [store] = stores else { panic!("no store: {:?}", loaded.notices) };
    let found = store.settings.get(NAME).map(String::as_str).unwrap_or_default();
    match &value {
        Value::Null => assert_eq!(found, ""),
        Value::Bool(it) => assert_eq!(found, it.to_string()),
        Value::String(text) => assert_eq!(found, text),
        Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            let found = serde_json::from_str(found).expect("JSON");
            assert!(is_same(&value, &found), "{found} is not {value}");
        }
    }
}

fn is_within(value: &Value, levels: usize) -> bool {
    let key_fits = |key: &str| Value::from(key).to_string().len() <= MAX_KEY;
    match value {
        Value::Array(items) => levels > 0 && items.iter().all(|it| is_within(it, levels - 1)),
        Value::Object(entries) => {
            levels > 0 && entries.iter().all(|(key, it)| key_fits(key) && is_within(it, levels - 1))
        }
        _ => true,
    }
}

/// Whether two values are the same. A number may be written in another way, which `serde_json` reads with a
/// small error.
fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            let both = one.as_f64().zip(other.as_f64());
            one == other
                || both.is_some_and(|(one, other)| (one - other).abs() <= one.abs() * 1e-14)
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len()
                && one.iter().zip(other).all(|(one, other)| is_same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .all(|(key, it)| other.get(key).is_some_and(|other| is_same(it, other)))
        }
        (one, other) => one == other,
    }
}
