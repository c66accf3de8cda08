//! Cleaning and unescaping the path of a URL.
//!
//! Cleaning works on the path as it was sent: `%2F` does not separate segments and `%2e` is not a dot.
//! Dapr 1.18 does the same (`CleanPathMiddleware`: Go's `path.Clean` of the escaped path).

use alloc::{borrow::Cow, format, vec::Vec};

use percent_encoding::percent_decode_str;

/// The path without empty and `.` segments and without a slash at its end, and with `..` resolved.
pub fn clean(path: &str) -> Cow<'_, str> {
    let untidy = path.contains("//") || path.contains("/.") || path.ends_with('/');
    if path.len() <= 1 || !untidy {
        return Cow::Borrowed(path);
    }
    let mut segments = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            name => segments.push(name),
        }
    }
    Cow::Owned(format!("/{}", segments.join("/")))
}

/// Whether each `%` is followed by two hexadecimal digits.
pub fn is_well_escaped(path: &str) -> bool {
    path.split('%').skip(1).all(|rest| {
        let digits = rest.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    })
}

/// A segment with its escapes resolved and each `+` as a space: Dapr uses Go's `url.QueryUnescape`.
/// Bytes that are not UTF-8 become U+FFFD.
pub fn unescape(segment: &str) -> Cow<'_, str> {
    if !segment.contains(['%', '+']) {
        return Cow::Borrowed(segment);
    }
    let spaced = segment.replace('+', " ");
    Cow::Owned(percent_decode_str(&spaced).decode_utf8_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_as_go_cleans_them() {
        for (sent, cleaned) in [
            ("/", "/"),
            ("//", "/"),
            ("/a/b", "/a/b"),
            ("/a/b/", "/a/b"),
            ("//a///b//", "/a/b"),
            ("/a/./b/.", "/a/b"),
            ("/a/x/../b", "/a/b"),
            ("/../../a", "/a"),
            ("/a/..", "/"),
            ("/a/.b/..c", "/a/.b/..c"),
            ("/a/%2e%2e/b", "/a/%2e%2e/b"),
            ("/a%2F%2Fb", "/a%2F%2Fb"),
        ] {
            assert_eq!(clean(sent), cleaned, "{sent}");
        }
    }

    #[test]
    fn escapes_are_resolved_once() {
        for (sent, meant) in [
            ("store", "store"),
            ("my%20store", "my store"),
            ("my+store", "my store"),
            ("a%2Bb", "a+b"),
            ("a%2Fb", "a/b"),
            ("%2525", "%25"),
            ("%C3%A9", "é"),
            ("%FF", "\u{FFFD}"),
        ] {
            assert!(is_well_escaped(sent), "{sent}");
            assert_eq!(unescape(sent), meant, "{sent}");
        }
    }

    #[test]
    fn broken_escapes_are_seen() {
        for path in ["%", "/a%", "/a%1", "/a%zz", "/%é0", "%%20"] {
            assert!(!is_well_escaped(path), "{path}");
        }
    }
}
