//! The metrics in the text format of Prometheus.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use bytes::Bytes;
use holdfast::{
    Locks,
    metrics::{Kind, METRICS},
};
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    header::{ALLOW, CONTENT_TYPE, HeaderValue},
};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use crate::server::{Answer, RequestBody};

/// How often the values of histograms are put into their buckets. Until then each value takes memory.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(1);

/// For how long a page is sent to whoever asks: to make one takes much longer than to send it.
const PAGE_LASTS: Duration = Duration::from_millis(250);

/// The recorder of this process.
#[derive(Clone)]
pub struct Recorder(PrometheusHandle);

/// Answers requests for the metrics. Cheap to clone.
#[derive(Clone)]
pub struct Scrape(Arc<Inner>);

struct Inner {
    recorder: Recorder,
    locks: Locks,
    /// The last page, and when it was made.
    page: Mutex<Option<(Instant, Bytes)>>,
}

impl Recorder {
    /// Installs the recorder. Must be called in a Tokio runtime.
    pub fn install() -> Result<Self> {
        let mut builder = PrometheusBuilder::new();
        for metric in METRICS {
            if let Kind::Histogram { buckets } = metric.kind {
                let name = Matcher::Full(metric.name.to_owned());
                builder = builder.set_buckets_for_metric(name, buckets)?;
            }
        }
        let handle = builder.install_recorder().context("cannot record metrics")?;
        let upkeep = handle.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(UPKEEP_INTERVAL).await;
                upkeep.run_upkeep();
            }
        });
        Ok(Self(handle))
    }
}

impl Scrape {
    pub fn new(recorder: Recorder, locks: Locks) -> Self {
        Self(Arc::new(Inner { recorder, locks, page: Mutex::default() }))
    }

    /// The page, which those who ask at the same time wait for and share.
    fn page(&self) -> Bytes {
        let Inner { recorder, locks, page } = &*self.0;
        // A page is whole even if the next one was not made.
        let mut page = page.lock().unwrap_or_else(PoisonError::into_inner);
        match &*page {
            Some((made, text)) if made.elapsed() < PAGE_LASTS => text.clone(),
            _ => {
                let made = Instant::now();
                locks.record_gauges();
                let text = Bytes::from(recorder.0.render());
                *page = Some((made, text.clone()));
                text
            }
        }
    }
}

impl Answer for Scrape {
    type Body = Full<Bytes>;

    /// Serves `/`, where daprd has its metrics, and `/metrics`, the default of Prometheus.
    async fn answer(&self, request: Request<RequestBody>) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::default());
        if !matches!(request.uri().path(), "/" | "/metrics") {
            *response.status_mut() = StatusCode::NOT_FOUND;
        } else if !matches!(*request.method(), Method::GET | Method::HEAD) {
            *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        } else {
            let text = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
            response.headers_mut().insert(CONTENT_TYPE, text);
            *response.body_mut() = Full::new(self.page());
        }
        response
    }
}
