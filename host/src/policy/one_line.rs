//! A policy as one line of text.

use std::fmt;

/// Writes the parts that are set, as in `timeout 200ms; retry every 1s, 3 times`.
pub(super) fn write_parts(
    f: &mut fmt::Formatter<'_>,
    parts: [(&str, Option<String>); 3],
) -> fmt::Result {
    let parts = parts.into_iter().filter_map(|(kind, text)| Some(format!("{kind} {}", text?)));
    f.write_str(&parts.collect::<Vec<_>>().join("; "))
}
