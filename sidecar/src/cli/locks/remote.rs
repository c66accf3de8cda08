//! The locks of a running server, as its operator port reports them.

use anyhow::{Context, Result};
use futures_util::{
    Stream, StreamExt,
    stream::{self, BoxStream},
};
use http_body_util::{BodyExt, Limited};
use hyper::{
    Request, StatusCode,
    body::{Bytes, Incoming},
    header::{HOST, HeaderValue},
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::time::{Duration, sleep, timeout};

use super::super::{
    address::{Address, token},
    arguments::ListLocks,
    client::{self, Port, refusal},
};
use crate::{
    admin::{TOKEN_HEADER, form::read_report},
    lasting::watch::Report,
};

/// How long a server may take to begin its answer, and how long it may be silent: it says something every 15 s.
const SILENCE: Duration = Duration::from_secs(40);

/// How long to wait before a server is asked again.
const AGAIN: Duration = Duration::from_secs(2);

/// The longest refusal that is read, in bytes.
const MAX_REFUSAL: usize = 64 << 10;

/// The longest event that is read, in bytes. Those of the server are shorter.
const MAX_EVENT: usize = 64 << 10;

/// A server.
#[derive(Clone)]
pub struct Server {
    address: Address,
    token: Option<HeaderValue>,
    /// The path of the request.
    path: String,
}

impl Server {
    /// The server at a URL, with the token of the environment.
    pub fn at(address: &str, args: &ListLocks) -> Result<Self> {
        let escaped = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
        let store = escaped(args.store.as_deref().unwrap_or_default());
        let path = format!("/v1.0/watch?store={store}&prefix={}", escaped(&args.prefix));
        Ok(Self { address: Address::read(address)?, token: token("HOLDFAST_ADMIN_TOKEN")?, path })
    }

    /// The reports of the server, without end. Fails if the first request fails; later requests are repeated.
    pub async fn watch(self) -> Result<BoxStream<'static, (String, Report<String>)>> {
        let first = self.ask().await?;
        let again = stream::unfold(self, |server| async {
            sleep(AGAIN).await;
            let reports = match server.ask().await {
                Ok(body) => lines(body).left_stream(),
                Err(_) => stream::empty().right_stream(),
            };
            Some((reports, server))
        });
        Ok(lines(first).chain(again.flatten()).boxed())
    }

    async fn ask(&self) -> Result<Incoming> {
        let mut request = Request::get(&self.path).header(HOST, self.address.authority());
        if let Some(token) = &self.token {
            request = request.header(TOKEN_HEADER, token);
        }
        let request = request.body(Bytes::new().into())?;
        let asking = async { client::listen(self.address.connect().await?, request).await };
        let response = timeout(SILENCE, asking).await.context("no answer")??;
        if response.status() == StatusCode::OK {
            return Ok(response.into_body());
        }
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_REFUSAL).collect().await;
        let body = body.map(|body| body.to_bytes()).unwrap_or_default();
        Err(refusal(Port::Operators, status, &body))
    }
}

/// The reports in the lines of a body, until it ends. Every store is then reported as failed.
fn lines(body: Incoming) -> impl Stream<Item = (String, Report<String>)> {
    let state = (body, Vec::new(), Vec::<String>::new(), false);
    stream::unfold(state, |(mut body, mut rest, mut stores, ended)| async move {
        if ended {
            return None;
        }
        loop {
            if let Some(end) = rest.windows(2).position(|two| two == b"\n\n") {
                let event: Vec<u8> = rest.drain(..end + 2).collect();
                let Some(report) = read(&event) else { continue };
                if !stores.contains(&report.0) {
                    stores.push(report.0.clone());
                }
                return Some((vec![report], (body, rest, stores, false)));
            }
            match timeout(SILENCE, body.frame()).await {
                Ok(Some(Ok(frame))) if rest.len() < MAX_EVENT => {
                    rest.extend(frame.into_data().unwrap_or_default());
                }
                _ => {
                    let problem = || Report::Failed("the server has ended the watch".to_owned());
                    let failed = stores.iter().map(|store| (store.clone(), problem()));
                    return Some((failed.collect(), (body, rest, Vec::new(), true)));
                }
            }
        }
    })
    .flat_map(stream::iter)
}

fn read(event: &[u8]) -> Option<(String, Report<String>)> {
    let data = event.strip_prefix(b"data: ")?;
    read_report(serde_json::from_slice(data).ok()?)
}
