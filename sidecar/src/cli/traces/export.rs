//! Sends spans from tasks of the runtime. The thread that collects them has no runtime, and the exporter
//! needs Tokio's clock and sockets.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::{
    Resource,
    error::{OTelSdkError, OTelSdkResult},
    trace::{SpanData, SpanExporter as Export},
};
use tokio::runtime::Handle;

/// An exporter, and whether the last batch failed.
pub struct OnRuntime {
    exporter: Arc<SpanExporter>,
    endpoint: String,
    runtime: Handle,
    failing: AtomicBool,
}

impl OnRuntime {
    pub fn new(exporter: SpanExporter, endpoint: &str, runtime: &Handle) -> Self {
        Self {
            exporter: Arc::new(exporter),
            endpoint: endpoint.to_owned(),
            runtime: runtime.clone(),
            failing: AtomicBool::new(false),
        }
    }

    /// Logs once that sending fails, and once that it works again.
    fn note(&self, outcome: &OTelSdkResult) {
        let failed_before = self.failing.swap(outcome.is_err(), Ordering::Relaxed);
        match outcome {
            Err(error) if !failed_before => {
                let collector = &self.endpoint;
                tracing::warn!(collector, "traces cannot be sent and are dropped: {error}");
            }
            Ok(()) if failed_before => {
                tracing::info!(collector = self.endpoint, "traces are sent again");
            }
            _ => {}
        }
    }
}

impl Export for OnRuntime {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let exporter = Arc::clone(&self.exporter);
        let sending = self.runtime.spawn(async move { exporter.export(batch).await });
        let lost = |error| Err(OTelSdkError::InternalFailure(format!("{error}")));
        let outcome = sending.await.unwrap_or_else(lost);
        self.note(&outcome);
        outcome
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        // This is called before any batch is sent.
        if let Some(exporter) = Arc::get_mut(&mut self.exporter) {
            exporter.set_resource(resource);
        }
    }
}

impl fmt::Debug for OnRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnRuntime").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}
