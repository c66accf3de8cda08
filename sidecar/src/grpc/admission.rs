//! The check of the API token in a call's metadata.

use std::collections::HashMap;

use holdfast_dapr_api::TOKEN_HEADER;
use hyper::HeaderMap;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::token::Token;

/// Admits a call that carries the token. The refusal is that of Dapr 1.18 (`pkg/api/grpc/auth.go`),
/// with the reason in its details.
pub(super) fn admit(token: &Token, headers: &HeaderMap) -> Result<(), Status> {
    match headers.get(TOKEN_HEADER) {
        Some(sent) if token.is(sent.as_bytes()) => Ok(()),
        Some(_) => Err(refusal("authentication error: api token mismatch")),
        None => Err(refusal("missing api token in request metadata")),
    }
}

fn refusal(message: &str) -> Status {
    const UNAUTHORIZED: &str = "Unauthorized";
    let metadata = [("http.code", "401"), ("http.error_message", message)];
    let metadata = metadata.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let details = ErrorDetails::with_error_info(UNAUTHORIZED, "dapr.io", HashMap::from(metadata));
    Status::with_error_details(Code::Unauthenticated, UNAUTHORIZED, details)
}
