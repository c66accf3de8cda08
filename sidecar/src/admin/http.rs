//! `GET /v1.0/leases/{store}`, `DELETE /v1.0/leases/{store}/{resource}`, and `GET /openapi.json`, which describes both.

use holdfast::{Resource, Verb};
use holdfast_dapr_api::{
    Reply,
    path::{clean, is_well_escaped, unescape},
    reply,
};
use hyper::{Method, Request, Response};
use percent_encoding::percent_decode_str;

use super::{
    form::{self, DEFAULT_LIMIT},
    refusal::Refusal,
};
use crate::{
    http::{ResponseBody, failed, head_refusal, response},
    openapi,
    sidecar::Sidecar,
};

/// What a request asks for.
enum Route {
    List { store: String },
    ForceRelease { store: String, resource: String },
    OpenApi,
}

/// What a query asks for.
#[derive(Debug, PartialEq, Eq)]
struct Query {
    prefix: String,
    cursor: Option<String>,
    limit: u32,
}

pub(super) async fn answer<B>(
    sidecar: &Sidecar,
    request: &Request<B>,
    refusal: Option<Refusal>,
) -> Response<ResponseBody> {
    response(reply(sidecar, request, refusal).await)
}

async fn reply<B>(sidecar: &Sidecar, request: &Request<B>, refusal: Option<Refusal>) -> Reply {
    if let Some(refusal) = head_refusal(request.version(), request.method(), request.headers()) {
        return refusal;
    }
    if let Some(refusal) = refusal {
        let (status, code) = match refusal {
            Refusal::Token => (401, "ERR_ADMIN_TOKEN"),
            Refusal::Foreign => (403, "ERR_ADMIN_FOREIGN"),
        };
        return reply::error(status, code, refusal.message());
    }
    let sent = request.uri().path();
    if !is_well_escaped(sent) {
        return reply::bad_request();
    }
    match route(request.method(), &clean(sent)) {
        Some(Route::List { store }) => match query(request.uri().query().unwrap_or_default()) {
            Ok(query) => list(sidecar, &store, query).await,
            Err(problem) => reply::error(400, "ERR_MALFORMED_REQUEST", &problem),
        },
        Some(Route::ForceRelease { store, resource }) => {
            force_release(sidecar, Resource { store: &store, id: &resource }).await
        }
        Some(Route::OpenApi) => openapi::reply(openapi::OPERATORS),
        None => reply::error(
            404,
            "ERR_ADMIN_ROUTE",
            "operators have GET /v1.0/leases/{store}, DELETE /v1.0/leases/{store}/{resource} and GET /openapi.json",
        ),
    }
}

fn route(method: &Method, path: &str) -> Option<Route> {
    if (method, path) == (&Method::GET, "/openapi.json") {
        return Some(Route::OpenApi);
    }
    let rest = path.strip_prefix("/v1.0/leases/")?;
    match (method, rest.split_once('/')) {
        (&Method::GET, None) => Some(Route::List { store: segment(rest) }),
        (&Method::DELETE, Some((store, resource))) if !resource.contains('/') => {
            Some(Route::ForceRelease { store: segment(store), resource: segment(resource) })
        }
        _ => None,
    }
}

/// A segment of a path with its escapes resolved. A `+` is itself: another lock must not be freed.
fn segment(escaped: &str) -> String {
    percent_decode_str(escaped).decode_utf8_lossy().into_owned()
}

fn query(query: &str) -> Result<Query, String> {
    let mut read = Query { prefix: String::new(), cursor: None, limit: DEFAULT_LIMIT };
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if !is_well_escaped(value) {
            return Err(format!("{name}: invalid URL escape"));
        }
        let value = unescape(value).into_owned();
        match name {
            "prefix" => read.prefix = value,
            "cursor" => read.cursor = Some(value).filter(|cursor| !cursor.is_empty()),
            "limit" => {
                read.limit =
                    value.parse().map_err(|_| format!("limit: {value} is not a number"))?;
            }
            _ => return Err(format!("unknown parameter '{name}'")),
        }
    }
    Ok(read)
}

async fn list(sidecar: &Sidecar, store: &str, query: Query) -> Reply {
    let Query { prefix, cursor, limit } = query;
    match sidecar.locks().list(store, &prefix, cursor.as_deref(), limit).await {
        Ok(page) => reply::json(200, form::page(page).to_string().into_bytes()),
        Err(error) => failed(sidecar, Verb::ListLocks, error, None),
    }
}

async fn force_release(sidecar: &Sidecar, resource: Resource<'_>) -> Reply {
    match sidecar.locks().force_release(resource).await {
        Ok(owner) => reply::json(200, form::released(owner).to_string().into_bytes()),
        Err(error) => failed(sidecar, Verb::ForceRelease, error, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_read() {
        let expected = Query { prefix: "a b/".into(), cursor: Some("17".into()), limit: 5 };
        assert_eq!(query("prefix=a+b%2F&cursor=17&limit=5"), Ok(expected));
        let default = Query { prefix: String::new(), cursor: None, limit: 100 };
        assert_eq!(query("cursor=&prefix"), Ok(default));
        for (wrong, problem) in [
            ("limit=many", "limit: many is not a number"),
            ("limit=-1", "limit: -1 is not a number"),
            ("prefx=a", "unknown parameter 'prefx'"),
            ("prefix=%zz", "prefix: invalid URL escape"),
        ] {
            assert_eq!(query(wrong), Err(problem.to_owned()));
        }
    }
}
