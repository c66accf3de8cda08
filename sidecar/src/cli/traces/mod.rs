//! Traces: spans sent to a collector over OTLP, if the environment names one.
//!
//! | module | what lives there |
//! |---|---|
//! | `settings` | the environment variables of OpenTelemetry |
//! | `export` | sending spans |
//! | `tls` | TLS to the collector |

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

/// The name of the service, if no other is set.
const SERVICE: &str = "holdfast";

/// The exporter of spans.
pub struct Traces {
    provider: SdkTracerProvider,
    settings: Settings,
}

impl Traces {
    /// Starts the exporter, which sends from tasks of the runtime. `None` if the environment sets no
    /// collector.
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

    /// The layer that exports the spans of this crate and of the library. Events are not exported: they may name a
    /// resource.
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

    /// Logs where traces are sent.
    pub fn announce(&self) {
        let Settings { endpoint, protocol, .. } = &self.settings;
        tracing::info!("sending traces to {endpoint} over {}", settings::name(*protocol));
    }

    /// Sends the remaining spans, for at most `limit`. Blocks.
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

/// The resource of the spans. Its service is named by `OTEL_SERVICE_NAME` or
/// `OTEL_RESOURCE_ATTRIBUTES`, else by the application's id.
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
