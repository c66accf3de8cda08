//! The operator API: the locks that are held, and ending a hold. One port serves it over HTTP and gRPC.
//!
//! It is not a part of the other APIs, because a caller that may take locks must not be able to take them from others.
//!
//! | module | what lives there |
//! |---|---|
//! | `http`, `grpc` | the calls, over each of the two |
//! | `page` | the page on which operators see the locks |
//! | `events`, `room` | the locks as they are taken and freed, and how many may watch them |
//! | `form` | the answers to operators, as JSON |
//! | `refusal` | requests that are refused before they are read |

mod events;
pub(crate) mod form;
mod grpc;
mod http;
mod page;
mod refusal;
mod room;

use std::{net::IpAddr, sync::Arc};

use http_body_util::Either;
use hyper::{
    Request, Response,
    header::{CONTENT_TYPE, HOST, HeaderValue, ORIGIN},
    http::uri::Authority,
};
use tonic::body::Body as GrpcBody;

use self::{refusal::Refusal, room::Room};
use crate::{
    http::ResponseBody,
    server::{HttpApi, RequestBody},
    sidecar::Sidecar,
    token::Token,
};

/// The header, or gRPC metadata, with the token.
pub const TOKEN_HEADER: &str = "holdfast-admin-token";

/// The operator API, as a function from requests to responses. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Api {
    sidecar: Sidecar,
    token: Option<Arc<Token>>,
    room: Room,
    page: bool,
}

impl Api {
    /// The API of a sidecar. With a `token`, every request must carry it as [`TOKEN_HEADER`]; an empty one is none.
    pub fn new(sidecar: Sidecar, token: Option<&str>) -> Self {
        let token = token.filter(|token| !token.is_empty());
        let token = token.map(|token| Token::new(token).into());
        Self { sidecar, token, room: Room::new(), page: false }
    }

    /// Serves the page on which operators see the locks, at `/ui`. The page needs no token, but the locks that it shows
    /// do.
    #[must_use]
    pub fn with_page(mut self) -> Self {
        self.page = true;
        self
    }

    /// Why a request is refused, if it is.
    fn refusal<B>(&self, request: &Request<B>) -> Option<Refusal> {
        let headers = request.headers();
        let Some(token) = &self.token else {
            // A web page can make its own host name resolve to this address; its requests then carry that host.
            let from_here = names_this_machine(request) && !is_of_another_site(request);
            return (!from_here).then_some(Refusal::Foreign);
        };
        let sent = headers.get(TOKEN_HEADER).map_or(&[][..], |sent| sent.as_bytes());
        (!token.is(sent)).then_some(Refusal::Token)
    }

    async fn http<B>(
        &self,
        request: &Request<B>,
        refusal: Option<Refusal>,
    ) -> Response<ResponseBody> {
        // The page itself says nothing about locks, so a page of another site may link to it.
        if self.page
            && (self.token.is_some() || names_this_machine(request))
            && let Some(page) = page::answer(request)
        {
            return page;
        }
        http::answer(&self.sidecar, &self.room, request, refusal).await
    }
}

impl HttpApi for Api {
    type Body = Either<ResponseBody, GrpcBody>;

    async fn answer(&self, request: Request<RequestBody>) -> Response<Self::Body> {
        let content_type = request.headers().get(CONTENT_TYPE);
        let is_grpc = content_type.is_some_and(is_of_grpc);
        let refusal = self.refusal(&request);
        if is_grpc {
            let answered = grpc::answer(&self.sidecar, &self.room, request, refusal);
            return answered.await.map(Either::Right);
        }
        self.http(&request, refusal).await.map(Either::Left)
    }
}

fn is_of_grpc(content_type: &HeaderValue) -> bool {
    let rest = content_type.as_bytes().strip_prefix(b"application/grpc");
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

/// Whether the host of a request is `localhost`, or a loopback address.
fn names_this_machine<B>(request: &Request<B>) -> bool {
    authority(request).is_some_and(|authority| {
        let host = authority.host().trim_matches(['[', ']']);
        host.eq_ignore_ascii_case("localhost")
            || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    })
}

/// Whether a browser sends the request on behalf of a page from a host other than the one that the request is for.
fn is_of_another_site<B>(request: &Request<B>) -> bool {
    let headers = request.headers();
    // Frames and links have no origin.
    let site = headers.get("sec-fetch-site").map(|site| site.as_bytes());
    let other_site = site.is_some_and(|site| ![&b"same-origin"[..], b"none"].contains(&site));
    other_site
        || headers.get(ORIGIN).is_some_and(|origin| {
            let origin = origin.to_str().ok().and_then(|origin| origin.strip_prefix("http://"));
            let host = authority(request);
            let pair = origin.zip(host);
            pair.is_none_or(|(origin, host)| !origin.eq_ignore_ascii_case(host.as_str()))
        })
}

/// The host that a request is for.
fn authority<B>(request: &Request<B>) -> Option<Authority> {
    let header = || request.headers().get(HOST)?.to_str().ok()?.parse().ok();
    request.uri().authority().cloned().or_else(header)
}
