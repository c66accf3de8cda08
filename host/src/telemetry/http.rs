//! What Dapr counts of HTTP requests.

use std::time::Duration;

use metrics::{Counter, Histogram};

use super::{
    cache::Cache,
    definitions::{
        HTTP_LATENCY, HTTP_REQUEST_BYTES, HTTP_REQUEST_COUNT, HTTP_RESPONSE_BYTES,
        HTTP_RESPONSE_COUNT,
    },
};

/// The method and path of a request as labels, of which there are only so many: a route, and one of the
/// stores that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Path {
    pub(crate) method: &'static str,
    /// With `{store}` or `{key}` in the place of what the caller put there.
    pub(crate) template: &'static str,
    /// Which store the caller put there, if there is one of that name.
    pub(crate) store: Option<usize>,
}

/// The handles of one API's metrics.
#[derive(Debug)]
pub(crate) struct HttpMetrics {
    app_id: String,
    stores: Vec<String>,
    requests: Cache<(Path, u16), Requests>,
    request_bytes: Histogram,
    response_bytes: Histogram,
}

/// Of the requests to one path that had one status.
#[derive(Debug)]
struct Requests {
    requests: Counter,
    responses: Counter,
    latency: Histogram,
}

impl HttpMetrics {
    /// The stores are those that paths may name.
    pub(crate) fn new(app_id: &str, stores: Vec<String>) -> Self {
        Self {
            app_id: app_id.to_owned(),
            stores,
            requests: Cache::default(),
            request_bytes: HTTP_REQUEST_BYTES.histogram(&[app_id]),
            response_bytes: HTTP_RESPONSE_BYTES.histogram(&[app_id]),
        }
    }

    /// The number of a store, for a [`Path`].
    pub(crate) fn store(&self, name: &str) -> Option<usize> {
        self.stores.iter().position(|known| known == name)
    }

    /// A request was answered, with so many bytes in its body and in the response's.
    pub(crate) fn answered(&self, path: Path, status: u16, took: Duration, bytes: [u64; 2]) {
        let requests = self.requests.get((path, status), || self.of(path, status));
        requests.requests.increment(1);
        requests.responses.increment(1);
        requests.latency.record(took.as_secs_f64() * 1000.0);
        let [received, sent] = bytes;
        self.request_bytes.record(received as f64);
        self.response_bytes.record(sent as f64);
    }

    fn of(&self, path: Path, status: u16) -> Requests {
        let filled = match path.store {
            Some(store) => path.template.replace("{store}", &self.stores[store]),
            None => path.template.to_owned(),
        };
        let labels = [&self.app_id, path.method, &filled, &status.to_string()];
        Requests {
            requests: HTTP_REQUEST_COUNT.counter(&labels),
            responses: HTTP_RESPONSE_COUNT.counter(&labels),
            latency: HTTP_LATENCY.histogram(&labels),
        }
    }
}
