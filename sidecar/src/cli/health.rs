//! `holdfast health`: a health check for containers without a shell or curl.

use std::{process::ExitCode, time::Duration};

use anyhow::{Context, Result, bail};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{Request, StatusCode, body::Bytes, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, runtime};

use super::arguments::Health;

/// The longest reply that is read, in bytes. Those of the server are shorter.
const MAX_ANSWER: usize = 64 << 10;

pub fn run(args: &Health) -> Result<ExitCode> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("cannot start the runtime")?.block_on(async {
        let limit = Duration::from_secs(args.timeout);
        let asked = tokio::time::timeout(limit, ask(args)).await;
        let place = || format!("{}, port {}", args.address, args.port);
        asked
            .with_context(|| format!("{}: no answer within {limit:?}", place()))?
            .with_context(place)
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn ask(args: &Health) -> Result<()> {
    let address = args.address.trim_matches(['[', ']']);
    let stream = TcpStream::connect((address, args.port)).await.context("cannot connect")?;
    let (mut requests, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get("/v1.0/healthz")
        .header(header::HOST, "localhost")
        .body(Empty::<Bytes>::new())?;
    let asking = async {
        let response = requests.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
        let body = body.map(|body| body.to_bytes()).unwrap_or_default();
        Ok::<_, anyhow::Error>((status, body))
    };
    let (status, body) = tokio::select! {
        answer = asking => answer.context("no answer")?,
        // This drives the connection, which does not end successfully before the reply is there.
        Err(error) = connection => bail!("no answer: {error}"),
    };
    if status != StatusCode::NO_CONTENT {
        bail!("not ready: {status} {}", String::from_utf8_lossy(&body));
    }
    Ok(())
}
