//! Serves an upstream's responses from a cache that all nodes share. When a response is no longer fresh, one
//! request on one node fetches it again under a lock; all other requests get the old one meanwhile.

use std::time::SystemTime;

use bindings::{
    holdfast::lock::{
        lease::{LeaseOptions, acquire},
        lock::unlock,
    },
    wasi::keyvalue::store::{self, Bucket},
};
use wstd::http::{
    Body, BodyExt, Client, Error, Method, Request, Response, StatusCode, Uri, body::util::Empty,
};

mod bindings {
    wit_bindgen::generate!({
        path: ["../../wit", "../wit/deps/keyvalue"],
        inline: "
            package holdfast:examples;
            world single-flight {
                import holdfast:lock/lease@0.1.0;
                import holdfast:lock/lock@0.1.0;
                import wasi:keyvalue/store@0.2.0-draft;
            }
        ",
        world: "holdfast:examples/single-flight",
        generate_all,
    });
}

/// The name of the lock store.
const STORE: &str = "lockstore";

/// How long the lock lasts, in milliseconds. The proxy must stop a call before that.
const TIME_TO_LIVE: u64 = 5_000;

/// How long a response is fresh if the upstream does not say, in seconds.
const DEFAULT_MAX_AGE: u64 = 60;

/// How long a request waits for the lock while another request fetches a response, in milliseconds.
const MAX_WAIT: u64 = 2_000;

#[wstd::http_server]
async fn main(request: Request<Body>) -> Result<Response<Body>, Error> {
    if request.method() != Method::GET {
        return reply(StatusCode::METHOD_NOT_ALLOWED, "allow", "GET");
    }
    let bucket = store::open("")?;
    let url = request.uri();
    let key = key(url);
    let cached = CachedResponse::read(&bucket, &key);
    if let Some(fresh) = cached.as_ref().filter(|response| response.is_fresh()) {
        return fresh.respond("fresh");
    }

    // A request that has an old response need not wait for a new one.
    let wait = if cached.is_some() { 0 } else { MAX_WAIT };
    // Each lease has an owner that no other request on any node has.
    let options = LeaseOptions { owner: None, ttl: TIME_TO_LIVE, wait, fenced: false };
    // An error may mean that it is unknown whether the lock was taken. The plugin then acts as if it was not.
    let Ok(Some(lease)) = acquire(STORE, &key, &options) else {
        return match cached {
            Some(stale) => stale.respond("stale"),
            None => reply(StatusCode::SERVICE_UNAVAILABLE, "retry-after", "1"),
        };
    };
    let waited = if cached.is_none() { CachedResponse::read(&bucket, &key) } else { None };
    let refreshed = match &waited {
        Some(_) => None,
        None => refresh(url, &bucket, &key).await,
    };
    // If the proxy ends the call before, the lease ends with it. If this fails, the lock expires by itself.
    let _ = unlock(STORE, &key, &lease.owner);
    match (waited, refreshed, cached) {
        (Some(response), ..) => response.respond("waited"),
        (_, Some(response), _) => response.respond("refreshed"),
        (.., Some(stale)) => stale.respond("stale"),
        _ => reply(StatusCode::BAD_GATEWAY, "x-cache", "none"),
    }
}

/// Fetches and caches a response, unless another request has just done so.
async fn refresh(url: &Uri, bucket: &Bucket, key: &str) -> Option<CachedResponse> {
    if let Some(response) = CachedResponse::read(bucket, key).filter(CachedResponse::is_fresh) {
        return Some(response);
    }
    let response = CachedResponse::fetch(url).await.ok().flatten()?;
    // The response can be served even if it cannot be cached.
    let _ = bucket.set(key, &response.to_bytes());
    Some(response)
}

/// A response of the upstream. The cache keeps it as a line of two words, followed by the body.
struct CachedResponse {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    fresh_until: u64,
    content_type: String,
    body: Vec<u8>,
}

impl CachedResponse {
    async fn fetch(url: &Uri) -> Result<Option<Self>, Error> {
        // For `Body::empty()` wstd performs an empty write, which fails if the answer has already arrived.
        let nothing = Body::from_http_body(Empty::<&[u8]>::new());
        let request = Request::get(url.clone()).body(nothing)?;
        let response = Client::new().send(request).await?;
        if response.status() != StatusCode::OK {
            return Ok(None);
        }
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        let fresh = header("cache-control").and_then(max_age).unwrap_or(DEFAULT_MAX_AGE);
        let content_type = header("content-type").unwrap_or("application/octet-stream").to_owned();
        let body = response.into_body().into_boxed_body().collect().await?.to_bytes();
        Ok(Some(Self { fresh_until: now() + fresh * 1000, content_type, body: body.into() }))
    }

    /// Reads the cache. `None` also if its value cannot be read.
    fn read(bucket: &Bucket, key: &str) -> Option<Self> {
        let bytes = bucket.get(key).ok()??;
        let end = bytes.iter().position(|byte| *byte == b'\n')?;
        let (fresh_until, content_type) = str::from_utf8(&bytes[..end]).ok()?.split_once(' ')?;
        Some(Self {
            fresh_until: fresh_until.parse().ok()?,
            content_type: content_type.to_owned(),
            body: bytes[end + 1..].to_vec(),
        })
    }

    fn to_bytes(&self) -> Vec<u8> {
        let head = format!("{} {}\n", self.fresh_until, self.content_type);
        [head.as_bytes(), &self.body].concat()
    }

    fn is_fresh(&self) -> bool {
        now() < self.fresh_until
    }

    fn respond(&self, source: &str) -> Result<Response<Body>, Error> {
        let response = Response::builder();
        let response =
            response.header("content-type", &self.content_type).header("x-cache", source);
        Ok(response.body(self.body.clone().into())?)
    }
}

/// The key in the cache and the resource id of the lock: path and query. `|` is escaped because it separates
/// the parts of a lock's key.
fn key(url: &Uri) -> String {
    url.path_and_query().map_or("/", |path| path.as_str()).replace('|', "%7C")
}

fn max_age(cache_control: &str) -> Option<u64> {
    let mut directives = cache_control.split(',').map(str::trim);
    directives.find_map(|directive| directive.strip_prefix("max-age=")?.parse().ok())
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}

fn reply(status: StatusCode, header: &str, value: &str) -> Result<Response<Body>, Error> {
    Ok(Response::builder().status(status).header(header, value).body(Body::empty())?)
}
