//! The requests that an edge lock matches.

use alloc::{string::String, vec::Vec};

use crate::{
    Headers,
    fields::Field,
    flaw::Flaw,
    template::{AUTHORITY, is_token},
};

/// The requests that an edge lock matches: they fulfil every given condition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Match {
    /// The methods, in upper case; empty for any method.
    methods: Vec<String>,
    /// The authorities, in lower case; empty for any authority.
    authorities: Vec<String>,
    /// The start of the path; empty for any path.
    path_prefix: String,
    /// Headers, with their whole values.
    headers: Vec<(String, String)>,
}

impl Match {
    pub(crate) fn read(field: Field) -> Result<Self, Flaw> {
        let mut fields = field.fields(&["methods", "authorities", "pathPrefix", "headers"])?;
        let methods = texts(fields.take("methods"), is_token, "is not a method")?;
        let authorities = texts(fields.take("authorities"), is_authority, "is not a host")?;
        Ok(Self {
            methods: methods.iter().map(|method| method.to_ascii_uppercase()).collect(),
            authorities: authorities.iter().map(|name| name.to_ascii_lowercase()).collect(),
            path_prefix: path_prefix(fields.take("pathPrefix"))?,
            headers: headers(fields.take("headers"))?,
        })
    }

    /// Whether a request fulfils every condition.
    pub fn includes(&self, request: &impl Headers) -> bool {
        let has =
            |name: &str, test: &dyn Fn(&[u8]) -> bool| test(&request.get(name).unwrap_or_default());
        let is_one_of = |known: &[String], value: &[u8]| {
            known.is_empty()
                || known.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(value))
        };
        has(":method", &|value| is_one_of(&self.methods, value))
            && has(":authority", &|value| is_one_of(&self.authorities, value))
            && has(":path", &|value| value.starts_with(self.path_prefix.as_bytes()))
            && self
                .headers
                .iter()
                .all(|(name, wanted)| request.get(name).as_deref() == Some(wanted.as_bytes()))
    }
}

/// Whether this text can be a host, with or without a port.
fn is_authority(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~:[]%".contains(&byte))
}

/// Reads a path prefix. Refuses a prefix that no path can begin with: it would let every request pass without a lock.
fn path_prefix(field: Field) -> Result<String, Flaw> {
    let no_path = field.flaw("must begin with /");
    let not_sent = field.flaw("must be as requests have it: printable ASCII, without spaces and #");
    let prefix = field.text_or("")?;
    if !prefix.is_empty() && !prefix.starts_with('/') {
        return Err(no_path);
    }
    let is_sent = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
    if prefix.bytes().all(is_sent) { Ok(prefix) } else { Err(not_sent) }
}

/// Reads the headers that a request must have, with one value for each name.
fn headers(field: Field) -> Result<Vec<(String, String)>, Flaw> {
    let mut headers: Vec<(String, String)> = Vec::new();
    for (name, value) in field.entries()? {
        let name = header(&name, &value)?;
        if headers.iter().any(|(known, _)| *known == name) {
            return Err(value.flaw("is given twice"));
        }
        headers.push((name, value.text()?));
    }
    Ok(headers)
}

/// The texts of a list. None may be empty.
fn texts(
    field: Field,
    is_right: impl Fn(&str) -> bool,
    problem: &str,
) -> Result<Vec<String>, Flaw> {
    let text = |item: Field| {
        let flaw = item.flaw(problem);
        Some(item.required()?).filter(|text| is_right(text)).ok_or(flaw)
    };
    field.items()?.into_iter().map(text).collect()
}

/// The name of a header as requests have it.
fn header(name: &str, value: &Field) -> Result<String, Flaw> {
    let name = name.to_ascii_lowercase();
    match name.as_str() {
        "host" => Ok(AUTHORITY.into()),
        ":method" | ":scheme" | AUTHORITY | ":path" => Ok(name),
        name if is_token(name) => Ok(name.into()),
        _ => Err(value.flaw("is not the name of a header")),
    }
}

#[cfg(test)]
mod tests {
    use alloc::{borrow::ToOwned, format};

    use serde_json::{Value, json};

    use super::*;

    struct Get(&'static str);

    impl Headers for Get {
        fn get(&self, name: &str) -> Option<Vec<u8>> {
            let value = match name {
                ":method" => "GET",
                ":authority" => "Shop.example",
                ":path" => self.0,
                "x-tenant" => "a",
                _ => return None,
            };
            Some(value.into())
        }
    }

    fn includes(conditions: Value) -> bool {
        Match::read(Field::root(conditions)).unwrap().includes(&Get("/reports/1"))
    }

    #[test]
    fn every_condition_must_hold() {
        for (conditions, included) in [
            (json!(null), true),
            (json!({}), true),
            (json!({"methods": ["head", "get"]}), true),
            (json!({"methods": ["POST"]}), false),
            (json!({"authorities": ["shop.example"]}), true),
            (json!({"authorities": ["other.example"]}), false),
            (json!({"pathPrefix": "/reports/"}), true),
            (json!({"pathPrefix": "/report/"}), false),
            (json!({"headers": {"X-Tenant": "a"}}), true),
            (json!({"headers": {"Host": "Shop.example", ":method": "GET"}}), true),
            (json!({"headers": {"x-tenant": "b"}}), false),
            (json!({"headers": {"x-other": ""}}), false),
            (json!({"methods": ["GET"], "pathPrefix": "/other"}), false),
        ] {
            let message = format!("{conditions}");
            assert_eq!(includes(conditions), included, "{message}");
        }
    }

    #[test]
    fn a_condition_of_another_form_is_refused() {
        for (conditions, field) in [
            (json!({"methods": "GET"}), "methods"),
            (json!({"methods": [1]}), "methods[0]"),
            (json!({"methods": ["GET,HEAD"]}), "methods[0]"),
            (json!({"authorities": ["*"]}), "authorities[0]"),
            (json!({"authorities": ["\u{e9}.example"]}), "authorities[0]"),
            (json!({"authorities": ["a b"]}), "authorities[0]"),
            (json!({"pathPrefix": "/a b"}), "pathPrefix"),
            (json!({"pathPrefix": "/\u{e9}"}), "pathPrefix"),
            (json!({"pathPrefix": "/a#b"}), "pathPrefix"),
            (json!({"headers": {"X-A": "a", "x-a": "b"}}), "headers.x-a"),
            (json!({"headers": {":authority": "a", "host": "b"}}), "headers.host"),
            (json!({"headers": {"": "a"}}), "headers.\"\""),
            (json!({"methods": ["GET", "G ET"]}), "methods[1]"),
            (json!({"authorities": [""]}), "authorities[0]"),
            (json!({"authorities": ["https://shop.example/"]}), "authorities[0]"),
            (json!({"headers": {"x tenant": "a"}}), "headers.x tenant"),
            (json!({"headers": {":authoriti": "a"}}), "headers.:authoriti"),
            (json!({"pathPrefix": "reports"}), "pathPrefix"),
            (json!({"headers": {"a": 1}}), "headers.a"),
            (json!({"path": "/"}), "path"),
            (json!([]), ""),
        ] {
            let flaw = Match::read(Field::root(conditions)).unwrap_err();
            assert_eq!(flaw.field, field.to_owned(), "{flaw}");
        }
    }
}
