//! `GET /ui`: the page on which operators see the locks.

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Response, StatusCode,
    header::{ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue},
};

use crate::http::ResponseBody;

/// The page asks nobody but the server that it comes from, and is shown in no other page.
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

/// The response to a request for the page; `None` for other requests.
pub(super) fn answer(method: &Method, path: &str) -> Option<Response<ResponseBody>> {
    let (content_type, text) = part(path)?;
    let of = |status, text: &'static str| {
        let mut response =
            Response::new(ResponseBody::Left(Full::new(Bytes::from_static(text.as_bytes()))));
        *response.status_mut() = status;
        response
    };
    if ![Method::GET, Method::HEAD].contains(method) {
        let mut refused = of(StatusCode::METHOD_NOT_ALLOWED, "");
        refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return Some(refused);
    }
    let mut response = of(StatusCode::OK, text);
    response.headers_mut().extend(
        [
            (CONTENT_TYPE, content_type),
            (CONTENT_SECURITY_POLICY, POLICY),
            (CACHE_CONTROL, "no-cache"),
            (hyper::header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (hyper::header::REFERRER_POLICY, "no-referrer"),
        ]
        .map(|(name, value)| (name, HeaderValue::from_static(value))),
    );
    Some(response)
}
