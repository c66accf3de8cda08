//! What a call may take: the time until its caller's deadline, and room for its headers.

use std::time::Duration;

use hyper::{HeaderMap, Response};
use tonic::{Status, body::Body as GrpcBody};

use super::{
    deadline,
    unary::{MAX_MESSAGE, refusal},
};
use crate::intake::{Intake, Room};

/// The bounds of one call.
pub(crate) struct Bounds {
    timeout: Option<Duration>,
    /// For as long as the call needs its headers.
    _room: Option<Room>,
}

impl Bounds {
    /// The bounds of a call with these headers.
    ///
    /// # Errors
    ///
    /// The deadline is malformed, or the headers are long and there is no room for them.
    pub(crate) fn of(headers: &HeaderMap, intake: &Intake) -> Result<Self, Status> {
        let timeout = deadline::of(headers)?;
        let room = intake.headers(headers).map_err(|problem| refusal(problem, MAX_MESSAGE))?;
        Ok(Self { timeout, _room: room })
    }

    /// The response to the call, if it is there in time.
    pub(crate) async fn keep(
        self,
        answering: impl Future<Output = Response<GrpcBody>>,
    ) -> Response<GrpcBody> {
        let Some(timeout) = self.timeout else { return answering.await };
        let answered = tokio::time::timeout(timeout, answering).await;
        answered.unwrap_or_else(|_| deadline::exceeded().into_http())
    }
}
