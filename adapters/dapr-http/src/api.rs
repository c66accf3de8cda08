//! The answer to a request.

use alloc::{collections::BTreeMap, string::String, vec::Vec};

use holdfast_dapr_api::{
    Reply, Route, TOKEN_HEADER, health,
    metadata::{self, Component},
    path, reply,
};
use wasip2::http::types::{IncomingRequest, Method};

use crate::{
    bindings::{json, store},
    body,
    settings::Settings,
};

/// An instance that can be asked is ready.
const READY: Option<&str> = None;

/// What stores are called, whose interface does not say it: those of the compositions are in Redis.
const STORE_TYPE: &str = "lock.redis";

pub(crate) fn answer(request: &IncomingRequest) -> Reply {
    let settings = Settings::get();
    let method = request.method();
    let method = name(&method);
    let target = request.path_with_query().unwrap_or_default();
    let (sent_path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target.as_str(), None),
    };
    if !path::is_well_escaped(sent_path) {
        return reply::bad_request();
    }
    if settings.has_token()
        && !settings.is_token(&shown(request))
        && !health::is_check(method, sent_path)
    {
        return reply::invalid_token();
    }
    match Route::of(method, &path::clean(sent_path)) {
        Route::TryLock { store } => with_body(request, |body| json::try_lock(&store, body)),
        Route::Unlock { store } => with_body(request, |body| json::unlock(&store, body)),
        Route::Healthz => health::healthz(&settings.app_id, query, READY),
        Route::OutboundHealthz => health::outbound(READY),
        Route::Metadata => describe(settings),
        // What one instance was told, the others would not know.
        Route::PutMetadata { .. } | Route::Unknown => reply::not_found(),
    }
}

fn with_body(request: &IncomingRequest, call: impl FnOnce(&[u8]) -> json::Reply) -> Reply {
    match body::read(request) {
        Ok(body) => {
            let json::Reply { status, body } = call(&body);
            reply::json(status, body)
        }
        Err(refusal) => refusal,
    }
}

/// The token that the caller shows, empty for none.
fn shown(request: &IncomingRequest) -> Vec<u8> {
    request.headers().get(TOKEN_HEADER).into_iter().next().unwrap_or_default()
}

fn describe(settings: &Settings) -> Reply {
    let stores = store::stores();
    let components = stores.iter().map(|store| Component {
        name: &store.name,
        component_type: STORE_TYPE,
        version: "v1",
    });
    let extended = metadata::extended(BTreeMap::<String, String>::new());
    match metadata::to_json(&settings.app_id, components, &extended) {
        Ok(document) => reply::json(200, document),
        Err(error) => reply::not_encoded(&error),
    }
}

fn name(method: &Method) -> &str {
    match method {
        Method::Get => "GET",
        Method::Head => "HEAD",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Delete => "DELETE",
        Method::Connect => "CONNECT",
        Method::Options => "OPTIONS",
        Method::Trace => "TRACE",
        Method::Patch => "PATCH",
        Method::Other(name) => name,
    }
}
