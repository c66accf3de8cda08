//! Serves an upstream's answers from a cache that all nodes share. When an answer is no longer fresh,
//! one request on one node fetches it anew, under a lock; all others get the old one meanwhile.

use std::time::{Duration, SystemTime};

use bindings::{
    holdfast::lock::lock::{try_lock, unlock},
    wasi::keyvalue::store::{self, Bucket},
};
use wstd::{
    http::{Body, BodyExt, Client, Error, Method, Request, Response, StatusCode, Uri},
    rand::get_random_bytes,
    task::sleep,
};

mod bindings {
    wit_bindgen::generate!({
        path: ["../../wit", "../wit/deps/keyvalue"],
        inline: "
            package holdfast:examples;
            world single-flight {
                import holdfast:lock/lock@0.1.0;
                import wasi:keyvalue/store@0.2.0-draft;
            }
        ",
        world: "holdfast:examples/single-flight",
        generate_all,
    });
}

/// The lock store that the node lends.
const STORE: &str = "lockstore";

/// How long a refresh may take, in seconds. The node must stop a call before that.
const LEASE: i32 = 5;

/// How long an answer is fresh where the upstream does not say, in seconds.
const FRESH: u64 = 60;

/// How long a request waits for an answer that another one fetches.
const PATIENCE: Duration = Duration::from_secs(2);

const PAUSE: Duration = Duration::from_millis(50);

#[wstd::http_server]
async fn main(request: Request<Body>) -> Result<Response<Body>, Error> {
    if request.method() != Method::GET {
        return refused(StatusCode::METHOD_NOT_ALLOWED, "allow", "GET");
    }
    let bucket = store::open("")?;
    let url = request.uri();
    let key = key(url);
    let cached = Answer::read(&bucket, &key);
    if let Some(fresh) = cached.as_ref().filter(|answer| answer.is_fresh()) {
        return fresh.respond("fresh");
    }

    let owner = owner();
    // An error may mean that nobody knows whether the lock was taken: then it is not ours.
    if let Ok(true) = try_lock(STORE, &key, &owner, LEASE) {
        let answer = refresh(url, &bucket, &key).await;
        // Whatever comes of it: the lock ends by itself.
        let _ = unlock(STORE, &key, &owner);
        return match (answer, cached) {
            (Some(answer), _) => answer.respond("refreshed"),
            (None, Some(stale)) => stale.respond("stale"),
            (None, None) => refused(StatusCode::BAD_GATEWAY, "x-cache", "none"),
        };
    }
    if let Some(stale) = cached {
        return stale.respond("stale");
    }
    let mut waited = Duration::ZERO;
    while waited < PATIENCE {
        sleep(PAUSE.into()).await;
        waited += PAUSE;
        if let Some(answer) = Answer::read(&bucket, &key) {
            return answer.respond("waited");
        }
    }
    refused(StatusCode::SERVICE_UNAVAILABLE, "retry-after", "1")
}

/// Fetches an answer and keeps it, unless another request has just done so.
async fn refresh(url: &Uri, bucket: &Bucket, key: &str) -> Option<Answer> {
    if let Some(answer) = Answer::read(bucket, key).filter(Answer::is_fresh) {
        return Some(answer);
    }
    let answer = Answer::fetch(url).await.ok().flatten()?;
    // What cannot be kept can be served all the same.
    let _ = bucket.set(key, &answer.to_bytes());
    Some(answer)
}

/// An answer of the upstream. It is kept as a line of two words and then the body.
struct Answer {
    /// In milliseconds since 1970.
    fresh_until: u64,
    content_type: String,
    body: Vec<u8>,
}

impl Answer {
    async fn fetch(url: &Uri) -> Result<Option<Self>, Error> {
        let request = Request::get(url.clone()).body(Body::empty())?;
        let response = Client::new().send(request).await?;
        if response.status() != StatusCode::OK {
            return Ok(None);
        }
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        let fresh = header("cache-control").and_then(max_age).unwrap_or(FRESH);
        let content_type = header("content-type").unwrap_or("application/octet-stream").to_owned();
        let body = response.into_body().into_boxed_body().collect().await?.to_bytes();
        Ok(Some(Self { fresh_until: now() + fresh * 1000, content_type, body: body.into() }))
    }

    /// What is kept; nothing, too, where that cannot be read.
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

    fn respond(&self, how: &str) -> Result<Response<Body>, Error> {
        let response = Response::builder();
        let response = response.header("content-type", &self.content_type).header("x-cache", how);
        Ok(response.body(self.body.clone().into())?)
    }
}

/// What is cached and locked under: the path and query. `|` is what separates a lock's key.
fn key(url: &Uri) -> String {
    url.path_and_query().map_or("/", |path| path.as_str()).replace('|', "%7C")
}

/// The lock's owner: nobody else has this name, on no node.
fn owner() -> String {
    let mut bytes = [0; 16];
    get_random_bytes(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn max_age(cache_control: &str) -> Option<u64> {
    let mut directives = cache_control.split(',').map(str::trim);
    directives.find_map(|directive| directive.strip_prefix("max-age=")?.parse().ok())
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}

fn refused(status: StatusCode, header: &str, value: &str) -> Result<Response<Body>, Error> {
    Ok(Response::builder().status(status).header(header, value).body(Body::empty())?)
}
