//! Heads of requests that Go's HTTP server, and so daprd, refuses before it looks at the path.
//!
//! hyper parses the head. It refuses a head that it cannot read, and drops a length beside a chunked body, so these two
//! cannot be checked here.

use holdfast_dapr_api::{Reply, reply};
use hyper::{
    HeaderMap, Method, Version,
    header::{EXPECT, HOST, TRANSFER_ENCODING},
};

/// The reply to a request with such a head, `None` for others.
pub(crate) fn refusal(version: Version, method: &Method, headers: &HeaderMap) -> Option<Reply> {
    if version == Version::HTTP_2 {
        return None;
    }
    if has_other_encodings(headers) {
        return Some(reply::unsupported_encoding());
    }
    let mut hosts = headers.get_all(HOST).iter();
    let wrong_host = match (hosts.next(), hosts.next()) {
        (Some(host), None) if host.as_bytes().iter().all(is_of_host) => None,
        (Some(_), None) => Some(reply::malformed_host()),
        (Some(_), Some(_)) => Some(reply::bad_request()),
        (None, _) if version < Version::HTTP_11 || *method == Method::CONNECT => None,
        (None, _) => Some(reply::missing_host()),
    };
    wrong_host.or_else(|| expects_more(headers).then(reply::expectation_failed))
}

/// Whether the caller expects something other than `100-continue`. Go looks only at the first of several fields, and
/// takes one that has `100-continue` beside others (`net/http`, `expectsContinue`).
fn expects_more(headers: &HeaderMap) -> bool {
    let expected = headers.get(EXPECT).map_or(&[][..], |expected| expected.as_bytes());
    let mut words = expected.split(|byte| b" ,\t".contains(byte));
    !expected.is_empty() && !words.any(|word| word.eq_ignore_ascii_case(b"100-continue"))
}

/// Whether the body has an encoding other than `chunked`.
fn has_other_encodings(headers: &HeaderMap) -> bool {
    let mut encodings = headers.get_all(TRANSFER_ENCODING).iter();
    match (encodings.next(), encodings.next()) {
        (None, _) => false,
        (Some(only), None) => !only.as_bytes().eq_ignore_ascii_case(b"chunked"),
        _ => true,
    }
}

/// Whether Go takes this byte in a `Host` (`golang.org/x/net/http/httpguts`, `ValidHostHeader`).
fn is_of_host(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!$%&()*+,-.:;=[']_~".contains(byte)
}
