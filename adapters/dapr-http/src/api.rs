//! Routes a request and makes the reply.

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

/// Why this instance is not ready. Always `None`, because an instance that runs is ready.
const OBSTACLE: Option<&str> = None;

/// The type of every store. The `store` interface does not report it; the compositions have Redis stores.
const STORE_TYPE: &str = "lock.redis";

/// Handles a request.
pub(crate) fn handle(request: &IncomingRequest) -> Reply {
    let settings = Settings::get();
    let method = request.method();
    let method = method_name(&method);
    let target = request.path_with_query().unwrap_or_default();
    let (sent_path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target.as_str(), None),
    };
    if !path::is_well_escaped(sent_path) {
        // The runtime owns the connections, and refuses a header that is about them.
        return Reply { header: None, ..reply::bad_request() };
    }
    if settings.has_token()
        && !settings.is_token(&token(request))
        && !health::is_check(method, sent_path)
    {
        return reply::invalid_token();
    }
    match Route::of(method, &path::clean(sent_path)) {
        Route::TryLock { store } => with_body(request, |body| json::try_lock(&store, body)),
        Route::Unlock { store } => with_body(request, |body| json::unlock(&store, body)),
        Route::Healthz => health::healthz(&settings.app_id, query, OBSTACLE),
        Route::OutboundHealthz => health::outbound(OBSTACLE),
        Route::Metadata => metadata_reply(settings),
        // Instances share no memory: one instance would not know the metadata that was set in another.
        Route::PutMetadata { .. } | Route::Shutdown | Route::Unknown => reply::not_found(),
        // `json` has only the calls of Dapr's API, and the OpenAPI document describes more.
        Route::Lease { .. } | Route::Hold { .. } | Route::AwaitLoss { .. } | Route::OpenApi => {
            reply::not_found()
        }
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

/// The token of the request; empty if it has none.
fn token(request: &IncomingRequest) -> Vec<u8> {
    request.headers().get(TOKEN_HEADER).into_iter().next().unwrap_or_default()
}

fn metadata_reply(settings: &Settings) -> Reply {
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

fn method_name(method: &Method) -> &str {
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
