//! Calls of one message: from the body of a request to its message, and from an answer, or several, to a response.
//!
//! tonic's server reads and writes every call as a stream, with two buffers of 8 KiB and a dozen boxed futures. That
//! costs more than the rest of a lock call, so only health checks and reflection go through it.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures_util::{Stream, StreamExt, future, stream};
use holdfast_dapr_api::{FENCING_TOKEN_HEADER, body};
use holdfast_proto::decode::decode;
use http_body_util::StreamBody;
use hyper::{
    HeaderMap, Response,
    body::{Body, Frame, SizeHint},
    header::{CONTENT_TYPE, HeaderName, HeaderValue},
};
use prost::Message;
use tonic::{Status, body::Body as GrpcBody};

use super::{
    compression::{Encoding, decompress},
    frame::{PREFIX, framed_length, is_compressed, refusal},
    until::trailers,
};
use crate::{
    lasting::unread_stream::UnreadStream,
    requests::intake::{Intake, Room},
    server::{Lasting, Parting},
};

/// The longest message that is accepted, in bytes: as long as a body over HTTP, as in Dapr.
pub(super) const MAX_MESSAGE: usize = body::MAX_BODY_BYTES;

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const FENCING_TOKEN: HeaderName = HeaderName::from_static(FENCING_TOKEN_HEADER);

/// The message of a call, in memory.
pub(crate) struct Received {
    message: Bytes,
    _room: Option<Room>,
}

impl Received {
    /// Reads the body of a call, whose message has `longest` bytes at most. Bytes after the first message are ignored,
    /// as gRPC's implementation in Go does.
    pub(crate) async fn read<B>(
        body: &mut B,
        headers: &HeaderMap,
        intake: &Intake,
        longest: usize,
    ) -> Result<Self, Status>
    where
        B: Body + Unpin,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let most = PREFIX + longest;
        let whole = intake.read(body, most, framed_length).await;
        let whole = whole.map_err(|problem| refusal(problem, longest))?;
        let is_compressed = is_compressed(&whole.bytes)?;
        let (mut message, mut room) = whole.into_parts();
        if framed_length(&message).is_none_or(|length| length > message.len()) {
            return Err(Status::internal("unexpected EOF: the message is incomplete"));
        }
        message.advance(PREFIX);
        if is_compressed {
            Encoding::of(headers).check_gzip()?;
            message = decompress(&message, longest, intake, &mut room).await?.into();
        }
        Ok(Self { message, _room: room })
    }

    /// The message's length in bytes.
    pub(super) fn length(&self) -> usize {
        self.message.len()
    }

    /// Decodes the message.
    pub(crate) fn message<T: Message + Default>(&self) -> Result<T, Status> {
        decode(&self.message).map_err(|error| Status::internal(error.to_string()))
    }
}

/// The answer to a call.
pub(crate) struct ResponseMessage<T> {
    pub(crate) message: T,
    /// The fencing token that a try-lock got, for the trailing metadata.
    pub(crate) fencing_token: Option<u64>,
}

/// The response with one message, or with the status of a call that failed.
pub(crate) fn response<T: Message>(
    answer: Result<ResponseMessage<T>, Status>,
) -> Response<GrpcBody> {
    match answer {
        Ok(ResponseMessage { message, fencing_token }) => whole(encoded(&message), fencing_token),
        Err(status) => status.into_http(),
    }
}

/// The response with a message that is [`encoded`].
pub(super) fn whole(message: Bytes, fencing_token: Option<u64>) -> Response<GrpcBody> {
    of_body(GrpcBody::new(OneMessage::Whole(message, fencing_token)))
}

/// The response with a message for each item of a stream, which ends with the first error.
pub(crate) fn stream<T: Message + 'static>(
    messages: impl Stream<Item = Result<T, Status>> + Send + 'static,
) -> Response<GrpcBody> {
    let mut response = of_messages(with_end(messages));
    response.extensions_mut().insert(Lasting::default());
    response
}

/// As [`stream`], but the stream is cut off when the caller stops reading it. `parting` says why the messages are
/// dropped.
pub(crate) fn lasting<T: Message + 'static>(
    messages: impl Stream<Item = Result<T, Status>> + Send + 'static,
    parting: Parting,
) -> Response<GrpcBody> {
    let mut response = of_messages(UnreadStream::end(with_end(messages), parting.clone()));
    response.extensions_mut().insert(Lasting::until(parting));
    response
}

fn with_end<T>(
    messages: impl Stream<Item = Result<T, Status>>,
) -> impl Stream<Item = Result<T, Status>> {
    messages.chain(stream::once(async { Err(Status::ok("")) }))
}

fn of_messages<T: Message + 'static>(
    messages: impl Stream<Item = Result<T, Status>> + Send + 'static,
) -> Response<GrpcBody> {
    let frames = messages.scan(false, |ended, message| {
        let frame = match message {
            _ if *ended => return future::ready(None),
            Ok(message) => Frame::data(encoded(&message)),
            Err(status) => {
                *ended = true;
                trailers(&status)
            }
        };
        future::ready(Some(Ok::<_, Infallible>(frame)))
    });
    of_body(GrpcBody::new(StreamBody::new(frames)))
}

/// A message after its prefix.
pub(super) fn encoded(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut bytes = BytesMut::with_capacity(PREFIX + length);
    bytes.put_u8(0);
    // An answer has a few hundred bytes; the metadata can have a few hundred KiB.
    bytes.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    // Encoding fails only if the buffer is full, and this buffer grows.
    let _ = message.encode(&mut bytes);
    bytes.freeze()
}

fn of_body(body: GrpcBody) -> Response<GrpcBody> {
    let mut response = Response::new(body);
    let grpc = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(CONTENT_TYPE, grpc);
    response
}

/// The body of a response with one message.
enum OneMessage {
    /// The message, and a fencing token for the trailing metadata.
    Whole(Bytes, Option<u64>),
    /// The message was sent.
    Trailers(Option<u64>),
    Sent,
}

impl Body for OneMessage {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let (frame, next) = match std::mem::replace(&mut *self, Self::Sent) {
            Self::Whole(message, token) => (Frame::data(message), Self::Trailers(token)),
            Self::Trailers(token) => {
                let mut trailers = HeaderMap::with_capacity(2);
                trailers.insert(STATUS, HeaderValue::from_static("0"));
                if let Some(token) = token {
                    trailers.insert(FENCING_TOKEN, token.into());
                }
                (Frame::trailers(trailers), Self::Sent)
            }
            Self::Sent => return Poll::Ready(None),
        };
        *self = next;
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Sent)
    }

    /// Never exact, because the response would then have a `Content-Length`.
    fn size_hint(&self) -> SizeHint {
        let mut hint = SizeHint::new();
        if let Self::Whole(message, _) = self {
            hint.set_lower(message.len() as u64);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use holdfast_proto::runtime::UnlockRequest;
    use http_body_util::{BodyExt, Full, StreamBody};
    use tonic::Code;

    use super::*;
    use crate::{grpc::compression::tests::compressed, requests::intake::BodyLimits};

    /// The resource `r`.
    const MESSAGE: &[u8] = b"\0\0\0\0\x03\x12\x01r";

    /// Reads a body that arrives in pieces of this many bytes.
    async fn read(body: &[u8], piece: usize, encoding: Option<&str>) -> Result<Received, Status> {
        let pieces = body
            .chunks(piece)
            .map(|piece| Ok::<_, Infallible>(Frame::data(Bytes::copy_from_slice(piece))));
        let mut body = StreamBody::new(stream::iter(pieces.collect::<Vec<_>>()));
        let mut headers = HeaderMap::new();
        if let Some(encoding) = encoding {
            headers.insert("grpc-encoding", HeaderValue::from_str(encoding).unwrap());
        }
        let intake = Intake::new(BodyLimits::default());
        Received::read(&mut body, &headers, &intake, MAX_MESSAGE).await
    }

    #[tokio::test]
    async fn the_length_of_a_body_is_not_that_of_its_message() {
        let mut body = Full::new(Bytes::from([MESSAGE, MESSAGE].concat()));
        let intake = Intake::new(BodyLimits::default());
        let received =
            Received::read(&mut body, &HeaderMap::new(), &intake, MAX_MESSAGE).await.unwrap();
        assert_eq!(received.message::<UnlockRequest>().unwrap().resource_id, "r");
    }

    #[tokio::test]
    async fn the_longest_message_fits_into_the_smallest_memory() {
        let mut body = Full::new(Bytes::from([&b"\0\0\x40\0\0"[..], &[0; 4 << 20]].concat()));
        let intake = Intake::new(BodyLimits::default().memory(4 << 20));
        let received =
            Received::read(&mut body, &HeaderMap::new(), &intake, MAX_MESSAGE).await.unwrap();
        assert_eq!(received.length(), 4 << 20);
    }

    async fn refused(body: &[u8], encoding: Option<&str>) -> (Code, String) {
        let status = read(body, usize::MAX, encoding).await.map(|_| ()).unwrap_err();
        (status.code(), status.message().to_owned())
    }

    #[tokio::test]
    async fn a_message_is_read_in_any_pieces_and_what_follows_is_ignored() {
        for body in [MESSAGE, &[MESSAGE, MESSAGE].concat(), &[MESSAGE, b"\xff"].concat()] {
            for piece in [1, 3, 5, 8, 100] {
                let received = read(body, piece, None).await.unwrap();
                assert_eq!(received.length(), 3, "{piece}");
                let UnlockRequest { resource_id, .. } = received.message().unwrap();
                assert_eq!(resource_id, "r");
            }
        }
    }

    #[tokio::test]
    async fn the_empty_message_is_one() {
        for (body, piece) in [(&b"\0\0\0\0\0"[..], 5), (b"\0\0\0\0\0 and more", 3)] {
            let received = read(body, piece, None).await.unwrap();
            assert_eq!(received.message::<UnlockRequest>().unwrap(), UnlockRequest::default());
        }
    }

    #[tokio::test]
    async fn a_message_that_is_missing_or_incomplete_is_refused() {
        for body in [&b""[..], b"\0\0\0\0"] {
            let missing = "missing request message".to_owned();
            assert_eq!(refused(body, None).await, (Code::Internal, missing));
        }
        let (code, message) = refused(&MESSAGE[..7], None).await;
        assert_eq!(code, Code::Internal);
        assert!(message.starts_with("unexpected EOF"), "{message}");
    }

    #[tokio::test]
    async fn a_message_may_be_compressed_with_gzip() {
        let message = compressed(&MESSAGE[PREFIX..]);
        let length = u8::try_from(message.len()).unwrap();
        let body = [&[1, 0, 0, 0, length], &message[..]].concat();
        for piece in [1, 7, 100] {
            let received = read(&body, piece, Some("gzip")).await.unwrap();
            assert_eq!((received.length(), &received.message[..]), (3, &MESSAGE[PREFIX..]));
        }
        // A caller that could compress need not.
        assert!(read(MESSAGE, 8, Some("gzip")).await.is_ok());
    }

    #[tokio::test]
    async fn a_message_that_is_compressed_otherwise_is_refused_as_go_does() {
        let compressed = &[&[1], &MESSAGE[1..]].concat();
        let no_encoding = "grpc: compressed flag set with identity or empty encoding".to_owned();
        for encoding in [None, Some(""), Some("identity")] {
            let refused = refused(compressed, encoding).await;
            assert_eq!(refused, (Code::Internal, no_encoding.clone()));
        }
        let zstd = "grpc: Decompressor is not installed for grpc-encoding \"zstd\"".to_owned();
        assert_eq!(refused(compressed, Some("zstd")).await, (Code::Unimplemented, zstd));
        let other = "grpc: received unexpected payload format 2".to_owned();
        assert_eq!(refused(b"\x02\0\0\0\0", None).await, (Code::Internal, other));
    }

    #[tokio::test]
    async fn a_message_that_is_too_long_is_refused_by_its_first_bytes() {
        let message = "grpc: received message larger than max (4194305 vs. 4194304)".to_owned();
        let refused = refused(b"\0\0\x40\0\x01", None).await;
        assert_eq!(refused, (Code::ResourceExhausted, message));
    }

    #[tokio::test]
    async fn a_response_is_a_message_and_its_status() {
        let unlock = UnlockRequest { resource_id: "r".to_owned(), ..UnlockRequest::default() };
        let response = response(Ok(ResponseMessage { message: unlock, fencing_token: None }));
        assert_eq!(response.headers()[CONTENT_TYPE], "application/grpc");
        let whole = response.into_body().collect().await.unwrap();
        assert_eq!(whole.trailers().unwrap()["grpc-status"], "0");
        assert_eq!(whole.to_bytes(), MESSAGE);
    }
}
