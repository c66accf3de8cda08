//! The messages of a call that sends several, one after the other. None may be compressed: proxies never do that.

use std::{error::Error as StdError, future::pending, mem};

use bytes::{Bytes, BytesMut};
use holdfast_proto::decode::decode;
use http_body_util::BodyExt;
use hyper::{HeaderMap, body::Body};
use prost::Message;
use tokio::time::{Instant, timeout_at};
use tonic::Status;

use super::{
    compression::Encoding,
    frame::{PREFIX, framed_length, is_compressed, refusal},
};
use crate::requests::intake::{Intake, NotRead, Room};

/// How many bytes are read ahead of the message that is wanted.
const AHEAD: usize = 8 << 10;

/// The messages of a call, as they arrive. Long ones take a part of the budget for bodies until they are decoded.
pub(super) struct Messages<B> {
    body: B,
    encoding: Encoding,
    intake: Intake,
    longest: usize,
    /// The bytes that have arrived of the next message, and maybe of later ones.
    buffer: BytesMut,
    /// When the next message must be complete, once a part of it is there.
    deadline: Option<Instant>,
    room: Option<Room>,
    /// Whether nothing more comes.
    ended: bool,
}

impl<B> Messages<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    /// The messages of a call with these headers, which have `longest` bytes at most.
    pub(super) fn new(body: B, headers: &HeaderMap, intake: &Intake, longest: usize) -> Self {
        Self {
            body,
            encoding: Encoding::of(headers),
            intake: intake.clone(),
            longest,
            buffer: BytesMut::new(),
            deadline: None,
            room: None,
            ended: false,
        }
    }

    /// The next message; `None` when the caller has sent all. May be dropped and called again.
    pub(super) async fn next<T: Message + Default>(&mut self) -> Result<Option<T>, Status> {
        loop {
            if let Some(length) = framed_length(&self.buffer) {
                if length > PREFIX + self.longest {
                    return Err(refusal(NotRead::TooLong(Some(length)), self.longest));
                }
                if self.buffer.len() >= length {
                    return self.decoded(length).map(Some);
                }
                let room = self.intake.make_room(&mut self.room, self.buffer.len(), length).await;
                room.map_err(|problem| refusal(problem, self.longest))?;
            }
            if self.ended {
                return match self.buffer.is_empty() {
                    true => Ok(None),
                    false => Err(Status::internal("unexpected EOF: the message is incomplete")),
                };
            }
            self.read().await?;
        }
    }

    /// Waits until the caller has ended the call, or has left. Keeps a limited number of bytes that arrive meanwhile:
    /// beyond it, the server does not notice that the caller leaves.
    pub(super) async fn ended(&mut self) {
        while !self.ended {
            if self.buffer.len() > AHEAD {
                return pending().await;
            }
            if self.read().await.is_err() {
                return;
            }
        }
    }

    fn decoded<T: Message + Default>(&mut self, length: usize) -> Result<T, Status> {
        // A copy of the rest: a part of the buffer would keep all of its memory.
        let rest = BytesMut::from(&self.buffer[length..]);
        let mut whole = mem::replace(&mut self.buffer, rest);
        whole.truncate(length);
        let whole = whole.freeze();
        // A part of the next message may be there.
        let limit = self.intake.time();
        let begun = Some(Instant::now()).filter(|_| !self.buffer.is_empty());
        self.deadline = begun.and_then(|begun| begun.checked_add(limit));
        self.room = None;
        if is_compressed(&whole)? {
            return Err(self.encoding.refusal());
        }
        decode(&whole.slice(PREFIX..)).map_err(|error| Status::internal(error.to_string()))
    }

    async fn read(&mut self) -> Result<(), Status> {
        let limit = self.intake.time();
        let frame = match self.deadline {
            Some(deadline) => timeout_at(deadline, self.body.frame())
                .await
                .map_err(|_| refusal(NotRead::TooSlow(limit), self.longest))?,
            None => self.body.frame().await,
        };
        match frame {
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    self.deadline = self.deadline.or_else(|| Instant::now().checked_add(limit));
                    self.buffer.extend_from_slice(&data);
                }
                Ok(())
            }
            Some(Err(error)) => {
                self.ended = true;
                Err(Status::from_error(error.into()))
            }
            None => {
                self.ended = true;
                Ok(())
            }
        }
    }
}
