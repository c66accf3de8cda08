//! `GET /ui`: the page on which operators see the locks.

use bytes::Bytes;
use holdfast_dapr_api::path::clean;
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode, Uri,
    header::{
        CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, LOCATION,
        REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    },
};

use crate::http::{ResponseBody, head_refusal};

/// The page may connect only to the server that it comes from, and no other page may embed it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The part of the page at this path, if there is one: its type and its text.
fn part(path: &str) -> Option<(&'static str, &'static str)> {
    match path {
        "/ui" => Some(("text/html; charset=utf-8", include_str!("ui/page.html"))),
        "/ui/page.css" => Some(("text/css; charset=utf-8", include_str!("ui/page.css"))),
        "/ui/page.js" => Some(("text/javascript; charset=utf-8", include_str!("ui/page.js"))),
        _ => None,
    }
}

/// The response to a request for the page; `None` for other requests, and for those that are malformed.
pub(super) fn answer<B>(request: &Request<B>) -> Option<Response<ResponseBody>> {
    let (content_type, text) = part(&clean(request.uri().path()))?;
    let reads = [Method::GET, Method::HEAD].contains(request.method());
    let refusal = head_refusal(request.version(), request.method(), request.headers());
    if !reads || refusal.is_some() {
        return None;
    }
    if request.uri().path().ends_with('/') {
        return Some(without_slash(request.uri()));
    }
    let mut response = whole(text);
    response.headers_mut().extend(
        [
            (CONTENT_TYPE, content_type),
            (CONTENT_SECURITY_POLICY, POLICY),
            (CACHE_CONTROL, "no-cache"),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (REFERRER_POLICY, "no-referrer"),
        ]
        .map(|(name, value)| (name, HeaderValue::from_static(value))),
    );
    Some(response)
}

/// Leads to the same part without the slash at its end: the page names its other parts by relative paths, which a proxy
/// may have put below one of its own.
fn without_slash(sent: &Uri) -> Response<ResponseBody> {
    let last = sent.path().trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let query = sent.query().map(|query| format!("?{query}")).unwrap_or_default();
    let mut response = whole("");
    if let Ok(location) = HeaderValue::try_from(format!("../{last}{query}")) {
        *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

fn whole(text: &'static str) -> Response<ResponseBody> {
    Response::new(ResponseBody::Left(Full::new(Bytes::from_static(text.as_bytes()))))
}
