//! The frames of messages, and the status of a call whose message was not read.

use tonic::Status;

use crate::requests::intake::NotRead;

/// The length of the prefix of a message: whether it is compressed, and its length in four bytes (gRPC over HTTP2,
/// "Length-Prefixed-Message").
pub(super) const PREFIX: usize = 5;

/// Whether a message is compressed, by its prefix.
pub(super) fn is_compressed(bytes: &[u8]) -> Result<bool, Status> {
    let prefix = bytes.first_chunk::<PREFIX>();
    let &[compressed, ..] = prefix.ok_or_else(|| Status::internal("missing request message"))?;
    match compressed {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(Status::internal(format!("grpc: received unexpected payload format {other}"))),
    }
}

/// The length of the message with its prefix; `None` if the bytes are too few to tell.
pub(super) fn framed_length(bytes: &[u8]) -> Option<usize> {
    let &[_, a, b, c, d] = bytes.first_chunk::<PREFIX>()?;
    Some(PREFIX + u32::from_be_bytes([a, b, c, d]) as usize)
}

/// The status of a call whose message was not read, which has `longest` bytes at most.
pub(super) fn refusal(problem: NotRead, longest: usize) -> Status {
    let message = problem.to_string();
    match problem {
        NotRead::NoRoom(_) => Status::unavailable(message),
        NotRead::TooSlow(_) => Status::deadline_exceeded(format!("the message: {message}")),
        NotRead::TooLong(Some(length)) => {
            let length = length.saturating_sub(PREFIX);
            Status::resource_exhausted(format!(
                "grpc: received message larger than max ({length} vs. {longest})"
            ))
        }
        NotRead::TooLong(None) => Status::resource_exhausted(message),
        NotRead::Failed(cause) => Status::from_error(cause),
    }
}
