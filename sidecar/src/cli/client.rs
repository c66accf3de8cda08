//! A request to a running server.

use anyhow::{Result, anyhow};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Incoming},
    client::conn::http1,
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{naming::naming, printable::printable};

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
        answer = asking => answer.map_err(no_answer),
        // This branch drives the connection, which does not end successfully before the reply has arrived.
        Err(error) = connection => Err(no_answer(error.into())),
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
    requests.send_request(request).await.map_err(|error| no_answer(error.into()))
}

/// Why there is no answer. hyper has no error type for a server that speaks first, as an HTTP/2 server does.
fn no_answer(error: anyhow::Error) -> anyhow::Error {
    let is_parse = error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse);
    let is_other =
        is_parse || error.chain().any(|cause| cause.to_string().contains("unexpected message"));
    error.context(match is_other {
        true => "the answer is not HTTP/1.1: it may be a gRPC port, or that of another program",
        false => "no answer",
    })
}

/// The server shuts down, and grants no more locks. Another server may soon start.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ShuttingDown(String);

/// The call failed in the store, not by a rule of the lock.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StoreFailed(String);

/// A port of a server.
#[derive(Clone, Copy, Debug)]
pub enum Port {
    /// The port of the HTTP API.
    Http,
    /// The operator port.
    Operators,
}

/// Why a port refused a request.
pub fn refusal(port: Port, status: StatusCode, body: &[u8]) -> anyhow::Error {
    let error: Value = serde_json::from_slice(body).unwrap_or_default();
    match (port, error["errorCode"].as_str(), error["message"].as_str()) {
        (Port::Http, Some("ERR_ADMIN_ROUTE"), _) => {
            anyhow!("this is the server's --admin-port, and not its --dapr-http-port")
        }
        (Port::Http, Some("ERR_DIRECT_INVOKE"), _) => {
            anyhow!(
                "the server does not have this call: it may be daprd, or another version of holdfast"
            )
        }
        (Port::Operators, Some("ERR_DIRECT_INVOKE"), _) => {
            anyhow!("this is not the server's --admin-port")
        }
        (Port::Http, Some("ERR_LOCK_SHUTTING_DOWN"), Some(message)) => {
            ShuttingDown(printable(message)).into()
        }
        (_, _, Some(message)) => {
            let message = printable(message);
            let named = naming(&message);
            // A resource id that the rules refuse has the status and the code of a store's failure.
            let is_of_store = status == StatusCode::INTERNAL_SERVER_ERROR && named == message;
            if is_of_store { StoreFailed(message).into() } else { anyhow!(named) }
        }
        (Port::Http, _, None) => anyhow!("unexpected answer, not from a holdfast server: {status}"),
        (Port::Operators, _, None) => {
            anyhow!("this is not a holdfast operator port: {status}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_cannot_write_lines() {
        let refusal = refusal(
            Port::Http,
            StatusCode::INTERNAL_SERVER_ERROR,
            br#"{"errorCode":"ERR_X","message":"a\nholdfast: forged\u202e"}"#,
        );
        assert_eq!(refusal.to_string(), "a\\nholdfast: forged\\u{202e}");
    }
}
