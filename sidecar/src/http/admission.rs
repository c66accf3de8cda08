//! The check of the API token in a request's headers.

use holdfast_dapr_api::{TOKEN_HEADER, health};
use hyper::{HeaderMap, Method};

use crate::token::Token;

/// Whether a request carries the token, or needs none. `path` is the path as it was sent.
pub(super) fn admits(token: &Token, method: &Method, path: &str, headers: &HeaderMap) -> bool {
    let sent = headers.get(TOKEN_HEADER).map_or(&[][..], |sent| sent.as_bytes());
    token.is(sent) || health::is_check(method.as_str(), path)
}
