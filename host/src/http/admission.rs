//! Which requests need no API token.

use hyper::{HeaderMap, Method};

use crate::sidecar::{TOKEN_HEADER, Token};

/// Whether a request may pass. Health checks need no token, as long as their path is as Dapr writes
/// it: the exemption is looked up before the path is cleaned (Dapr 1.18,
/// `isRouteExcludedFromAPITokenAuth`).
pub(super) fn admits(token: &Token, method: &Method, path: &str, headers: &HeaderMap) -> bool {
    let shown = headers.get(TOKEN_HEADER).map_or(&[][..], |shown| shown.as_bytes());
    token.is(shown) || (*method == Method::GET && is_health_check(path))
}

fn is_health_check(path: &str) -> bool {
    matches!(path.trim_matches('/'), "v1.0/healthz" | "v1.0/healthz/outbound")
}
