//! `GET` and `DELETE /v1.0/leases/{store}`, `DELETE /v1.0/leases/{store}/{resource}` and `GET /v1.0/watch`, and
//! `GET /openapi.json`, which describes them.

use std::borrow::Cow;

use holdfast::{Resource, Verb};
use holdfast_dapr_api::{
    Reply,
    path::{clean, is_well_escaped},
    reply,
};
use hyper::{Method, Request, Response};
use percent_encoding::percent_decode_str;

use super::{
    events,
    form::{self, DEFAULT_LIMIT},
    refusal::Refusal,
    room::Room,
};
use crate::{
    http::{ResponseBody, failed, head_refusal, response},
    openapi,
    sidecar::Sidecar,
};

/// The answer to a request to another route.
const ROUTES: &str = "operators have GET /v1.0/leases/{store}, DELETE /v1.0/leases/{store}, \
                      DELETE /v1.0/leases/{store}/{resource}, GET /v1.0/watch, GET /openapi.json, and GET /ui \
                      where the server has --ui";

/// The call that a request makes.
enum Route {
    List {
        store: String,
    },
    /// The resource is in the query if it is not in the path: in a path, some names mean the folder itself or the one
    /// above.
    ForceRelease {
        store: String,
        /// Escaped.
        resource: Option<String>,
    },
    Watch,
    OpenApi,
}

/// The parameters of a list.
#[derive(Debug, PartialEq, Eq)]
struct Query {
    prefix: String,
    cursor: Option<String>,
    limit: u32,
}

/// The parameters of a watch.
#[derive(Debug, Default, PartialEq, Eq)]
struct WatchQuery {
    /// One store, or all.
    store: Option<String>,
    prefix: String,
}

pub(super) async fn answer<B>(
    sidecar: &Sidecar,
    room: &Room,
    request: &Request<B>,
    refusal: Option<Refusal>,
) -> Response<ResponseBody> {
    call(sidecar, room, request, refusal).await.unwrap_or_else(response)
}

/// The response to a request, or the reply to one that is refused.
async fn call<B>(
    sidecar: &Sidecar,
    room: &Room,
    request: &Request<B>,
    refusal: Option<Refusal>,
) -> Result<Response<ResponseBody>, Reply> {
    if let Some(refusal) = head_refusal(request.version(), request.method(), request.headers()) {
        return Err(refusal);
    }
    if let Some(refusal) = refusal {
        let (status, code) = match refusal {
            Refusal::Token => (401, "ERR_ADMIN_TOKEN"),
            Refusal::Foreign => (403, "ERR_ADMIN_FOREIGN"),
        };
        return Err(reply::error(status, code, refusal.message()));
    }
    // Kept for as long as the call needs its headers.
    let room_for_head = sidecar.intake().headers(request.headers());
    let _room_for_head =
        room_for_head.map_err(|problem| reply::overloaded(&problem.to_string()))?;
    let sent = request.uri().path();
    if !is_well_escaped(sent) {
        return Err(reply::bad_request());
    }
    let query = || parameters(request.uri().query().unwrap_or_default());
    match route(request.method(), &clean(sent)) {
        Some(Route::List { store }) => {
            let query = query().and_then(Query::read).map_err(malformed)?;
            Ok(response(list(sidecar, &store, query).await))
        }
        Some(Route::ForceRelease { store, resource }) => {
            let resource = query().and_then(|query| named_resource(resource, query));
            let resource = Resource { store: &store, id: &resource.map_err(malformed)? };
            Ok(response(force_release(sidecar, resource).await))
        }
        Some(Route::Watch) => {
            watch(sidecar, room, query().and_then(WatchQuery::read).map_err(malformed)?)
        }
        Some(Route::OpenApi) => Ok(response(openapi::reply(openapi::OPERATORS))),
        None => Err(reply::error(404, "ERR_ADMIN_ROUTE", ROUTES)),
    }
}

fn route(method: &Method, path: &str) -> Option<Route> {
    match path {
        "/v1.0/watch" => return (method == Method::GET).then_some(Route::Watch),
        "/openapi.json" => return (method == Method::GET).then_some(Route::OpenApi),
        _ => {}
    }
    let rest = path.strip_prefix("/v1.0/leases/")?;
    match (method, rest.split_once('/')) {
        (&Method::GET, None) => Some(Route::List { store: segment(rest) }),
        (&Method::DELETE, None) => {
            Some(Route::ForceRelease { store: segment(rest), resource: None })
        }
        (&Method::DELETE, Some((store, resource))) if !resource.contains('/') => {
            let resource = Some(resource.to_owned());
            Some(Route::ForceRelease { store: segment(store), resource })
        }
        _ => None,
    }
}

fn malformed(problem: String) -> Reply {
    reply::error(400, "ERR_MALFORMED_REQUEST", &problem)
}

/// The name of a store in a path. A name that is not UTF-8 names no store.
fn segment(escaped: &str) -> String {
    percent_decode_str(escaped).decode_utf8_lossy().into_owned()
}

/// The names and values of a query. Each name may appear once.
fn parameters(query: &str) -> Result<Vec<(&str, String)>, String> {
    let mut parameters: Vec<(&str, String)> = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if parameters.iter().any(|(earlier, _)| *earlier == name) {
            return Err(format!("{name} is given twice"));
        }
        if !is_well_escaped(value) {
            return Err(format!("{name}: invalid URL escape"));
        }
        parameters.push((name, text(name, &value.replace('+', " "))?));
    }
    Ok(parameters)
}

/// A value with its escapes resolved. One that is not UTF-8 is refused: it must not become the name of another lock.
fn text(name: &str, escaped: &str) -> Result<String, String> {
    let text = percent_decode_str(escaped).decode_utf8();
    text.map(Cow::into_owned).map_err(|_| format!("{name}: not UTF-8"))
}

impl Query {
    fn read(parameters: Vec<(&str, String)>) -> Result<Self, String> {
        let mut read = Self { prefix: String::new(), cursor: None, limit: DEFAULT_LIMIT };
        for (name, value) in parameters {
            match name {
                "prefix" => read.prefix = value,
                "cursor" => read.cursor = Some(value).filter(|cursor| !cursor.is_empty()),
                "limit" => {
                    read.limit =
                        value.parse().map_err(|_| format!("limit: {value} is not a number"))?;
                }
                _ => return Err(unknown(name)),
            }
        }
        Ok(read)
    }
}

impl WatchQuery {
    fn read(parameters: Vec<(&str, String)>) -> Result<Self, String> {
        let mut read = Self::default();
        for (name, value) in parameters {
            match name {
                "prefix" => read.prefix = value,
                "store" => read.store = Some(value).filter(|store| !store.is_empty()),
                _ => return Err(unknown(name)),
            }
        }
        Ok(read)
    }
}

/// The resource id that a force-release names, in the path or in the query.
fn named_resource(
    in_path: Option<String>,
    parameters: Vec<(&str, String)>,
) -> Result<String, String> {
    // A `+` in a path is itself.
    let mut named = in_path.map(|escaped| text("resource", &escaped)).transpose()?;
    for (name, value) in parameters {
        match name {
            "resource" if named.is_some() => return Err("resource is given twice".to_owned()),
            "resource" => named = Some(value),
            _ => return Err(unknown(name)),
        }
    }
    named.ok_or_else(|| "resource is missing".to_owned())
}

fn unknown(name: &str) -> String {
    format!("unknown parameter '{name}'")
}

async fn list(sidecar: &Sidecar, store: &str, query: Query) -> Reply {
    let Query { prefix, cursor, limit } = query;
    match sidecar.locks().list(store, &prefix, cursor.as_deref(), limit).await {
        Ok(page) => reply::json(200, form::page(page).to_string().into_bytes()),
        Err(error) => failed(sidecar, Verb::ListLocks, error, None),
    }
}

fn watch(
    sidecar: &Sidecar,
    room: &Room,
    query: WatchQuery,
) -> Result<Response<ResponseBody>, Reply> {
    let WatchQuery { store, prefix } = query;
    let locks = sidecar.locks();
    // The rules refuse a prefix that cannot be watched, whichever store it is for.
    let any = store.as_deref().or_else(|| locks.store_names().next()).unwrap_or_default();
    if let Err(error) = locks.waiting(any, &prefix) {
        return Err(failed(sidecar, Verb::ListLocks, error, None));
    }
    let room = room.take().map_err(|error| reply::overloaded(&error.to_string()))?;
    let stores =
        store.map_or_else(|| locks.store_names().map(str::to_owned).collect(), |one| vec![one]);
    Ok(events::response(sidecar, room, stores, &prefix))
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
        let query = |query| parameters(query).and_then(Query::read);
        let expected = Query { prefix: "a b/".into(), cursor: Some("17".into()), limit: 5 };
        assert_eq!(query("prefix=a+b%2F&cursor=17&limit=5"), Ok(expected));
        let default = Query { prefix: String::new(), cursor: None, limit: 100 };
        assert_eq!(query("cursor=&prefix"), Ok(default));
        for (wrong, problem) in [
            ("limit=many", "limit: many is not a number"),
            ("limit=-1", "limit: -1 is not a number"),
            ("prefx=a", "unknown parameter 'prefx'"),
            ("prefix=%zz", "prefix: invalid URL escape"),
            ("prefix=%ff", "prefix: not UTF-8"),
            ("limit=1&limit=2", "limit is given twice"),
        ] {
            assert_eq!(query(wrong), Err(problem.to_owned()));
        }
        let watch = |query| parameters(query).and_then(WatchQuery::read);
        let expected = WatchQuery { store: Some("s".into()), prefix: "a".into() };
        assert_eq!(watch("store=s&prefix=a"), Ok(expected));
        assert_eq!(watch("store="), Ok(WatchQuery::default()));
        assert_eq!(watch("cursor=1"), Err("unknown parameter 'cursor'".to_owned()));
        assert_eq!(watch("store=s&store=t"), Err("store is given twice".to_owned()));
        let resource = |query| parameters(query).and_then(|query| named_resource(None, query));
        assert_eq!(resource("resource=.%2F+b%2b"), Ok("./ b+".to_owned()));
        assert_eq!(resource("resource="), Ok(String::new()));
        for (wrong, problem) in [
            ("", "resource is missing"),
            ("resource=a&resource=b", "resource is given twice"),
            ("resource=a&prefix=b", "unknown parameter 'prefix'"),
        ] {
            assert_eq!(resource(wrong), Err(problem.to_owned()));
        }
        let in_path = |path: &str, query| {
            parameters(query).and_then(|query| named_resource(Some(path.to_owned()), query))
        };
        assert_eq!(in_path("a+b%2f", ""), Ok("a+b/".to_owned()));
        for (path, query, problem) in [
            ("a", "resource=b", "resource is given twice"),
            ("a", "prefix=b", "unknown parameter 'prefix'"),
            ("a%ff", "", "resource: not UTF-8"),
        ] {
            assert_eq!(in_path(path, query), Err(problem.to_owned()));
        }
    }
}
