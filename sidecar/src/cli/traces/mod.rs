//! Traces for a collector that speaks OTLP, where the environment names one.

mod export;
mod settings;
mod tls;

use std::time::Duration;

use anyhow::{Context, Result};
use opentelemetry::{KeyValue, trace::TracerProvider};
use opentelemetry_http::hyper::HyperClient;
use opentelemetry_otlp::{Protocol, SpanExporter, WithHttpConfig, WithTonicConfig};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use tokio::runtime::Handle;
use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{Layer, filter::filter_fn, registry::LookupSpan};

use self::{export::OnRuntime, settings::Settings};

/// What a process is called that nobody has given a name.
const SERVICE: &str = "holdfast";

/// The way of spans to the collector.
pub struct Traces {
    provider: SdkTracerProvider,
    settings: Settings,
}

impl Traces {
    /// `None` where the environment asks for no traces. They are sent from tasks of the runtime.
    pub fn start(app_id: &str, runtime: &Handle) -> Result<Option<Self>> {
        let Some(settings) = Settings::read(|name| std::env::var(name))? else {
            return Ok(None);
        };
        let _entered = runtime.enter();
        let exporter = exporter(&settings).context("traces cannot be sent")?;
        let exporter = OnRuntime::new(exporter, &settings.endpoint, runtime);
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource(app_id))
            .build();
        Ok(Some(Self { provider, settings }))
    }

    /// The layer that makes spans of ours into those of the collector. Their events are left out: they
    /// may say what is locked.
    pub fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let ours =
            filter_fn(|metadata| metadata.is_span() && metadata.target().starts_with(SERVICE));
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer(SERVICE))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_level(false)
            .with_tracked_inactivity(false)
            .with_filter(ours.with_max_level_hint(LevelFilter::DEBUG))
    }

    /// Says where they go.
    pub fn announce(&self) {
        let Settings { endpoint, protocol, .. } = &self.settings;
        tracing::info!("traces go to {endpoint} by {}", settings::name(*protocol));
    }

    /// Sends what is left, as long as that takes no longer than `limit`. Blocks.
    pub fn flush(&self, limit: Duration) {
        if let Err(error) = self.provider.shutdown_with_timeout(limit) {
            tracing::warn!("the last traces were not sent: {error}");
        }
    }
}

/// The exporter reads the endpoint, the timeout and the headers from the environment.
fn exporter(settings: &Settings) -> Result<SpanExporter> {
    let builder = SpanExporter::builder();
    let exporter = match (settings.protocol, settings.tls.clone()) {
        (Protocol::Grpc, None) => builder.with_tonic().build(),
        (Protocol::Grpc, Some(roots)) => {
            builder.with_tonic().with_tls_config(tls::for_grpc(roots)).build()
        }
        (_, None) => builder.with_http().build(),
        (_, Some(roots)) => {
            let client = HyperClient::new(tls::for_http(roots)?, settings.timeout, None);
            builder.with_http().with_http_client(client).build()
        }
    };
    Ok(exporter?)
}

/// Who sends them: `OTEL_SERVICE_NAME` or `OTEL_RESOURCE_ATTRIBUTES` say it, else the application's id.
fn resource(app_id: &str) -> Resource {
    const NOT_SAID: &str = "unknown_service";
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let said = Resource::builder().build();
    let name = said.get(&"service.name".into());
    let name = name.filter(|name| !name.as_str().starts_with(NOT_SAID));
    let builder = Resource::builder().with_attribute(version);
    match name {
        Some(_) => builder.build(),
        None if app_id.is_empty() => builder.with_service_name(SERVICE).build(),
        None => builder.with_service_name(app_id.to_owned()).build(),
    }
}
