//! The API token: who may call at all.

use std::fmt;

use hyper::{HeaderMap, Method};
use subtle::ConstantTimeEq;

/// What each request must show in its `dapr-api-token` header. Never shown, not in debug output
/// either.
pub(super) struct Token(Vec<u8>);

impl Token {
    pub(super) fn new(token: &str) -> Self {
        Self(token.as_bytes().to_owned())
    }

    /// Whether a request may pass. Health checks need no token, as long as their path is as Dapr
    /// writes it: the exemption is looked up before the path is cleaned (Dapr 1.18,
    /// `isRouteExcludedFromAPITokenAuth`).
    pub(super) fn admits(&self, method: &Method, path: &str, headers: &HeaderMap) -> bool {
        let shown = headers.get("dapr-api-token").map_or(&[][..], |shown| shown.as_bytes());
        let known = bool::from(self.0.ct_eq(shown));
        known || (*method == Method::GET && is_health_check(path))
    }
}

fn is_health_check(path: &str) -> bool {
    matches!(path.trim_matches('/'), "v1.0/healthz" | "v1.0/healthz/outbound")
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}
