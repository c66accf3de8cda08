//! HTTP at 64 connections: Holdfast's server against an axum handler with the native rules. Each server has
//! its own threads, and so has the client.

mod native;

use std::sync::Arc;

use anyhow::Result;
use holdfast::{Locks, store::memory::MemoryStore};
use holdfast_sidecar::{Sidecar, http::Api, server::Server};
use holdfast_tests::redis_server::RedisServer;
use tokio::{
    net::TcpListener,
    runtime::{self, Runtime},
};

use crate::{
    client::http::Client,
    native::{BareRedis, Native},
    redis_locks,
    rounds::{Rounds, per_second},
    table::Table,
    workload::{APP_ID, STORE_NAME},
};

/// How many connections there are, each with one request at a time.
const CONNECTIONS: usize = 64;

/// Measures the requests, and adds the rows.
pub fn measure(rounds: Rounds, table: &mut Table) -> Result<()> {
    let clients = runtime::Builder::new_current_thread().enable_all().build()?;

    let (holdfast, native) = (Runtime::new()?, Runtime::new()?);
    let store = Arc::new(MemoryStore::new());
    let locks = Locks::builder().app_id(APP_ID).store(STORE_NAME, store).build()?;
    let mut ours = clients.block_on(Client::connect(serve(&holdfast, locks)?, CONNECTIONS))?;
    let address = native::serve(&native, Native::new(Arc::new(MemoryStore::new()))?)?;
    let mut theirs = clients.block_on(Client::connect(address, CONNECTIONS))?;
    let [ours, theirs] = rounds.run([
        &mut |length| per_second(|| clients.block_on(ours.drive(length))),
        &mut |length| per_second(|| clients.block_on(theirs.drive(length))),
    ])?;
    let what = "HTTP requests, store in memory, 64 connections / native axum";
    table.throughput(what, &ours, &theirs, Some(0.95));

    let server = RedisServer::start();
    let (holdfast, native) = (Runtime::new()?, Runtime::new()?);
    let locks = holdfast.block_on(redis_locks::locks(&server.address()))?;
    let mut ours = clients.block_on(Client::connect(serve(&holdfast, locks)?, CONNECTIONS))?;
    let bare = native.block_on(BareRedis::connect(&server.address(), true))?;
    let address = native::serve(&native, Native::new(bare)?)?;
    let mut theirs = clients.block_on(Client::connect(address, CONNECTIONS))?;
    let [ours, theirs] = rounds.run([
        &mut |length| per_second(|| clients.block_on(ours.drive(length))),
        &mut |length| per_second(|| clients.block_on(theirs.drive(length))),
    ])?;
    let what = "HTTP requests, store in Redis, 64 connections / native axum";
    table.throughput(what, &ours, &theirs, Some(1.0));
    Ok(())
}

/// Starts Holdfast's server, and returns its address.
fn serve(runtime: &Runtime, locks: Locks) -> Result<std::net::SocketAddr> {
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
    let address = listener.local_addr()?;
    let sidecar = Sidecar::new(locks, APP_ID, Vec::new(), None);
    let server = Server::new(sidecar.readiness().clone());
    let server = server.http(Api::new(sidecar), vec![listener.into()]);
    // It ends with its runtime.
    runtime.spawn(server.serve(std::future::pending(), std::time::Duration::ZERO));
    Ok(address)
}
