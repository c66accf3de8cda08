//! A request to a running server.

use anyhow::{Context, Result, bail};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Incoming},
    client::conn::http1,
};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

/// The longest reply that is read, in bytes. Those of the server are shorter.
const MAX_ANSWER: usize = 64 << 10;

/// Sends a request over a new connection, and returns the status and the body of the reply. The connection is closed
/// when the future is dropped.
pub async fn ask(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    request: Request<Full<Bytes>>,
) -> Result<(StatusCode, Bytes)> {
    let (mut requests, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let asking = async {
        let response = requests.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
        let body = body.map(|body| body.to_bytes()).unwrap_or_default();
        Ok::<_, anyhow::Error>((status, body))
    };
    tokio::select! {
        answer = asking => answer.context("no answer"),
        // This drives the connection, which does not end successfully before the reply is there.
        Err(error) = connection => bail!("no answer: {error}"),
    }
}

/// Sends a request over a new connection, and returns the response, whose body can last. The connection is closed when
/// that is dropped.
pub async fn listen(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Result<Response<Incoming>> {
    let (mut requests, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    requests.send_request(request).await.context("no answer")
}
