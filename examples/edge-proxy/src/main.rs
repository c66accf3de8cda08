//! A small reverse proxy that runs plugins and provides them with locks.
//!
//! - `main.rs` connects to Redis, loads the plugins and serves HTTP.
//! - `options.rs`: the command line.
//! - `plugin.rs`: loads a plugin and calls it within its limits. The lines that provide it with locks are here.
//! - `keyvalue.rs`: the plugins' key-value interface.
//! - `upstream.rs`: restricts the plugins' HTTP requests to one server.
//! - `memory.rs`: limits the memory of a call.

use std::{collections::HashMap, convert::Infallible, sync::Arc, thread};

use clap::Parser;
use holdfast::{
    Locks,
    store::redis::{RedisSettings, RedisStore},
};
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response, StatusCode, Uri,
    body::Incoming,
    header::{HOST, HeaderValue, RETRY_AFTER},
    http::uri::{Authority, PathAndQuery, Scheme},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use redis::aio::ConnectionManager;
use tokio::net::TcpListener;
use wasmtime::{Config, Engine, Result, bail, error::Context as _};
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

use crate::{
    keyvalue::Values,
    options::Options,
    plugin::{Failure, Plugin, TICK},
};

mod keyvalue;
mod memory;
mod options;
mod plugin;
mod upstream;

/// The proxy: its plugins and the upstream.
struct Node {
    plugins: HashMap<String, Plugin>,
    upstream: Authority,
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    let node = Arc::new(Node::start(&options).await?);
    let listener = TcpListener::bind(options.listen).await;
    let listener = listener.with_context(|| format!("cannot listen on {}", options.listen))?;
    println!("listening on http://{}", listener.local_addr()?);
    loop {
        let (socket, _) = listener.accept().await?;
        let node = Arc::clone(&node);
        tokio::spawn(async move {
            let service = service_fn(|request| node.handle(request));
            let mut server = http1::Builder::new();
            let server = server.timer(TokioTimer::new());
            if let Err(error) = server.serve_connection(TokioIo::new(socket), service).await {
                eprintln!("connection: {error}");
            }
        });
    }
}

impl Node {
    async fn start(options: &Options) -> Result<Self> {
        let mut config = Config::new();
        config.epoch_interruption(true);
        let engine = Engine::new(&config)?;
        let ticking = engine.clone();
        thread::spawn(move || {
            loop {
                thread::sleep(TICK);
                ticking.increment_epoch();
            }
        });

        let locks = locks(&options.stores).await?;
        let cache = redis::Client::open(format!("redis://{}/", options.cache))?;
        let cache = ConnectionManager::new(cache).await;
        let cache =
            cache.with_context(|| format!("cannot connect to the cache {}", options.cache))?;

        let mut plugins = HashMap::new();
        for plugin in &options.plugins {
            let load = || {
                let stores: Vec<_> = plugin.stores.iter().map(String::as_str).collect();
                let locks = locks.scoped(&plugin.app_id, &stores)?;
                let values = Values::new(cache.clone(), &plugin.app_id);
                Plugin::load(&engine, plugin, &options.upstream, locks, values)
            };
            let loaded = load().with_context(|| format!("plugin {}", plugin.name))?;
            if plugins.insert(plugin.name.clone(), loaded).is_some() {
                bail!("plugin {} is given twice", plugin.name);
            }
        }
        Ok(Self { plugins, upstream: options.upstream.clone() })
    }

    /// Handles a request. The first segment of its path names the plugin.
    async fn handle(
        &self,
        request: Request<Incoming>,
    ) -> Result<Response<HyperOutgoingBody>, Infallible> {
        let name = request.uri().path().split('/').nth(1).unwrap_or_default().to_owned();
        let Some(plugin) = self.plugins.get(&name) else {
            return Ok(reply(StatusCode::NOT_FOUND, "plugin not found\n"));
        };
        Ok(match plugin.call(self.for_upstream(request)).await {
            Ok(response) => response,
            Err(Failure::Busy) => reply(StatusCode::SERVICE_UNAVAILABLE, "too many calls\n"),
            Err(Failure::TooLong) => {
                eprintln!("plugin {name}: a call took too long");
                reply(StatusCode::GATEWAY_TIMEOUT, "the plugin took too long\n")
            }
            Err(Failure::Trapped(error)) => {
                eprintln!("plugin {name}: {error:?}");
                reply(StatusCode::BAD_GATEWAY, "the plugin failed\n")
            }
        })
    }

    /// Addresses a request to the upstream, so that a plugin that fetches the URL of its request asks the
    /// upstream.
    fn for_upstream(&self, mut request: Request<Incoming>) -> Request<Incoming> {
        let path = request.uri().path_and_query().cloned();
        let uri = Uri::builder().scheme(Scheme::HTTP).authority(self.upstream.clone());
        let path = path.unwrap_or_else(|| PathAndQuery::from_static("/"));
        if let Ok(uri) = uri.path_and_query(path).build() {
            *request.uri_mut() = uri;
        }
        if let Ok(host) = HeaderValue::from_str(self.upstream.as_str()) {
            request.headers_mut().insert(HOST, host);
        }
        request
    }
}

/// Locks over these stores, not yet scoped to a plugin.
async fn locks(stores: &[(String, String)]) -> Result<Locks> {
    let mut locks = Locks::builder();
    for (name, address) in stores {
        let settings = RedisSettings::parse(&[("redisHost", address)].into_iter().collect())?;
        let store = RedisStore::connect(name, settings).await?;
        locks = locks.store(name, Arc::new(store));
    }
    Ok(locks.build()?)
}

fn reply(status: StatusCode, text: &'static str) -> Response<HyperOutgoingBody> {
    let body = Full::from(text).map_err(|never: Infallible| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}
