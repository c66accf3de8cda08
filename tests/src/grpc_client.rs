//! Clients of Dapr's gRPC API: a generated one, and one that shows every byte.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use std::{fmt::Debug, net::SocketAddr};

use holdfast_proto::runtime::{
    TryLockRequest, UnlockRequest, dapr_client::DaprClient, unlock_response,
};
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Method, Request, body::Bytes, client::conn::http2, http::request::Builder};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tonic::{
    Code, Status,
    transport::{Channel, Endpoint},
};

use crate::LONG;

/// The path of a try-lock.
pub const TRY_LOCK: &str = "/dapr.proto.runtime.v1.Dapr/TryLockAlpha1";

/// The path of an unlock.
pub const UNLOCK: &str = "/dapr.proto.runtime.v1.Dapr/UnlockAlpha1";

/// Connects to a server.
///
/// # Panics
///
/// When it cannot be reached.
pub async fn channel(address: SocketAddr) -> Channel {
    Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap()
}

/// The generated client.
pub struct Client(pub DaprClient<Channel>);

impl Client {
    /// Connects to a server.
    ///
    /// # Panics
    ///
    /// When it cannot be reached.
    pub async fn new(address: SocketAddr) -> Self {
        Self(DaprClient::new(channel(address).await))
    }

    /// Makes a try-lock.
    ///
    /// # Errors
    ///
    /// The status of the server.
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

    /// Makes an unlock.
    ///
    /// # Errors
    ///
    /// The status of the server.
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

/// The code and the message of a call that failed.
///
/// # Panics
///
/// When it did not fail.
pub fn error<T: Debug>(outcome: Result<T, Status>) -> (Code, String) {
    let status = outcome.unwrap_err();
    (status.code(), status.message().to_owned())
}

/// A response as it was sent.
#[derive(Debug)]
#[allow(missing_docs, reason = "the parts of a response")]
pub struct Response {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub trailers: HeaderMap,
}

impl Response {
    /// A field of the trailers. A response without a body has it in the headers.
    ///
    /// # Panics
    ///
    /// When it is not text.
    pub fn trailer(&self, name: &str) -> Option<&str> {
        let field = self.trailers.get(name).or_else(|| self.headers.get(name));
        field.map(|field| field.to_str().unwrap())
    }
}

/// Sends a message, preceded by its length, with these headers.
///
/// # Panics
///
/// When there is no response with status 200 within a minute.
pub async fn send(
    address: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
    message: &[u8],
) -> Response {
    let mut request =
        Request::post(format!("http://{address}{path}")).header("content-type", "application/grpc");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = respond(address, request, message).await;
    assert_eq!(response.status, 200);
    response
}

/// Sends a message, preceded by its length, by this method and as this type.
///
/// # Panics
///
/// When there is no response within a minute.
pub async fn exchange(
    address: SocketAddr,
    method: Method,
    path: &str,
    content_type: Option<&str>,
    message: &[u8],
) -> Response {
    let mut request = Request::builder().method(method).uri(format!("http://{address}{path}"));
    if let Some(content_type) = content_type {
        request = request.header("content-type", content_type);
    }
    respond(address, request, message).await
}

async fn respond(address: SocketAddr, request: Builder, message: &[u8]) -> Response {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut client, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let length = u32::try_from(message.len()).unwrap();
    let body = [&[0][..], &length.to_be_bytes(), message].concat();
    let request = request.header("te", "trailers").body(Full::new(Bytes::from(body))).unwrap();
    let exchange = async {
        let response = client.send_request(request).await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let whole = response.into_body().collect().await.unwrap();
        let trailers = whole.trailers().cloned().unwrap_or_default();
        Response { status, headers, body: whole.to_bytes(), trailers }
    };
    tokio::time::timeout(LONG, exchange).await.expect("a response within a minute")
}
