//! The trait of the APIs that a server serves.

use std::error::Error as StdError;

use bytes::Bytes;
use hyper::{Method, Request, Response, Uri, body::Body};

use super::body::RequestBody;

/// An API, as a function from requests to responses.
pub trait HttpApi: Clone + Send + Sync + 'static {
    /// The body of a response.
    type Body: Body<Data = Bytes, Error: Into<Box<dyn StdError + Send + Sync>>>
        + Send
        + Unpin
        + 'static;

    /// Answers a request. The future is dropped when the caller leaves.
    fn answer(
        &self,
        request: Request<RequestBody>,
    ) -> impl Future<Output = Response<Self::Body>> + Send;

    /// Whether a request may be granted something that is lost if its caller has left.
    ///
    /// Over HTTP/1.1 a caller who leaves and one who only sends nothing more look the same. Such a request then ends,
    /// and all others are answered.
    fn may_grant(&self, _: &Method, _: &Uri) -> bool {
        false
    }
}
