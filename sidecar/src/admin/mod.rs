//! The API of operators: who holds what, and ending a hold. One port serves it over HTTP and gRPC.
//!
//! It is not a part of the other APIs, because whoever may take locks may not yet take them from others.

pub(crate) mod form;
mod grpc;
mod http;
mod refusal;
mod watch;

use std::{net::IpAddr, sync::Arc};

use http_body_util::Either;
use hyper::{
    Request, Response,
    header::{CONTENT_TYPE, HOST, HeaderValue, ORIGIN},
    http::uri::Authority,
};
use tokio::sync::Semaphore;
use tonic::body::Body as GrpcBody;

use self::refusal::Refusal;
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
    token: Option<Arc<Token>>,
    /// Room for streams.
    watches: Arc<Semaphore>,
}

impl Api {
    /// The API of a sidecar. With a `token`, every request must carry it as [`TOKEN_HEADER`]; an empty one is none.
    pub fn new(sidecar: Sidecar, token: Option<&str>) -> Self {
        let token = token.filter(|token| !token.is_empty());
        let token = token.map(|token| Token::new(token).into());
        Self { sidecar, token, watches: Arc::new(Semaphore::new(watch::WATCHES)) }
    }

    /// Why a request is refused, if it is.
    fn refusal<B>(&self, request: &Request<B>) -> Option<Refusal> {
        let headers = request.headers();
        let Some(token) = &self.token else {
            // A page of the web may have the name of its own host lead here, which is then the host of its requests.
            let from_here = !headers.contains_key(ORIGIN) && names_this_machine(request);
            return (!from_here).then_some(Refusal::Foreign);
        };
        let sent = headers.get(TOKEN_HEADER).map_or(&[][..], |sent| sent.as_bytes());
        (!token.is(sent)).then_some(Refusal::Token)
    }
}

impl Answer for Api {
    type Body = Either<ResponseBody, GrpcBody>;

    async fn answer(&self, request: Request<RequestBody>) -> Response<Self::Body> {
        let content_type = request.headers().get(CONTENT_TYPE);
        let is_grpc = content_type.is_some_and(is_of_grpc);
        let refusal = self.refusal(&request);
        match is_grpc {
            true => {
                let answered = grpc::answer(&self.sidecar, &self.watches, request, refusal);
                answered.await.map(Either::Right)
            }
            false => http::answer(&self.sidecar, &request, refusal).await.map(Either::Left),
        }
    }
}

fn is_of_grpc(content_type: &HeaderValue) -> bool {
    let rest = content_type.as_bytes().strip_prefix(b"application/grpc");
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

/// Whether the host of a request is `localhost`, or a loopback address.
fn names_this_machine<B>(request: &Request<B>) -> bool {
    let header = || request.headers().get(HOST)?.to_str().ok()?.parse::<Authority>().ok();
    let authority = request.uri().authority().cloned().or_else(header);
    authority.is_some_and(|authority| {
        let host = authority.host().trim_matches(['[', ']']);
        host.eq_ignore_ascii_case("localhost")
            || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    })
}
