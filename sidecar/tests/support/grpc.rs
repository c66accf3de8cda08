//! Clients of the gRPC API: the one that is generated, and one that sees each byte.

use std::net::SocketAddr;

use bytes::Bytes;
use holdfast_proto::runtime::{
    TryLockRequest, UnlockRequest, dapr_client::DaprClient, unlock_response,
};
use holdfast_sidecar::{Sidecar, grpc};
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Request, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tonic::{
    Code, Status,
    transport::{Channel, Endpoint},
};

use super::{LONG, Served, serve_with};

pub const TRY_LOCK: &str = "/dapr.proto.runtime.v1.Dapr/TryLockAlpha1";
pub const UNLOCK: &str = "/dapr.proto.runtime.v1.Dapr/UnlockAlpha1";

/// Serves a sidecar's gRPC API on a free port.
pub async fn serve(sidecar: Sidecar) -> Served {
    serve_with(sidecar, LONG, |server, sidecar, listener| {
        server.grpc(grpc::Api::new(sidecar).unwrap(), vec![listener.into()])
    })
    .await
}

pub async fn channel(address: SocketAddr) -> Channel {
    Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap()
}

/// The generated client.
pub struct Client(pub DaprClient<Channel>);

impl Client {
    pub async fn new(address: SocketAddr) -> Self {
        Self(DaprClient::new(channel(address).await))
    }

    pub async fn try_lock(
        &mut self,
        store: &str,
        resource: &str,
        owner: &str,
        expiry: i32,
    ) -> Result<bool, Status> {
        let request = TryLockRequest {
            store_name: store.to_owned(),
            resource_id: resource.to_owned(),
            lock_owner: owner.to_owned(),
            expiry_in_seconds: expiry,
        };
        Ok(self.0.try_lock_alpha1(request).await?.into_inner().success)
    }

    pub async fn unlock(
        &mut self,
        store: &str,
        resource: &str,
        owner: &str,
    ) -> Result<unlock_response::Status, Status> {
        let request = UnlockRequest {
            store_name: store.to_owned(),
            resource_id: resource.to_owned(),
            lock_owner: owner.to_owned(),
        };
        Ok(self.0.unlock_alpha1(request).await?.into_inner().status())
    }
}

/// What there is to say of a failed call.
pub fn said<T: std::fmt::Debug>(outcome: Result<T, Status>) -> (Code, String) {
    let status = outcome.unwrap_err();
    (status.code(), status.message().to_owned())
}

/// A response as it came.
#[derive(Debug)]
pub struct Raw {
    pub headers: HeaderMap,
    pub body: Bytes,
    pub trailers: HeaderMap,
}

impl Raw {
    /// A field of the trailers, or of the headers where there is nothing else.
    pub fn trailer(&self, name: &str) -> Option<&str> {
        let field = self.trailers.get(name).or_else(|| self.headers.get(name));
        field.map(|field| field.to_str().unwrap())
    }
}

/// Sends a message as it is, with its length before it, and these headers.
pub async fn raw(address: SocketAddr, path: &str, headers: &[(&str, &str)], message: &[u8]) -> Raw {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut client, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let length = u32::try_from(message.len()).unwrap();
    let body = [&[0][..], &length.to_be_bytes(), message].concat();
    let mut request = Request::post(format!("http://{address}{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(Bytes::from(body))).unwrap();
    let exchange = async {
        let response = client.send_request(request).await.unwrap();
        assert_eq!(response.status(), 200);
        let headers = response.headers().clone();
        let whole = response.into_body().collect().await.unwrap();
        let trailers = whole.trailers().cloned().unwrap_or_default();
        Raw { headers, body: whole.to_bytes(), trailers }
    };
    tokio::time::timeout(LONG, exchange).await.expect("an answer")
}
