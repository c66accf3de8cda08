//! What a server serves.

use std::{
    error::Error as StdError,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use hyper::{Method, Request, Response, Uri, body::Body};

use super::body::RequestBody;

/// Marks a response, among its extensions, whose body lasts: its caller waits until it ends. Others count as answered
/// with their heads.
#[derive(Clone, Debug, Default)]
pub struct Lasting {
    asked: Option<Arc<AtomicBool>>,
}

impl Lasting {
    /// Marks a response that begins before the body of the request says what is asked for. Until `asked` is set, the
    /// server waits for the caller, and not the caller for the server.
    pub fn once(asked: Arc<AtomicBool>) -> Self {
        Self { asked: Some(asked) }
    }

    pub(super) fn is_asked(&self) -> bool {
        self.asked.as_ref().is_none_or(|asked| asked.load(Ordering::Relaxed))
    }
}

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

    /// Whether a request may be granted something that is lost if its caller has left.
    ///
    /// Over HTTP/1.1 a caller who leaves and one who only sends nothing more look the same. Such a request then ends,
    /// and all others are answered.
    fn may_grant(&self, _: &Method, _: &Uri) -> bool {
        false
    }
}
