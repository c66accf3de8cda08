//! Commands and replies as bytes: RESP2, of which a lock needs little.

use alloc::{string::String, vec::Vec};

use redis_protocol::resp2::{
    decode::decode_range,
    encode::encode_borrowed,
    types::{BorrowedFrame, RangeFrame},
};

/// No reply to a command of ours is nearly as long.
const LONGEST: usize = 64 * 1024;

/// What a server answers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// `+OK` and its like.
    Status(String),
    /// The server refused the command and did nothing.
    Error(String),
    Integer(i64),
    Text(String),
    Nil,
}

/// What came in is no reply to any command of ours.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Nonsense;

/// Appends a command to what is to be sent. Its words may have any bytes.
pub(crate) fn push(out: &mut Vec<u8>, words: &[&[u8]]) {
    let words: Vec<_> = words.iter().map(|word| BorrowedFrame::BulkString(word)).collect();
    let command = BorrowedFrame::Array(&words);
    let start = out.len();
    out.resize(start + command.encode_len(false), 0);
    let Ok(_) = encode_borrowed(&mut out[start..], &command, false) else {
        unreachable!("there is as much room as the command asked for");
    };
}

/// The first reply in `bytes` and its length; `None` while it is not complete.
pub(crate) fn reply(bytes: &[u8]) -> Result<Option<(Reply, usize)>, Nonsense> {
    // What nests is no reply of ours, and a parser that follows it can run out of stack.
    if bytes.first().is_some_and(|kind| !b"+-:$".contains(kind)) {
        return Err(Nonsense);
    }
    let Some((frame, length)) = decode_range(bytes).map_err(|_| Nonsense)? else {
        return if bytes.len() < LONGEST { Ok(None) } else { Err(Nonsense) };
    };
    let text = |(start, end): (usize, usize)| {
        String::from_utf8_lossy(bytes.get(start..end).unwrap_or_default()).into_owned()
    };
    let reply = match frame {
        RangeFrame::SimpleString(range) => Reply::Status(text(range)),
        RangeFrame::Error(range) => Reply::Error(text(range)),
        RangeFrame::Integer(number) => Reply::Integer(number),
        RangeFrame::BulkString(range) => Reply::Text(text(range)),
        RangeFrame::Null => Reply::Nil,
        RangeFrame::Array(_) => return Err(Nonsense),
    };
    Ok(Some((reply, length)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_are_sent_as_they_are() {
        let mut out = Vec::new();
        push(&mut out, &[b"GET", b"a\r\n$1\r\nb\0"]);
        push(&mut out, &[b"PING", b""]);
        let expected: &[u8] =
            b"*2\r\n$3\r\nGET\r\n$9\r\na\r\n$1\r\nb\0\r\n*2\r\n$4\r\nPING\r\n$0\r\n\r\n";
        assert_eq!(out, expected);
    }

    #[test]
    fn reads_what_redis_sends() {
        for (bytes, expected) in [
            (&b"+OK\r\n"[..], Reply::Status("OK".into())),
            (b"-ERR no\r\n", Reply::Error("ERR no".into())),
            (b"-ERR \xff\r\n", Reply::Error("ERR \u{fffd}".into())),
            (b":-2\r\n", Reply::Integer(-2)),
            (b"$3\r\na\r\n\r\n", Reply::Text("a\r\n".into())),
            (b"$0\r\n\r\n", Reply::Text(String::new())),
            (b"$-1\r\n", Reply::Nil),
        ] {
            for end in 0..bytes.len() {
                assert_eq!(reply(&bytes[..end]), Ok(None), "{bytes:?} up to {end}");
            }
            let followed = [bytes, b"+next\r\n"].concat();
            assert_eq!(reply(&followed), Ok(Some((expected, bytes.len()))), "{bytes:?}");
        }
    }

    #[test]
    fn refuses_what_is_no_reply() {
        let nested = b"*1\r\n".repeat(20_000);
        let endless = b"+".repeat(LONGEST);
        for bytes in
            [&b"HTTP/1.1 400 Bad Request\r\n"[..], b"$x\r\n", b":1.5\r\n", &nested, &endless]
        {
            assert_eq!(reply(bytes), Err(Nonsense));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_get_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(Some((_, length))) = reply(&bytes) {
                prop_assert!(length <= bytes.len());
            }
        }

        #[test]
        fn texts_come_back(text in "\\PC*") {
            let mut bytes = Vec::new();
            push(&mut bytes, &[text.as_bytes()]);
            let bulk = &bytes[4..];
            prop_assert_eq!(reply(bulk), Ok(Some((Reply::Text(text), bulk.len()))));
        }
    }
}
