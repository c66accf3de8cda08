//! Heads of requests over HTTP/2 that have begun to arrive (RFC 9113, sections 4.1 and 6.2).
//!
//! hyper waits without limit for the end of a head, keeps the bytes that it has, and does not report that it waits.

use tokio::time::Instant;

/// The first bytes of a caller over HTTP/2.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;

/// Follows the frames of a connection.
#[derive(Debug, Default)]
pub(super) struct Heads {
    /// How many bytes of the preface have come.
    preface: usize,
    is_http1: bool,
    /// The fields before the payload of a frame, and how many bytes of them have come.
    fields: [u8; 9],
    filled: usize,
    /// How many bytes of the payload are still to come.
    left: usize,
    /// Whether the head ends with the payload.
    ends_head: bool,
    is_open: bool,
    since: Option<Instant>,
}

impl Heads {
    /// When the head that has not ended began; `None` without such a head.
    pub(super) fn since(&self) -> Option<Instant> {
        self.since
    }

    /// Reads the next bytes of the caller.
    pub(super) fn read(&mut self, bytes: &[u8]) {
        if self.is_http1 {
            return;
        }
        let has_begun = self.follow(bytes);
        self.since = match self.since {
            _ if !self.is_open => None,
            Some(since) if !has_begun => Some(since),
            _ => Some(Instant::now()),
        };
    }

    /// Whether a head has begun in these bytes.
    fn follow(&mut self, mut bytes: &[u8]) -> bool {
        let preface = &PREFACE[self.preface..];
        let length = preface.len().min(bytes.len());
        if bytes[..length] != preface[..length] {
            self.is_http1 = true;
            return false;
        }
        self.preface += length;
        bytes = &bytes[length..];
        let mut has_begun = false;
        loop {
            let length = self.left.min(bytes.len());
            self.left -= length;
            bytes = &bytes[length..];
            if self.left == 0 && self.ends_head {
                (self.is_open, self.ends_head) = (false, false);
            }
            let length = (self.fields.len() - self.filled).min(bytes.len());
            if self.left > 0 || length == 0 {
                return has_begun;
            }
            self.fields[self.filled..self.filled + length].copy_from_slice(&bytes[..length]);
            self.filled += length;
            bytes = &bytes[length..];
            if self.filled < self.fields.len() {
                return has_begun;
            }
            self.filled = 0;
            let [a, b, c, kind, flags, ..] = self.fields;
            self.left = u32::from_be_bytes([0, a, b, c]) as usize;
            has_begun |= kind == HEADERS;
            self.is_open |= kind == HEADERS;
            self.ends_head = [HEADERS, CONTINUATION].contains(&kind) && flags & END_HEADERS != 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u8::try_from(payload.len()).unwrap();
        [&[0, 0, length, kind, flags, 0, 0, 0, 1], payload].concat()
    }

    #[test]
    fn a_head_is_open_until_its_last_byte_in_any_pieces() {
        let settings = frame(4, 0, b"");
        let whole = frame(HEADERS, END_HEADERS, b"abc");
        let data = frame(0, 1, b"a body");
        let begin = frame(HEADERS, 0, b"ab");
        let more = frame(CONTINUATION, 0, b"");
        let end = frame(CONTINUATION, END_HEADERS, b"cd");
        let frames = [&settings, &whole, &data, &begin, &more, &end, &whole];
        let sent: Vec<u8> = PREFACE.iter().chain(frames.into_iter().flatten()).copied().collect();
        let start = |number: usize| {
            PREFACE.len() + frames[..number].iter().map(|frame| frame.len()).sum::<usize>()
        };
        // Open once the fields of its first frame are there.
        let open = [start(1) + 9..start(2), start(3) + 9..start(6), start(6) + 9..start(7)];
        for piece in [1, 2, 7, 50, sent.len()] {
            let mut heads = Heads::default();
            let mut read = 0;
            for piece in sent.chunks(piece) {
                heads.read(piece);
                read += piece.len();
                let is_open = open.iter().any(|open| open.contains(&read));
                assert_eq!(heads.since().is_some(), is_open, "{read}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_head_has_its_own_begin() {
        let mut heads = Heads::default();
        heads.read(PREFACE);
        let [begin, end] = [frame(HEADERS, 0, b"ab"), frame(CONTINUATION, END_HEADERS, b"")];
        heads.read(&begin);
        let first = heads.since().unwrap();
        tokio::time::advance(std::time::Duration::from_secs(1)).await;
        heads.read(&end[..3]);
        assert_eq!(heads.since(), Some(first));
        heads.read(&[&end[3..], &begin].concat());
        assert!(heads.since().unwrap() > first);
    }

    #[test]
    fn http1_has_no_such_heads() {
        let mut heads = Heads::default();
        heads.read(b"P");
        heads.read(b"OST / HTTP/1.1\r\n");
        heads.read(&[PREFACE, &frame(HEADERS, 0, b"a")].concat());
        assert_eq!(heads.since(), None);
    }
}
