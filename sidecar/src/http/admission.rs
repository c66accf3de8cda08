//! Which requests need no API token.

use holdfast_dapr_api::{TOKEN_HEADER, health};
use hyper::{HeaderMap, Method};

use crate::token::Token;

/// Whether a request may pass.
pub(super) fn admits(token: &Token, method: &Method, path: &str, headers: &HeaderMap) -> bool {
    let shown = headers.get(TOKEN_HEADER).map_or(&[][..], |shown| shown.as_bytes());
    token.is(shown) || health::is_check(method.as_str(), path)
}
