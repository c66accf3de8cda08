//! The contestant: an axum handler with the native rules.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Result;
use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
    serve::ListenerExt,
};
use holdfast_rules::types::{Reply, Verb};
use tokio::{net::TcpListener, runtime::Runtime};

use crate::native::{Backend, Native};

/// Starts the server, and returns its address.
pub fn serve(runtime: &Runtime, locks: Native<impl Backend>) -> Result<SocketAddr> {
    let router = Router::new()
        .route("/v1.0-alpha1/lock/{store}", post(try_lock))
        .route("/v1.0-alpha1/unlock/{store}", post(unlock))
        .with_state(Arc::new(locks));
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
    let address = listener.local_addr()?;
    // If this fails, the socket is only slower.
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    // It ends with its runtime.
    runtime.spawn(axum::serve(listener, router).into_future());
    Ok(address)
}

async fn try_lock<B: Backend>(
    State(locks): State<Arc<Native<B>>>,
    Path(store): Path<String>,
    body: Bytes,
) -> Response {
    response(locks.json(Verb::TryLock, &store, &body).await)
}

async fn unlock<B: Backend>(
    State(locks): State<Arc<Native<B>>>,
    Path(store): Path<String>,
    body: Bytes,
) -> Response {
    response(locks.json(Verb::Unlock, &store, &body).await)
}

fn response(Reply { status, body }: Reply) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}
