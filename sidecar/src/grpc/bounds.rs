//! The bounds of a call: the time until its caller's deadline, and room for its headers.

use std::pin::Pin;

use hyper::{Response, http::request::Parts};
use tonic::{Status, body::Body as GrpcBody};

use super::{deadline::Deadline, frame::refusal, unary::MAX_MESSAGE};
use crate::requests::intake::Intake;

/// The bounds of one call.
pub(crate) struct Bounds {
    deadline: Deadline,
}

impl Bounds {
    /// The bounds of a call, whose head keeps the room for its headers.
    ///
    /// # Errors
    ///
    /// The deadline is malformed, or the headers are long and there is no room for them.
    pub(crate) fn of(head: &mut Parts, intake: &Intake) -> Result<Self, Status> {
        let deadline = Deadline::of(&head.headers)?;
        intake.admit(head).map_err(|problem| refusal(problem, MAX_MESSAGE))?;
        Ok(Self { deadline })
    }

    /// The response to the call, if its head is there in time.
    ///
    /// It borrows the future, which is large: each function that took it would make the future of the call larger.
    pub(crate) async fn keep(
        self,
        answering: Pin<&mut impl Future<Output = Response<GrpcBody>>>,
    ) -> Response<GrpcBody> {
        self.deadline.answer(answering).await
    }

    /// The response to the call, whose stream ends at the deadline.
    pub(crate) async fn keep_stream(
        self,
        answering: Pin<&mut impl Future<Output = Response<GrpcBody>>>,
    ) -> Response<GrpcBody> {
        let deadline = self.deadline;
        deadline.end(self.keep(answering).await)
    }
}
