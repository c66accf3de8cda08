//! The caller's trace: the header `traceparent` of W3C Trace Context, and the older binary form
//! `grpc-trace-bin`, which callers over gRPC may send instead.

use hyper::HeaderMap;
use tracing::Span;

/// The caller's span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TraceParent {
    /// Not zero.
    pub trace_id: u128,
    /// Not zero.
    pub span_id: u64,
    /// Whether the caller records it.
    pub sampled: bool,
}

impl TraceParent {
    /// Reads the header `traceparent`. A malformed one counts as absent.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        Self::text(headers.get("traceparent")?.to_str().ok()?)
    }

    /// The trace id in the form for people: 32 hexadecimal digits.
    pub fn trace_id(&self) -> String {
        format!("{:032x}", self.trace_id)
    }

    /// Makes `span` a child of the caller's span. Does nothing unless spans are exported.
    pub fn adopt(&self, span: &Span, headers: &HeaderMap) {
        use opentelemetry::{
            Context,
            trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId},
        };
        use tracing_opentelemetry::OpenTelemetrySpanExt;

        let context = SpanContext::new(
            TraceId::from(self.trace_id),
            SpanId::from(self.span_id),
            if self.sampled { TraceFlags::SAMPLED } else { TraceFlags::default() },
            true,
            trace_state(headers),
        );
        // Fails without a layer that exports spans; then there is no trace to belong to.
        let _ = span.set_parent(Context::new().with_remote_span_context(context));
    }

    fn text(header: &str) -> Option<Self> {
        let mut fields = header.split('-');
        let (version, trace, span) = (fields.next()?, fields.next()?, fields.next()?);
        let flags = fields.next()?;
        // A later version may add fields; 00 may not.
        let complete = version != "00" || fields.next().is_none();
        let version = hex::<2>(version)?;
        if !complete || version == 0xff {
            return None;
        }
        let span_id = u64::try_from(hex::<16>(span)?).ok()?;
        Self { trace_id: hex::<32>(trace)?, span_id, sampled: hex::<2>(flags)? & 1 == 1 }.valid()
    }

    /// Reads `grpc-trace-bin`: version 0, then field 0 with the trace, field 1 with the span and field
    /// 2 with the flags (OpenCensus, `encodings/BinaryEncoding.md`).
    pub fn binary(bytes: &[u8]) -> Option<Self> {
        let (&[0, 0], rest) = bytes.split_first_chunk()? else { return None };
        let (trace, rest) = rest.split_first_chunk()?;
        let (&[1], rest) = rest.split_first_chunk()? else { return None };
        let (span, rest) = rest.split_first_chunk()?;
        let sampled = match rest {
            [] => false,
            [2, flags, ..] => flags & 1 == 1,
            _ => return None,
        };
        let (trace_id, span_id) = (u128::from_be_bytes(*trace), u64::from_be_bytes(*span));
        Self { trace_id, span_id, sampled }.valid()
    }

    fn valid(self) -> Option<Self> {
        (self.trace_id != 0 && self.span_id != 0).then_some(self)
    }
}

/// Reads the header `tracestate`. A malformed one counts as absent (W3C Trace Context, "tracestate Header
/// Field Values").
fn trace_state(headers: &HeaderMap) -> opentelemetry::trace::TraceState {
    let parts = headers.get_all("tracestate").iter().map(|part| part.to_str());
    let parts: Result<Vec<_>, _> = parts.collect();
    let whole = parts.map(|parts| parts.join(",")).unwrap_or_default();
    whole.parse().unwrap_or_default()
}

/// A number of `DIGITS` hexadecimal digits, in lower case.
fn hex<const DIGITS: usize>(field: &str) -> Option<u128> {
    let lower_hex = |digit: u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
    let well_formed = field.len() == DIGITS && field.bytes().all(lower_hex);
    well_formed.then(|| u128::from_str_radix(field, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const PARENT: TraceParent = TraceParent {
        trace_id: 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c,
        span_id: 0xb7ad_6b71_6920_3331,
        sampled: true,
    };

    fn of(value: &str) -> Option<TraceParent> {
        let mut headers = HeaderMap::new();
        headers.insert("traceparent", HeaderValue::from_str(value).unwrap());
        TraceParent::of(&headers)
    }

    fn binary(parent: &TraceParent, flags: &[u8]) -> Vec<u8> {
        let (trace, span) = (parent.trace_id.to_be_bytes(), parent.span_id.to_be_bytes());
        [&[0, 0][..], &trace, &[1], &span, flags].concat()
    }

    #[test]
    fn only_a_well_formed_text_is_taken_over() {
        let good = format!("00-{TRACE}-b7ad6b7169203331-01");
        assert_eq!(of(&good), Some(PARENT));
        assert_eq!(PARENT.trace_id(), TRACE);
        let later = format!("cc-{TRACE}-b7ad6b7169203331-00-more");
        assert_eq!(of(&later), Some(TraceParent { sampled: false, ..PARENT }));
        for bad in [
            String::new(),
            format!("{good}-more"),
            format!("ff-{TRACE}-b7ad6b7169203331-01"),
            format!("00-{TRACE}-0000000000000000-01"),
            format!("00-{}-b7ad6b7169203331-01", TRACE.to_uppercase()),
            format!("00-{}-b7ad6b7169203331-01", "0".repeat(32)),
            format!("00-{TRACE}-b7ad6b7169203331"),
        ] {
            assert_eq!(of(&bad), None, "{bad}");
        }
    }

    #[test]
    fn the_binary_form_says_the_same() {
        for (flags, sampled) in [(&[][..], false), (&[2, 0], false), (&[2, 1], true)] {
            let parent = TraceParent::binary(&binary(&PARENT, flags));
            assert_eq!(parent, Some(TraceParent { sampled, ..PARENT }), "{flags:?}");
        }
        let zero = TraceParent { trace_id: 0, ..PARENT };
        for bad in [binary(&zero, &[]), binary(&PARENT, &[7, 1]), vec![1; 29], vec![0; 5]] {
            assert_eq!(TraceParent::binary(&bad), None, "{bad:?}");
        }
    }
}
