//! Heads of requests that gRPC's implementation in Go, which is Dapr's, refuses before it looks at the path
//! (`internal/transport/http2_server.go`).

use hyper::{Method, Response, StatusCode, header::CONTENT_TYPE, http::request::Parts};
use tonic::{Code, Status, body::Body};

/// The beginning of every content type of gRPC.
const GRPC: &[u8] = b"application/grpc";

/// The response to a request with such a head, `None` for others.
pub(super) fn refusal(head: &Parts) -> Option<Response<Body>> {
    let content_type = head.headers.get(CONTENT_TYPE);
    let sent = content_type.map_or(&[][..], |content_type| content_type.as_bytes());
    let Some(subtype) = subtype(sent) else {
        let message = format!("invalid gRPC request content-type {:?}", quoted(sent));
        let status = Status::new(Code::InvalidArgument, message);
        return Some(with(StatusCode::UNSUPPORTED_MEDIA_TYPE, status));
    };
    if head.method != Method::POST {
        let message = format!(
            "Received a HEADERS frame with :method {:?} which should be POST",
            head.method.as_str()
        );
        return Some(with(StatusCode::METHOD_NOT_ALLOWED, Status::internal(message)));
    }
    // Go takes the messages of a type that it does not know for protobuf.
    let is_protobuf = subtype.is_empty() || subtype.eq_ignore_ascii_case(b"proto");
    (!is_protobuf).then(|| {
        let sent = quoted(sent);
        let message = format!("content-type {sent} is not supported: messages are protobuf");
        Status::unimplemented(message).into_http()
    })
}

/// The part after the plus sign of a content type of gRPC.
fn subtype(content_type: &[u8]) -> Option<&[u8]> {
    let (begin, rest) = content_type.split_at_checked(GRPC.len())?;
    if !begin.eq_ignore_ascii_case(GRPC) {
        return None;
    }
    match rest {
        [] | [b';', ..] => Some(&[]),
        [b'+', subtype @ ..] => {
            subtype.split(|byte| *byte == b';').next().map(<[u8]>::trim_ascii_end)
        }
        _ => None,
    }
}

fn with(http: StatusCode, status: Status) -> Response<Body> {
    let mut response = status.into_http();
    *response.status_mut() = http;
    response
}

/// The first 100 bytes of the caller's text.
fn quoted(sent: &[u8]) -> String {
    String::from_utf8_lossy(&sent[..sent.len().min(100)]).into_owned()
}
