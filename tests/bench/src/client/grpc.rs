//! A client of the gRPC API: one connection, with a number of calls at a time.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use holdfast_proto::runtime::{TryLockRequest, UnlockRequest};
use holdfast_tests::grpc_client::{TRY_LOCK, UNLOCK};
use http_body_util::{BodyExt, Full};
use hyper::{Request, Uri, body::Bytes, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tokio::{net::TcpStream, task::JoinSet};

use crate::workload::{OWNER, STORE_NAME};

/// A connection, kept open from turn to turn.
pub struct Client {
    connection: http2::SendRequest<Full<Bytes>>,
    callers: Vec<Caller>,
}

#[derive(Clone)]
struct Caller {
    try_lock: Call,
    unlock: Call,
}

#[derive(Clone)]
struct Call {
    uri: Uri,
    message: Bytes,
    /// The message of the reply, preceded by its length.
    expected: &'static [u8],
}

impl Client {
    /// Opens the connection. Each call at a time takes and releases a lock of its own.
    pub async fn connect(server: SocketAddr, calls: usize) -> Result<Self> {
        let stream = TcpStream::connect(server).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) =
            http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let caller = |number| {
            let lock = TryLockRequest {
                store_name: STORE_NAME.to_owned(),
                resource_id: format!("resource-{number}"),
                lock_owner: OWNER.to_owned(),
                expiry_in_seconds: 60,
            };
            let unlock = UnlockRequest {
                store_name: lock.store_name.clone(),
                resource_id: lock.resource_id.clone(),
                lock_owner: lock.lock_owner.clone(),
            };
            anyhow::Ok(Caller {
                // The message `success: true`, and the empty one.
                try_lock: Call::new(server, TRY_LOCK, &lock, &[0, 0, 0, 0, 2, 8, 1])?,
                unlock: Call::new(server, UNLOCK, &unlock, &[0, 0, 0, 0, 0])?,
            })
        };
        let callers = (0..calls).map(caller).collect::<Result<_>>()?;
        Ok(Self { connection: sender, callers })
    }

    /// Makes calls one after the other, with one task for each lock, and returns how many were made.
    pub async fn drive(&mut self, length: Duration) -> Result<u32> {
        let start = Instant::now();
        let mut running = JoinSet::new();
        for caller in self.callers.iter().cloned() {
            let mut connection = self.connection.clone();
            running.spawn(async move {
                let mut calls = 0;
                while start.elapsed() < length {
                    caller.try_lock.make(&mut connection).await?;
                    caller.unlock.make(&mut connection).await?;
                    calls += 2;
                }
                anyhow::Ok(calls)
            });
        }
        running.join_all().await.into_iter().sum()
    }
}

impl Call {
    fn new(
        server: SocketAddr,
        path: &str,
        message: &impl Message,
        expected: &'static [u8],
    ) -> Result<Self> {
        let length = u32::try_from(message.encoded_len())?;
        let message = [&[0][..], &length.to_be_bytes(), &message.encode_to_vec()].concat();
        let uri = format!("http://{server}{path}").parse()?;
        Ok(Self { uri, message: message.into(), expected })
    }

    async fn make(&self, connection: &mut http2::SendRequest<Full<Bytes>>) -> Result<()> {
        let request = Request::post(self.uri.clone())
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(Full::new(self.message.clone()))?;
        connection.ready().await?;
        let whole = connection.send_request(request).await?.into_body().collect().await?;
        let status = whole.trailers().context("no trailers")?.get("grpc-status");
        let is_okay = status.is_some_and(|status| status == "0");
        let message = whole.to_bytes();
        ensure!(is_okay && message == self.expected, "{message:?}");
        Ok(())
    }
}
