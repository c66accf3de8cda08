//! The caller's deadline: the header `grpc-timeout` (gRPC over HTTP2, "Requests").

use std::{future::poll_fn, pin::pin, task::Poll, time::Duration};

use hyper::{HeaderMap, Response};
use tokio::time::{Instant, sleep_until, timeout_at};
use tonic::{Status, body::Body as GrpcBody};

use super::until::until;

/// When the caller stops waiting; `None` for never.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline(Option<Instant>);

impl Deadline {
    /// The deadline of a call that begins now.
    ///
    /// # Errors
    ///
    /// The header is malformed. gRPC's implementation in Go, which is Dapr's, refuses it too.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Status> {
        let Some(header) = headers.get("grpc-timeout") else {
            return Ok(Self(None));
        };
        let timeout = header.to_str().ok().and_then(parse);
        let timeout = timeout.ok_or_else(|| Status::internal("malformed grpc-timeout"))?;
        Ok(Self(Instant::now().checked_add(timeout)))
    }

    /// The response to a call, if its head is there in time.
    pub(super) async fn answer(
        self,
        answering: impl Future<Output = Response<GrpcBody>>,
    ) -> Response<GrpcBody> {
        let Some(deadline) = self.0 else { return answering.await };
        let mut answering = pin!(timeout_at(deadline, answering));
        // A timer is only exact to the millisecond. A lock that is granted later than the deadline is given back when
        // the call is dropped.
        let in_time = poll_fn(|cx| match deadline <= Instant::now() {
            true => Poll::Ready(None),
            false => answering.as_mut().poll(cx).map(Result::ok),
        });
        in_time.await.unwrap_or_else(|| exceeded().into_http())
    }

    /// The response, whose stream ends at the deadline.
    pub(super) fn end(self, response: Response<GrpcBody>) -> Response<GrpcBody> {
        match self.0 {
            Some(deadline) => response.map(|body| until(body, passes(deadline))),
            None => response,
        }
    }
}

async fn passes(deadline: Instant) -> Status {
    sleep_until(deadline).await;
    exceeded()
}

fn exceeded() -> Status {
    Status::deadline_exceeded("the caller's deadline passed before the call was done")
}

/// Parses at most eight digits and a unit.
fn parse(timeout: &str) -> Option<Duration> {
    let (digits, unit) = timeout.split_at_checked(timeout.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let count = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(count * 3600)),
        "M" => Some(Duration::from_secs(count * 60)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::task::yield_now;

    use super::*;

    #[tokio::test]
    async fn a_call_that_ends_after_its_deadline_has_exceeded_it() {
        let code = async |deadline, answering: &dyn Fn() -> bool| {
            let answering = async {
                while !answering() {
                    yield_now().await;
                }
                Response::new(GrpcBody::empty())
            };
            let response = Deadline(Some(deadline)).answer(answering).await;
            Status::from_header_map(response.headers()).map(|status| status.code())
        };
        let now = Instant::now();
        let begun = Cell::new(false);
        let begin = || {
            begun.set(true);
            true
        };
        assert_eq!(code(now, &begin).await, Some(tonic::Code::DeadlineExceeded));
        assert!(!begun.get());
        let soon = now + Duration::from_micros(900);
        let passed = Cell::new(false);
        // Becomes ready only at a later poll: the deadline may pass during a poll.
        let late = || passed.replace(soon < Instant::now());
        assert_eq!(code(soon, &late).await, Some(tonic::Code::DeadlineExceeded));
        assert_eq!(code(now + Duration::from_secs(600), &begin).await, None);
    }

    #[test]
    fn timeouts_are_read_as_they_are_written() {
        for (timeout, read) in [
            ("0n", Some(Duration::ZERO)),
            ("100n", Some(Duration::from_nanos(100))),
            ("20u", Some(Duration::from_micros(20))),
            ("1500m", Some(Duration::from_millis(1500))),
            ("2S", Some(Duration::from_secs(2))),
            ("3M", Some(Duration::from_secs(180))),
            ("99999999H", Some(Duration::from_secs(359_999_996_400))),
            ("123456789n", None),
            ("", None),
            ("S", None),
            ("5", None),
            ("-1S", None),
            ("+1S", None),
            ("1.5S", None),
            ("5s", None),
            ("5é", None),
        ] {
            assert_eq!(parse(timeout), read, "{timeout}");
        }
    }
}
