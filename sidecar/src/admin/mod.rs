//! The API of operators: who holds what, and ending a hold. One port serves it over HTTP and gRPC.
//!
//! It is not a part of the other APIs, because whoever may take locks may not yet take them from others.

mod grpc;
mod http;
mod page;
mod watch;

use http_body_util::Either;
use hyper::{HeaderMap, Request, Response, header::CONTENT_TYPE};
use tonic::body::Body as GrpcBody;

use crate::{
    http::ResponseBody,
    server::{Answer, RequestBody},
    sidecar::Sidecar,
    token::Token,
};

/// The header, or gRPC metadata, with the token.
pub const TOKEN_HEADER: &str = "holdfast-admin-token";

/// The API of operators, as a function from requests to responses. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Api {
    sidecar: Sidecar,
    token: Option<std::sync::Arc<Token>>,
}

impl Api {
    /// The API of a sidecar. With a `token`, every request must carry it as [`TOKEN_HEADER`]; an empty one is none.
    pub fn new(sidecar: Sidecar, token: Option<&str>) -> Self {
        let token = token.filter(|token| !token.is_empty());
        Self { sidecar, token: token.map(|token| Token::new(token).into()) }
    }

    fn admits(&self, headers: &HeaderMap) -> bool {
        let sent = headers.get(TOKEN_HEADER).map_or(&[][..], |sent| sent.as_bytes());
        self.token.as_ref().is_none_or(|token| token.is(sent))
    }
}

impl Answer for Api {
    type Body = Either<ResponseBody, GrpcBody>;

    async fn answer(&self, request: Request<RequestBody>) -> Response<Self::Body> {
        let content_type = request.headers().get(CONTENT_TYPE);
        let is_grpc = content_type
            .is_some_and(|content_type| content_type.as_bytes().starts_with(b"application/grpc"));
        let admitted = self.admits(request.headers());
        match is_grpc {
            true => grpc::answer(&self.sidecar, request, admitted).await.map(Either::Right),
            false => http::answer(&self.sidecar, &request, admitted).await.map(Either::Left),
        }
    }
}
