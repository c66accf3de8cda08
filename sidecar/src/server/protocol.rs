//! The HTTP settings of a connection: sizes of heads, windows and pings.

use std::time::Duration;

use hyper_util::{rt::TokioTimer, server::conn::auto::Builder};

use super::streams::NewStreams;

/// How much of the head of a request over HTTP/1 is read, and how much of its body at a time, in bytes. daprd
/// takes heads of about 8 KiB.
const READ_BUFFER: usize = 32 << 10;

/// How many header fields a request over HTTP/1 may have. daprd takes 400.
const MAX_FIELDS: usize = 512;

/// How many bytes of headers a request over HTTP/2 may have.
const MAX_HEADERS: u32 = 64 << 10;

/// The same for gRPC, whose callers put longer values into the metadata.
const MAX_METADATA: u32 = 512 << 10;

/// How many bytes of a body callers may send before the server wants them, over HTTP/2: for one request, and
/// for all of a connection.
const WINDOW: u32 = 64 << 10;
const CONNECTION_WINDOW: u32 = 256 << 10;

/// The kind of callers of an API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ApiKind {
    /// Callers over HTTP.
    Http,
    /// Callers over gRPC, who keep connections idle for hours.
    Grpc,
    /// Probes, scrapers and operators. A shutdown does not wait for their next requests.
    Auxiliary,
}

/// The pings by which the server notices that a caller over HTTP/2 has gone without closing its connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pings {
    /// How often a ping is sent.
    pub(super) interval: Duration,
    /// How long the answer may take.
    pub(super) timeout: Duration,
}

/// How a connection of an API is served, whose HTTP/2 streams go to `streams`.
pub(super) fn builder(kind: ApiKind, pings: Pings, streams: NewStreams) -> Builder<NewStreams> {
    let mut builder = Builder::new(streams);
    if kind == ApiKind::Grpc {
        builder = builder.http2_only();
    }
    builder
        .http1()
        // The connection looks for itself whether the caller has left.
        .half_close(true)
        // Responses are short: to copy the body behind the head costs less than to write both at once.
        .writev(false)
        .max_buf_size(READ_BUFFER)
        .max_headers(MAX_FIELDS)
        .header_read_timeout(None);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(pings.interval)
        .keep_alive_timeout(pings.timeout)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(if kind == ApiKind::Grpc { MAX_METADATA } else { MAX_HEADERS });
    builder
}
