//! Messages of callers that are compressed: with gzip, as Dapr's server accepts it. Those of the server never are.

use std::io::{self, Read};

use flate2::read::MultiGzDecoder;
use hyper::HeaderMap;
use tokio::task::yield_now;
use tonic::Status;

use super::frame::refusal;
use crate::requests::intake::{Intake, Room};

/// How many bytes are decompressed before other calls have their turn.
const BYTES_PER_TURN: usize = 64 << 10;

/// The longest name of an encoding that is quoted, in characters.
const MAX_ENCODING_NAME_CHARS: usize = 100;

/// How the messages of a call may be compressed, by its headers.
pub(super) enum Encoding {
    Identity,
    Gzip,
    Unknown(Box<str>),
}

impl Encoding {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let name = headers.get("grpc-encoding").and_then(|name| name.to_str().ok());
        match name {
            None | Some("" | "identity") => Self::Identity,
            Some("gzip") => Self::Gzip,
            Some(name) => Self::Unknown(name.chars().take(MAX_ENCODING_NAME_CHARS).collect()),
        }
    }

    /// Refuses a compressed message of a call that says nothing of gzip.
    ///
    /// The statuses are those of gRPC's implementation in Go, which is Dapr's (`rpc_util.go`).
    pub(super) fn check_gzip(&self) -> Result<(), Status> {
        match self {
            Self::Gzip => Ok(()),
            Self::Identity => {
                Err(Status::internal("grpc: compressed flag set with identity or empty encoding"))
            }
            Self::Unknown(name) => Err(not_installed(name)),
        }
    }

    /// The status of a compressed message in a call that takes none.
    pub(super) fn refusal(&self) -> Status {
        self.check_gzip().err().unwrap_or_else(|| not_installed("gzip"))
    }
}

fn not_installed(encoding: &str) -> Status {
    Status::unimplemented(format!(
        "grpc: Decompressor is not installed for grpc-encoding {encoding:?}"
    ))
}

/// Decompresses a message, which has `longest` bytes at most. It takes room as it grows, as if it arrived.
pub(super) async fn decompress(
    compressed: &[u8],
    longest: usize,
    intake: &Intake,
    room: &mut Option<Room>,
) -> Result<Vec<u8>, Status> {
    let mut decoder = MultiGzDecoder::new(compressed);
    let mut message = Vec::new();
    loop {
        let is_complete = read_turn(&mut decoder, &mut message).map_err(|error| {
            Status::internal(format!("grpc: failed to decompress the received message: {error}"))
        })?;
        if message.len() > longest {
            return Err(Status::resource_exhausted(format!(
                "grpc: received message after decompression larger than max {longest}"
            )));
        }
        // At most the size of the longest uncompressed message, which always fits the budget.
        let bytes = (compressed.len() + message.len()).min(longest);
        let made = intake.make_room(room, bytes, longest).await;
        made.map_err(|problem| refusal(problem, longest))?;
        if is_complete {
            return Ok(message);
        }
        yield_now().await;
    }
}

/// Decompresses the bytes of one turn, and says whether they were the last.
fn read_turn(decoder: impl Read, message: &mut Vec<u8>) -> io::Result<bool> {
    let read = decoder.take(BYTES_PER_TURN as u64).read_to_end(message)?;
    Ok(read < BYTES_PER_TURN)
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};
    use tonic::Code;

    use super::*;
    use crate::requests::intake::BodyLimits;

    const LONGEST: usize = 4 << 20;

    pub(crate) fn compressed(message: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(message).unwrap();
        encoder.finish().unwrap()
    }

    async fn decompressed(bytes: &[u8], longest: usize) -> Result<Vec<u8>, (Code, String)> {
        // The smallest memory.
        let intake = Intake::new(BodyLimits::default().memory(LONGEST));
        let decompressed = decompress(bytes, longest, &intake, &mut None).await;
        decompressed.map_err(|status| (status.code(), status.message().to_owned()))
    }

    #[tokio::test]
    async fn a_message_comes_back_in_any_length() {
        for length in [0, 1, BYTES_PER_TURN - 1, BYTES_PER_TURN, BYTES_PER_TURN + 1, LONGEST] {
            let message: Vec<u8> = (0..length).map(|byte| (byte % 251) as u8).collect();
            assert!(decompressed(&compressed(&message), LONGEST).await == Ok(message), "{length}");
        }
        let parts = [compressed(b"one "), compressed(b"two")].concat();
        assert_eq!(decompressed(&parts, LONGEST).await, Ok(b"one two".to_vec()));
    }

    #[tokio::test]
    async fn a_message_that_becomes_too_long_is_refused_early() {
        for longest in [3, 100_000, LONGEST] {
            let problem =
                format!("grpc: received message after decompression larger than max {longest}");
            let bomb = compressed(&vec![0; longest + 1]);
            let refused = Err((Code::ResourceExhausted, problem));
            assert!(decompressed(&bomb, longest).await == refused, "{longest}");
        }
    }

    #[tokio::test]
    async fn what_gzip_has_not_written_is_refused() {
        let whole = compressed(b"a message");
        let cut = &whole[..whole.len() - 1];
        let followed = [&whole[..], b"more"].concat();
        let mut altered = whole.clone();
        altered[12] ^= 1;
        for bytes in [&b""[..], b"a message", cut, &followed, &altered] {
            let (code, message) = decompressed(bytes, LONGEST).await.unwrap_err();
            assert_eq!(code, Code::Internal);
            let begin = "grpc: failed to decompress the received message: ";
            assert!(message.starts_with(begin), "{message}");
        }
    }

    #[tokio::test]
    async fn it_takes_room_for_what_it_becomes() {
        let intake = Intake::new(BodyLimits::default().memory(LONGEST));
        let (mut first, mut second) = (None, None);
        let bomb = compressed(&vec![0; LONGEST / 2]);
        assert!(decompress(&bomb, LONGEST, &intake, &mut first).await.is_ok());
        let whole = compressed(&vec![0; LONGEST]);
        let refused = decompress(&whole, LONGEST, &intake, &mut second);
        assert_eq!(refused.await.unwrap_err().code(), Code::Unavailable);
    }
}
