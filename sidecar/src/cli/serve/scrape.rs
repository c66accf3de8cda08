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
use prometheus::{Histogram, HistogramOpts, HistogramVec, Registry, TextEncoder};

use crate::server::{HttpApi, RequestBody};

/// How long a rendered page is reused. Rendering one takes much longer than sending it.
const PAGE_LASTS: Duration = Duration::from_millis(250);

/// The recorder of this process.
#[derive(Clone)]
pub struct Recorder(Registry);

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
    /// Installs the recorder.
    pub fn install() -> Result<Self> {
        Self::try_install().context("cannot record metrics")
    }

    fn try_install() -> Result<Self> {
        let registry = Registry::new();
        let mut recorder = metrics_prometheus::Recorder::builder().with_registry(registry.clone());
        // The buckets of a histogram are fixed when it is registered; other metrics are registered when first used.
        for metric in METRICS {
            if let Kind::Histogram { buckets } = metric.kind {
                let options = HistogramOpts::new(metric.name, metric.help).buckets(buckets.into());
                recorder = if metric.labels.is_empty() {
                    recorder.try_with_metric(Histogram::with_opts(options)?)?
                } else {
                    recorder.try_with_metric(HistogramVec::new(options, metric.labels)?)?
                };
            }
        }
        recorder.try_build_and_install()?;
        Ok(Self(registry))
    }

    /// The values of now.
    fn page(&self) -> prometheus::Result<String> {
        TextEncoder::new().encode_to_string(&self.0.gather())
    }
}

impl Scrape {
    pub fn new(recorder: Recorder, locks: Locks) -> Self {
        Self(Arc::new(Inner { recorder, locks, page: Mutex::default() }))
    }

    /// The page, which those who ask at the same time wait for and share.
    fn page(&self) -> prometheus::Result<Bytes> {
        let Inner { recorder, locks, page } = &*self.0;
        // A page is whole even if the next one was not made.
        let mut page = page.lock().unwrap_or_else(PoisonError::into_inner);
        match &*page {
            Some((made, text)) if made.elapsed() < PAGE_LASTS => Ok(text.clone()),
            _ => {
                let made = Instant::now();
                locks.record_gauges();
                let text = Bytes::from(recorder.page()?);
                *page = Some((made, text.clone()));
                Ok(text)
            }
        }
    }
}

impl HttpApi for Scrape {
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
            match self.page() {
                Ok(page) => {
                    let text = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
                    response.headers_mut().insert(CONTENT_TYPE, text);
                    *response.body_mut() = Full::new(page);
                }
                Err(error) => {
                    tracing::error!("the metrics cannot be written: {error}");
                    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                }
            }
        }
        response
    }
}
