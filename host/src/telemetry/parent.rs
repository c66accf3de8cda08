//! The caller's span as the parent of ours.

use hyper::HeaderMap;
use tracing::Span;

use crate::trace_context::TraceParent;

/// Makes a span part of the caller's trace, where spans are exported at all.
#[cfg(feature = "traces")]
pub(crate) fn set_parent(span: &Span, parent: &TraceParent, headers: &HeaderMap) {
    use opentelemetry::{
        Context,
        trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId},
    };
    use tracing_opentelemetry::OpenTelemetrySpanExt;

    let context = SpanContext::new(
        TraceId::from(parent.trace_id),
        SpanId::from(parent.span_id),
        if parent.sampled { TraceFlags::SAMPLED } else { TraceFlags::default() },
        true,
        trace_state(headers),
    );
    // It fails where no layer for spans is installed: then there is nothing to be a parent of.
    let _ = span.set_parent(Context::new().with_remote_span_context(context));
}

#[cfg(not(feature = "traces"))]
pub(crate) fn set_parent(_: &Span, _: &TraceParent, _: &HeaderMap) {}

/// What is not well formed is as good as none (W3C Trace Context, "tracestate Header Field Values").
#[cfg(feature = "traces")]
fn trace_state(headers: &HeaderMap) -> opentelemetry::trace::TraceState {
    let parts = headers.get_all("tracestate").iter().map(|part| part.to_str());
    let parts: Result<Vec<_>, _> = parts.collect();
    let whole = parts.map(|parts| parts.join(",")).unwrap_or_default();
    whole.parse().unwrap_or_default()
}
