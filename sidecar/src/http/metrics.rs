//! The metrics of HTTP requests.

use std::time::Duration;

use holdfast::metrics::{
    AppLabels, HTTP_LATENCY, HTTP_REQUEST_BYTES, HTTP_REQUEST_COUNT, HTTP_RESPONSE_BYTES,
    HTTP_RESPONSE_COUNT, HttpLabels,
};
use metrics::{Counter, Histogram};

use crate::metric_handles::MetricHandles;

/// The method and the path of a request as labels. Their number is bounded by the routes and the
/// configured stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Endpoint {
    pub(super) method: &'static str,
    /// The path, with `{store}` or `{key}` in place of the caller's text.
    pub(super) template: &'static str,
    /// The number of the store in the path, if it is configured.
    pub(super) store: Option<usize>,
}

/// The lengths of the bodies of a request and of its response, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct BodyBytes {
    pub(super) request: u64,
    pub(super) response: u64,
}

/// The handles of one API's metrics.
#[derive(Debug)]
pub(super) struct HttpMetrics {
    app_id: String,
    stores: Vec<String>,
    requests: MetricHandles<(Endpoint, u16), RequestHandles>,
    request_bytes: Histogram,
    response_bytes: Histogram,
}

/// The handles for the requests to one endpoint that were answered with one status.
#[derive(Debug)]
struct RequestHandles {
    requests: Counter,
    responses: Counter,
    latency: Histogram,
}

impl HttpMetrics {
    /// `stores` are the names that paths may contain.
    pub(super) fn new(app_id: &str, stores: Vec<String>) -> Self {
        Self {
            app_id: app_id.to_owned(),
            stores,
            requests: MetricHandles::default(),
            request_bytes: HTTP_REQUEST_BYTES.with(AppLabels { app_id }),
            response_bytes: HTTP_RESPONSE_BYTES.with(AppLabels { app_id }),
        }
    }

    /// The number of a store, for an [`Endpoint`].
    pub(super) fn store(&self, name: &str) -> Option<usize> {
        self.stores.iter().position(|known| known == name)
    }

    /// Records a request that was answered.
    pub(super) fn record_request(
        &self,
        endpoint: Endpoint,
        status: u16,
        took: Duration,
        bytes: BodyBytes,
    ) {
        let handles = self.requests.get((endpoint, status), || self.requests(endpoint, status));
        handles.requests.increment(1);
        handles.responses.increment(1);
        handles.latency.record(took.as_secs_f64() * 1000.0);
        self.request_bytes.record(bytes.request as f64);
        self.response_bytes.record(bytes.response as f64);
    }

    fn requests(&self, endpoint: Endpoint, status: u16) -> RequestHandles {
        let path = match endpoint.store {
            Some(store) => endpoint.template.replace("{store}", &self.stores[store]),
            None => endpoint.template.to_owned(),
        };
        let labels = HttpLabels {
            app_id: &self.app_id,
            method: endpoint.method,
            path: &path,
            status: &status.to_string(),
        };
        RequestHandles {
            requests: HTTP_REQUEST_COUNT.with(labels),
            responses: HTTP_RESPONSE_COUNT.with(labels),
            latency: HTTP_LATENCY.with(labels),
        }
    }
}
