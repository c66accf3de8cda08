//! The answers to the steps of a request.

use holdfast_dapr_api::FENCING_TOKEN_HEADER;
use holdfast_edge_lock::refusal::Refusal;
use holdfast_proto::ext_proc::{
    BodyMutation, BodyResponse, BodySendMode, CommonResponse, HeaderAppendAction, HeaderMutation,
    HeaderSendMode, HeaderValue, HeaderValueOption, HeadersResponse, HttpBody, HttpStatus,
    ImmediateResponse, ProcessingMode, ProcessingResponse, ProtocolConfiguration,
    StreamedBodyResponse, TrailersResponse, processing_response::Response,
};

use crate::grpc::leases::duration;

fn reply(response: Response) -> ProcessingResponse {
    ProcessingResponse { response: Some(response), ..ProcessingResponse::default() }
}

/// No answer yet: it comes within this many milliseconds.
pub(super) fn later(milliseconds: u64) -> ProcessingResponse {
    let override_message_timeout = Some(duration(milliseconds));
    ProcessingResponse { override_message_timeout, ..ProcessingResponse::default() }
}

/// The request goes on to the upstream with the fencing token, and never with one of the client's.
pub(super) fn go_on(fencing_token: Option<u64>) -> ProcessingResponse {
    let mutation = match fencing_token {
        Some(token) => HeaderMutation {
            set_headers: vec![header(FENCING_TOKEN_HEADER, &token.to_string())],
            ..HeaderMutation::default()
        },
        None => HeaderMutation {
            remove_headers: vec![FENCING_TOKEN_HEADER.to_owned()],
            ..HeaderMutation::default()
        },
    };
    let response = CommonResponse { header_mutation: Some(mutation), body_mutation: None };
    reply(Response::RequestHeaders(HeadersResponse { response: Some(response) }))
}

/// The same, and asks the proxy to report the trailers of the response as well. The body modes stay as they are.
///
/// Without its trailers, a response that has some, such as a gRPC response, looks as if it was cut off.
pub(super) fn go_on_with_trailers(
    fencing_token: Option<u64>,
    ProtocolConfiguration { request_body_mode, response_body_mode }: ProtocolConfiguration,
) -> ProcessingResponse {
    let mode_override = ProcessingMode {
        response_header_mode: HeaderSendMode::Send.into(),
        request_body_mode,
        response_body_mode,
        response_trailer_mode: HeaderSendMode::Send.into(),
        ..ProcessingMode::default()
    };
    ProcessingResponse { mode_override: Some(mode_override), ..go_on(fencing_token) }
}

/// The client gets this. `details` is for the proxy's log.
pub(super) fn refuse(refusal: &Refusal, details: &str) -> ProcessingResponse {
    let mut set_headers = vec![header("content-type", &refusal.content_type)];
    if let Some(seconds) = refusal.retry_after {
        set_headers.push(header("retry-after", &seconds.to_string()));
    }
    reply(Response::ImmediateResponse(ImmediateResponse {
        status: Some(HttpStatus { code: refusal.status.into() }),
        headers: Some(HeaderMutation { set_headers, ..HeaderMutation::default() }),
        body: refusal.body.clone().into_bytes(),
        details: details.to_owned(),
    }))
}

fn header(key: &str, value: &str) -> HeaderValueOption {
    let (key, raw_value) = (key.to_owned(), value.as_bytes().to_vec());
    HeaderValueOption {
        header: Some(HeaderValue { key, value: String::new(), raw_value }),
        append_action: HeaderAppendAction::OverwriteIfExistsOrAdd.into(),
    }
}

pub(super) fn response_headers() -> ProcessingResponse {
    reply(Response::ResponseHeaders(HeadersResponse::default()))
}

pub(super) fn request_body(body: HttpBody, mode: BodySendMode) -> ProcessingResponse {
    reply(Response::RequestBody(unchanged(body, mode)))
}

pub(super) fn response_body(body: HttpBody, mode: BodySendMode) -> ProcessingResponse {
    reply(Response::ResponseBody(unchanged(body, mode)))
}

pub(super) fn request_trailers() -> ProcessingResponse {
    reply(Response::RequestTrailers(TrailersResponse {}))
}

pub(super) fn response_trailers() -> ProcessingResponse {
    reply(Response::ResponseTrailers(TrailersResponse {}))
}

/// Whether the proxy forwards only the pieces of a body that the answers contain.
pub(super) fn is_duplex(mode: BodySendMode) -> bool {
    matches!(mode, BodySendMode::FullDuplexStreamed | BodySendMode::Grpc)
}

/// The answer that forwards a piece of a body unchanged. In some modes it must contain the piece.
fn unchanged(HttpBody { body, end_of_stream }: HttpBody, mode: BodySendMode) -> BodyResponse {
    if !is_duplex(mode) {
        return BodyResponse::default();
    }
    let streamed_response = Some(StreamedBodyResponse { body, end_of_stream });
    let body_mutation = Some(BodyMutation { streamed_response });
    BodyResponse { response: Some(CommonResponse { header_mutation: None, body_mutation }) }
}
