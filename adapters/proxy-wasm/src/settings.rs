//! The plugin's configuration.

use alloc::{format, string::String, sync::Arc, vec::Vec};

use holdfast_edge_lock::{
    EdgeLock, Flaw,
    fields::{Field, Fields},
    json,
};

/// The fields of a configuration.
const FIELDS: [&str; 5] = ["cluster", "authority", "token", "timeout", "locks"];

/// How long a call may take beyond its wait by default, in milliseconds.
const TIMEOUT: u64 = 1_000;

/// The plugin's configuration.
#[derive(Debug)]
pub struct Settings {
    /// The proxy's name for Holdfast's HTTP port.
    pub cluster: String,
    /// The authority in requests to Holdfast. Default: the name of the cluster.
    pub authority: String,
    /// The API token. Default: none.
    pub token: Option<String>,
    /// How long a call may take beyond its wait, in milliseconds. Default: 1 s.
    pub timeout: u64,
    /// The locks. A request takes the first lock that matches it.
    pub locks: Vec<Arc<EdgeLock>>,
}

impl Settings {
    /// Reads a configuration, which is JSON.
    ///
    /// # Errors
    ///
    /// The first field that is wrong.
    pub fn read(configuration: &[u8]) -> Result<Self, Flaw> {
        let mut fields = Field::root(json::read(configuration)?).fields(&FIELDS)?;
        let cluster = fields.take("cluster").required()?;
        let authority = printable(&mut fields, "authority", &cluster)?;
        let token = Some(printable(&mut fields, "token", "")?).filter(|token| !token.is_empty());
        let timeout = fields.take("timeout");
        let flaw = timeout.flaw("must be longer than 0s");
        let timeout = Some(timeout.time_or(TIMEOUT)?).filter(|timeout| *timeout > 0).ok_or(flaw)?;
        let locks = locks(fields.take("locks"))?;
        Ok(Self { cluster, authority, token, timeout, locks })
    }
}

/// Text that is allowed as the value of a header.
fn printable(fields: &mut Fields, name: &str, default: &str) -> Result<String, Flaw> {
    let field = fields.take(name);
    let flaw = field.flaw("must be printable ASCII");
    let text = field.text_or(default)?;
    if text.bytes().all(|byte| (b'!'..=b'~').contains(&byte)) { Ok(text) } else { Err(flaw) }
}

fn locks(field: Field) -> Result<Vec<Arc<EdgeLock>>, Flaw> {
    let missing = field.flaw("is missing");
    let mut locks: Vec<Arc<EdgeLock>> = Vec::new();
    for (index, item) in field.items()?.into_iter().enumerate() {
        let lock = EdgeLock::read_named(item)?;
        if locks.iter().any(|known| known.name == lock.name) {
            let field = format!("locks[{index}].name");
            return Err(Flaw { field, message: "is given twice".into() });
        }
        locks.push(Arc::new(lock));
    }
    if locks.is_empty() { Err(missing) } else { Ok(locks) }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use serde_json::{Value, json};

    use super::*;

    fn read(change: &str, value: Value) -> Result<Settings, Flaw> {
        let lock = json!({"name": "a", "store": "s", "resource": "r", "ttl": "1s"});
        let mut configuration = json!({"cluster": "holdfast", "locks": [lock]});
        configuration[change] = value;
        Settings::read(configuration.to_string().as_bytes())
    }

    #[test]
    fn what_is_not_said_has_a_default() {
        let settings = read("token", json!(null)).unwrap();
        assert_eq!(
            (settings.cluster.as_str(), settings.authority.as_str()),
            ("holdfast", "holdfast")
        );
        assert_eq!((settings.token, settings.timeout), (None, 1_000));
        assert_eq!(settings.locks[0].name, "a");
    }

    #[test]
    fn every_field_is_read() {
        assert_eq!(read("authority", json!("locks.example")).unwrap().authority, "locks.example");
        assert_eq!(read("token", json!("secret")).unwrap().token.as_deref(), Some("secret"));
        assert_eq!(read("timeout", json!("0.25s")).unwrap().timeout, 250);
    }

    #[test]
    fn a_field_that_is_wrong_is_named() {
        let lock = |name: &str, ttl: &str| json!({"name": name, "store": "s", "resource": "r", "ttl": ttl});
        for (field, value, flaw) in [
            ("cluster", json!(null), "cluster: is missing"),
            ("cluster", json!(""), "cluster: is missing"),
            ("authority", json!("a b"), "authority: must be printable ASCII"),
            ("token", json!("a\nb"), "token: must be printable ASCII"),
            ("token", json!(1), "token: must be text"),
            ("timeout", json!(1), "timeout: must be seconds, such as 30s or 0.25s"),
            ("timeout", json!("0s"), "timeout: must be longer than 0s"),
            ("locks", json!(null), "locks: is missing"),
            ("locks", json!([]), "locks: is missing"),
            ("locks", json!({}), "locks: must be a list"),
            ("locks", json!([1]), "locks[0]: must be a mapping"),
            (
                "locks",
                json!([lock("a", "1m")]),
                "locks[0].ttl: must be seconds, such as 30s or 0.25s",
            ),
            ("locks", json!([lock("a", "1s"), lock("a", "1s")]), "locks[1].name: is given twice"),
            (
                "lock",
                json!([]),
                "lock: unknown field; the fields here are cluster, authority, token, timeout, locks",
            ),
        ] {
            assert_eq!(read(field, value).unwrap_err().to_string(), flaw);
        }
    }
}
