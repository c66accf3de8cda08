//! The resource of a request: text with the request's parts in it.

use alloc::{format, string::String, vec::Vec};
use core::{fmt::Write as _, str};

use crate::Headers;

/// The name of the header that HTTP/1 calls `host`.
pub(crate) const AUTHORITY: &str = ":authority";

/// The path without its query.
const PATH_ONLY: &str = ":path-only";

/// The names in braces that begin with a colon.
const PSEUDO: [&str; 5] = [":method", ":scheme", AUTHORITY, ":path", PATH_ONLY];

/// The longest resource of a request, in bytes. Whatever its characters, it fits into a call about a lease.
pub const MAX_RESOURCE_BYTES: usize = 3_000;

/// Text with the names of headers in braces, such as `{:authority}{:path}`.
///
/// A name in braces stands for the value of that header. `{:path}` has the query, `{:path-only}` does not. `{host}` is
/// `{:authority}`, which is in lower case. A header that the request lacks is empty. `{{` and `}}` are braces.
///
/// In values, `|` and every byte that is not printable ASCII become `%` and two hexadecimal digits, so that no client
/// can make a resource that the lock API refuses, or one with the parts of another application's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// The value of this header, or [`PATH_ONLY`].
    Value(String),
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    ///
    /// If braces do not match, or no header can have a name.
    pub fn read(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                plain.push_str(brace);
                rest = after;
                continue;
            }
            let Some((name, after)) = rest.split_once('}').filter(|_| brace == "{") else {
                return Err("has a single brace: write {{ or }} for a brace".into());
            };
            if !plain.is_empty() {
                pieces.push(Piece::Text(core::mem::take(&mut plain)));
            }
            pieces.push(Piece::Value(name_of(name)?));
            rest = after;
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        let reserved = "||";
        let literal = |piece: &Piece| matches!(piece, Piece::Text(text) if text.contains(reserved));
        if pieces.iter().any(literal) {
            return Err(format!("may not contain {reserved}, which separates the parts of a key"));
        }
        let length = |piece: &Piece| if let Piece::Text(text) = piece { text.len() } else { 0 };
        if pieces.iter().map(length).sum::<usize>() > MAX_RESOURCE_BYTES {
            return Err(format!("must be at most {MAX_RESOURCE_BYTES} bytes long"));
        }
        Ok(Self(pieces))
    }

    /// The resource of a request; `None` if it is empty, or longer than [`MAX_RESOURCE_BYTES`]. Such a request gets no
    /// lock, and must not go on: otherwise its client could choose to go on without a lock.
    pub fn of(&self, request: &impl Headers) -> Option<String> {
        let mut resource = String::new();
        for piece in &self.0 {
            match piece {
                // A header that is missing may bring two bars together.
                Piece::Text(text) => match text.strip_prefix('|') {
                    Some(rest) if resource.ends_with('|') => {
                        escape(b"|", &mut resource);
                        resource.push_str(rest);
                    }
                    _ => resource.push_str(text),
                },
                Piece::Value(name) => escape(&value(request, name), &mut resource),
            }
        }
        (1..=MAX_RESOURCE_BYTES).contains(&resource.len()).then_some(resource)
    }
}

/// Reads a name in braces, and puts it into lower case.
fn name_of(name: &str) -> Result<String, String> {
    let lower = name.to_ascii_lowercase();
    if PSEUDO.contains(&lower.as_str()) {
        Ok(lower)
    } else if lower == "host" {
        Ok(AUTHORITY.into())
    } else if name.starts_with(':') {
        let known = PSEUDO.map(|name| format!("{{{name}}}")).join(", ");
        Err(format!("has {{{name}}}, which is unknown: use {known} or {{a header's name}}"))
    } else if PSEUDO.iter().any(|pseudo| pseudo[1..] == lower) {
        // No client sends a header of this name, so all requests would have one resource.
        Err(format!("has {{{name}}} without a colon: did you mean {{:{lower}}}?"))
    } else if !is_token(name) {
        Err(format!("has {{{name}}}, which is not the name of a header"))
    } else {
        Ok(lower)
    }
}

/// Whether the text can be the name of a method or a header (RFC 9110, section 5.6.2).
pub(crate) fn is_token(name: &str) -> bool {
    let is_of_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(is_of_token)
}

fn value(request: &impl Headers, name: &str) -> Vec<u8> {
    if name != PATH_ONLY {
        let mut value = request.get(name).unwrap_or_default();
        if name == AUTHORITY {
            // Hosts are the same in any case (RFC 9110, section 4.2.3).
            value.make_ascii_lowercase();
        }
        return value;
    }
    let mut path = request.get(":path").unwrap_or_default();
    let end = path.iter().position(|byte| matches!(byte, b'?' | b'#')).unwrap_or(path.len());
    path.truncate(end);
    path
}

fn escape(value: &[u8], resource: &mut String) {
    for &byte in value {
        match byte {
            b'|' | ..b' ' | 0x7f.. => {
                // Writing to a string does not fail.
                let _ = write!(resource, "%{byte:02X}");
            }
            byte => resource.push(char::from(byte)),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::{borrow::ToOwned, vec};

    use super::*;

    struct Request(Vec<(&'static str, &'static [u8])>);

    impl Headers for Request {
        fn get(&self, name: &str) -> Option<Vec<u8>> {
            let header = self.0.iter().find(|(known, _)| *known == name);
            header.map(|(_, value)| value.to_vec())
        }
    }

    fn request() -> Request {
        Request(vec![
            (":method", b"GET"),
            (":authority", b"Shop.Example"),
            (":path", b"/a||b?c=d#e"),
            ("x-tenant", b"t\xc3\xa9\n|"),
            ("x-edge", b" ~\x7f"),
        ])
    }

    #[test]
    fn names_in_braces_stand_for_the_parts_of_a_request() {
        for (template, resource) in [
            ("fixed", "fixed"),
            ("{host}", "shop.example"),
            ("{:method} {:authority}{:path}", "GET shop.example/a%7C%7Cb?c=d#e"),
            ("{:path-only}", "/a%7C%7Cb"),
            ("{X-Tenant}|", "t%C3%A9%0A%7C|"),
            ("{x-edge}", " ~%7F"),
            ("<{x-none}>", "<>"),
            ("a|{x-none}|b", "a|%7Cb"),
            ("{{{:method}}}", "{GET}"),
            ("{{:method}}", "{:method}"),
            ("{{path}}{x-path}", "{path}"),
        ] {
            let made = Template::read(template).unwrap().of(&request());
            assert_eq!(made.as_deref(), Some(resource), "{template}");
        }
    }

    #[test]
    fn a_resource_is_neither_empty_nor_too_long() {
        let of = |template: &str, path: &'static [u8]| {
            Template::read(template).unwrap().of(&Request(vec![(":path", path)]))
        };
        assert_eq!(of("{x-tenant}", b"/"), None);
        assert_eq!(
            of("{:path}", &[b'/'; MAX_RESOURCE_BYTES]).map(|resource| resource.len()),
            Some(MAX_RESOURCE_BYTES)
        );
        assert_eq!(of("{:path}", &[b'/'; MAX_RESOURCE_BYTES + 1]), None);
        assert_eq!(of("{:path}", &[b'|'; MAX_RESOURCE_BYTES / 3 + 1]), None);
    }

    #[test]
    fn an_invalid_template_is_refused_with_the_reason() {
        for (template, reason) in [
            ("{:method", "has a single brace: write {{ or }} for a brace"),
            (":method}", "has a single brace: write {{ or }} for a brace"),
            ("{}", "has {}, which is not the name of a header"),
            ("{x tenant}", "has {x tenant}, which is not the name of a header"),
            ("a{path}", "has {path} without a colon: did you mean {:path}?"),
            ("{Path-Only}", "has {Path-Only} without a colon: did you mean {:path-only}?"),
            ("{:path}{method}", "has {method} without a colon: did you mean {:method}?"),
            ("{scheme}", "has {scheme} without a colon: did you mean {:scheme}?"),
            ("{authority}", "has {authority} without a colon: did you mean {:authority}?"),
            ("a||b", "may not contain ||, which separates the parts of a key"),
        ] {
            assert_eq!(Template::read(template), Err(reason.to_owned()), "{template}");
        }
        assert!(Template::read(&"x".repeat(MAX_RESOURCE_BYTES)).is_ok());
        let long = Template::read(&format!("{}{{:path}}x", "x".repeat(MAX_RESOURCE_BYTES)));
        assert_eq!(long, Err("must be at most 3000 bytes long".to_owned()));
        let unknown = Template::read("{:port}").unwrap_err();
        assert!(unknown.starts_with("has {:port}, which is unknown: use {:method}, "));
    }
}
