//! `holdfast health`: a health check for containers without a shell or curl.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, Result, anyhow, bail};
use http_body_util::Full;
use hyper::{Request, StatusCode, body::Bytes, header};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
};

use super::{
    arguments::{Health, parse::Given},
    client, logging,
    printable::printable,
    runtime::runtime,
    serve::listen,
};

pub fn run(args: &Health, given: &Given, ignored: &[String]) -> Result<ExitCode> {
    // The warnings are about the port.
    if args.unix_domain_socket.is_none() && given.set("port").is_none() {
        for line in ignored {
            logging::line(&format!("warning: {line}"));
        }
    }
    runtime()?.block_on(async {
        let limit = args.timeout;
        let asked = tokio::time::timeout(limit, ask(args)).await;
        let place = || match socket(args) {
            Some(path) => path.display().to_string(),
            None => format!("{}, port {}", args.address, args.port),
        };
        asked.map_err(|_| anyhow!("{}: no answer within {limit:?}", place()))?.with_context(place)
    })?;
    Ok(ExitCode::SUCCESS)
}

/// The path of the server's socket, if it is asked for.
fn socket(args: &Health) -> Option<PathBuf> {
    args.unix_domain_socket.as_ref().map(|folder| listen::socket(folder, &args.app_id, "http"))
}

async fn ask(args: &Health) -> Result<()> {
    let failed = "cannot connect";
    match socket(args) {
        Some(path) => ask_over(UnixStream::connect(path).await.context(failed)?).await,
        None => {
            let address = (args.address.as_str(), args.port);
            ask_over(TcpStream::connect(address).await.context(failed)?).await
        }
    }
}

async fn ask_over(stream: impl AsyncRead + AsyncWrite + Unpin) -> Result<()> {
    let request = Request::get("/v1.0/healthz")
        .header(header::HOST, "localhost")
        .body(Full::<Bytes>::default())?;
    let (status, body) = client::ask(stream, request).await?;
    if status != StatusCode::NO_CONTENT {
        let problem = format!("not ready: {status} {}", printable(&String::from_utf8_lossy(&body)));
        bail!("{}", problem.trim_end());
    }
    Ok(())
}
