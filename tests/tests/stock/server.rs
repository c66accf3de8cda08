//! A server like `wasmtime serve`: it makes an instance for each request.

use std::{net::SocketAddr, sync::Arc};

use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use wasmtime::{Result, error::Context, format_err};
use wasmtime_wasi_http::{
    WasiHttpView,
    io::TokioIo,
    p2::{
        bindings::{ProxyPre, http::types::Scheme},
        body::HyperOutgoingBody,
    },
};

use crate::runtime::{Grants, LOCK_HTTP, State};

/// A server that runs until it is dropped.
pub struct Server {
    pub address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

struct Handler {
    proxy: ProxyPre<State>,
    grants: Grants,
}

impl Server {
    /// Serves `holdfast-lock-http.wasm` on a free port.
    pub async fn start(grants: Grants) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let proxy = ProxyPre::new(LOCK_HTTP.pre().clone()).unwrap();
        let handler = Arc::new(Handler { proxy, grants });
        let accepting = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let handler = Arc::clone(&handler);
                let answer = move |request| {
                    let handler = Arc::clone(&handler);
                    async move { handler.answer(request).await }
                };
                let connection = http1::Builder::new()
                    .serve_connection(TokioIo::new(client), service_fn(answer));
                tokio::spawn(connection);
            }
        });
        Self { address, accepting }
    }
}

impl Handler {
    async fn answer(&self, request: Request<Incoming>) -> Result<Response<HyperOutgoingBody>> {
        let mut store = self.grants.store();
        let (answer, answered) = oneshot::channel();
        let request = store.data_mut().http().new_incoming_request(Scheme::Http, request)?;
        let out = store.data_mut().http().new_response_outparam(answer)?;
        let proxy = self.proxy.clone();
        // The instance writes the body after it has answered.
        let running = tokio::spawn(async move {
            let proxy = proxy.instantiate_async(&mut store).await?;
            proxy.wasi_http_incoming_handler().call_handle(&mut store, request, out).await
        });
        match answered.await {
            Ok(response) => Ok(response?),
            Err(_) => {
                running.await.map_err(|end| format_err!("{end}"))?.context("no answer")?;
                Err(format_err!("no answer"))
            }
        }
    }
}
