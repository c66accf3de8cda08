//! What a server serves.

use std::error::Error as StdError;

use bytes::Bytes;
use hyper::{Request, Response, body::Body};

use super::body::RequestBody;

/// Marks a response, among its extensions, whose body lasts: its caller waits until it ends. Others count as answered
/// with their heads.
#[derive(Clone, Copy, Debug)]
pub struct Lasting;

/// An API, as a function from requests to responses.
pub trait Answer: Clone + Send + Sync + 'static {
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
}
