//! The path of a request: cleaning, unescaping, and the call that it names.

use std::{
    borrow::Cow,
    path::{Component, Path},
};

use holdfast_dapr_api::{
    health, metadata,
    path::{clean, is_well_escaped, unescape},
    reply::{self, Reply},
    route::Route,
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

/// Reads the input as `METHOD PATH?QUERY`.
pub fn run(input: &[u8]) {
    let text = &*String::from_utf8_lossy(input);
    let (method, target) = text.split_once(' ').unwrap_or(("GET", text));
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    is_cleaned(path);
    is_unescaped(path);
    names_one_call(method, path);
    any_name_has_a_path(path);
    is_answered(method, path, query);
}

/// A cleaned path is resolved as the file system would do it, and cleaning it again does not change it.
fn is_cleaned(path: &str) {
    let cleaned = clean(path);
    assert_eq!(clean(&cleaned), cleaned);
    if path.starts_with('/') {
        assert!(cleaned.len() <= path.len(), "{cleaned} is longer");
        assert_eq!(cleaned, resolved(path));
    }
}

/// The path by the rules of the standard library, with each `..` resolved.
fn resolved(path: &str) -> String {
    let mut names = Vec::new();
    for component in Path::new(path).components() {
        match component {
            Component::Normal(name) => names.push(name.to_string_lossy()),
            Component::ParentDir => drop(names.pop()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    format!("/{}", names.join("/"))
}

/// A segment means the same as the value of a form.
fn is_unescaped(path: &str) {
    for segment in path.split(['/', '&']) {
        let form = format!("={segment}");
        let value = form_urlencoded::parse(form.as_bytes()).next().map(|(_, value)| value);
        assert_eq!(Some(unescape(segment)), value);
    }
    let good = |escape: &str| escape.len() > 1 && u8::from_str_radix(escape, 16).is_ok();
    let escapes = path.match_indices('%').map(|(at, _)| path.get(at + 1..at + 3));
    let all_good =
        escapes.clone().all(|escape| escape.is_some_and(|it| good(it) && !it.starts_with('+')));
    assert_eq!(is_well_escaped(path), all_good);
}

/// The call has the template that it names, and a call that needs no token is a health check.
fn names_one_call(method: &str, path: &str) {
    let cleaned = clean(path);
    let route = Route::of(method, &cleaned);
    if health::is_check(method, path) {
        let harmless = [Route::Healthz, Route::OutboundHealthz, Route::Unknown];
        assert!(harmless.contains(&route), "no token for {route:?}");
    }
    assert!(!route.is_public() || method == "GET", "{route:?} is public");
    let template = route.template();
    let (name, start) = match &route {
        Route::Unknown => return,
        Route::TryLock { store } | Route::Unlock { store } => {
            (store, template.strip_suffix("{store}"))
        }
        Route::Lease { store, .. } | Route::Hold { store } | Route::AwaitLoss { store } => {
            let (start, end) = template.split_once("{store}").expect("a store in the path");
            let segment = cleaned.strip_prefix(start).and_then(|rest| rest.strip_suffix(end));
            assert_eq!(segment.map(unescape).as_ref(), Some(store));
            return;
        }
        Route::PutMetadata { key } => (key, template.strip_suffix("{key}")),
        Route::Healthz
        | Route::OutboundHealthz
        | Route::Metadata
        | Route::Shutdown
        | Route::OpenApi => {
            assert_eq!(cleaned, template);
            return;
        }
    };
    let segment = start.and_then(|start| cleaned.strip_prefix(start));
    assert_eq!(segment.map(unescape).as_ref(), Some(name));
}

/// Any name but the empty one can be put into a path, and comes out as it was.
fn any_name_has_a_path(name: &str) {
    let escaped = utf8_percent_encode(name, NON_ALPHANUMERIC).to_string();
    assert!(is_well_escaped(&escaped));
    let name: Cow<'_, str> = name.into();
    for (method, start, route) in [
        ("POST", "/v1.0-alpha1/lock/", Route::TryLock { store: name.clone() }),
        ("POST", "/v1.0-alpha1/unlock/", Route::Unlock { store: name.clone() }),
        ("PUT", "/v1.0/metadata/", Route::PutMetadata { key: name.clone() }),
    ] {
        let path = format!("{start}{escaped}");
        let expected = if name.is_empty() { Route::Unknown } else { route };
        assert_eq!(Route::of(method, &clean(&path)), expected);
    }
}

/// Replies are JSON, and carry texts as they are.
fn is_answered(method: &str, path: &str, query: Option<&str>) {
    let not_ready = health::healthz(method, query, Some(path));
    assert_eq!(field(&not_ready, "message"), format!("dapr is not ready: [{path}]"));
    let ready = health::healthz(method, query, None);
    let query = query.unwrap_or_default();
    // Go leaves out the other pairs.
    let pairs = query.split('&').filter(|pair| !pair.contains(';') && is_well_escaped(pair));
    let pairs = pairs.flat_map(|pair| form_urlencoded::parse(pair.as_bytes()));
    let mut asked = pairs.filter(|(name, _)| name == "appid");
    let is_other = asked.next().is_some_and(|(_, id)| id != method);
    assert_eq!(ready.status, if is_other { 500 } else { 204 });

    assert_eq!(field(&reply::error(400, "ERR", path), "message"), path);
    let added = metadata::extended([(method.to_owned(), path.to_owned())].into());
    let listed = metadata::Component { name: method, component_type: path, version: "" };
    let document = metadata::to_json(path, [listed], &added).expect("a document of texts");
    let document: Value = serde_json::from_slice(&document).expect("JSON");
    assert_eq!(document["id"], path);
    assert_eq!(document["components"][0]["name"], method);
    assert_eq!(document["components"][0]["type"], path);
    if method != "daprRuntimeVersion" {
        assert_eq!(document["extended"][method], path);
    }
}

fn field(reply: &Reply, name: &str) -> String {
    let mut body: Value = serde_json::from_slice(&reply.body).expect("JSON");
    match body[name].take() {
        Value::String(text) => text,
        other => panic!("{name} is {other}"),
    }
}
