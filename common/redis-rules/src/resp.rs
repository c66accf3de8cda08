//! Commands and replies as bytes: the part of RESP2 that a lock needs.

use alloc::{format, string::String, vec::Vec};
use core::str::FromStr;

use crate::reply::{Nonsense, Reply};

/// The longest reply in bytes. No reply to a command of a lock is nearly as long.
const LONGEST: usize = 64 * 1024;

const END: &[u8] = b"\r\n";

/// Appends a command to what is to be sent.
pub fn push(out: &mut Vec<u8>, words: &[&str]) {
    out.extend(format!("*{}\r\n", words.len()).bytes());
    for word in words {
        out.extend(format!("${}\r\n{word}\r\n", word.len()).bytes());
    }
}

/// Reads the first reply in `bytes` and its length in bytes; `None` while it is not complete.
///
/// # Errors
///
/// [`Nonsense`] for bytes that cannot become a reply, such as an array, or a reply that is too long.
pub fn reply(bytes: &[u8]) -> Result<Option<(Reply, usize)>, Nonsense> {
    let Some((&kind, rest)) = bytes.split_first() else { return Ok(None) };
    if !b"+-:$".contains(&kind) {
        return Err(Nonsense);
    }
    let Some(end) = rest.windows(END.len()).position(|window| window == END) else {
        return if bytes.len() < LONGEST { Ok(None) } else { Err(Nonsense) };
    };
    let (line, rest) = rest.split_at(end);
    let mut length = 1 + line.len() + END.len();
    let reply = match kind {
        b'+' if line == b"OK" => Reply::Okay,
        b'+' => Reply::Status,
        b'-' => Reply::Error(String::from_utf8_lossy(line).into_owned()),
        b':' => Reply::Integer(number(line)?),
        _ if line == b"-1" => Reply::Nil,
        _ => {
            let text_length = number(line)?;
            let Some(text) = text(text_length, &rest[END.len()..])? else { return Ok(None) };
            length += text_length + END.len();
            Reply::Text(text)
        }
    };
    Ok(Some((reply, length)))
}

/// Reads a text of this length and the line end after it; `None` while it is not complete.
fn text(length: usize, bytes: &[u8]) -> Result<Option<String>, Nonsense> {
    if length > LONGEST {
        return Err(Nonsense);
    }
    let Some((text, rest)) = bytes.split_at_checked(length) else { return Ok(None) };
    match rest.get(..END.len()) {
        None => Ok(None),
        Some(END) => Ok(Some(String::from_utf8_lossy(text).into_owned())),
        Some(_) => Err(Nonsense),
    }
}

fn number<N: FromStr>(line: &[u8]) -> Result<N, Nonsense> {
    core::str::from_utf8(line).ok().and_then(|text| text.parse().ok()).ok_or(Nonsense)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_are_sent_as_they_are() {
        let mut out = Vec::new();
        push(&mut out, &["GET", "a\r\n$1\r\nb\0"]);
        push(&mut out, &["PING", ""]);
        let expected: &[u8] =
            b"*2\r\n$3\r\nGET\r\n$9\r\na\r\n$1\r\nb\0\r\n*2\r\n$4\r\nPING\r\n$0\r\n\r\n";
        assert_eq!(out, expected);
    }

    #[test]
    fn reads_what_redis_sends() {
        for (bytes, expected) in [
            (&b"+OK\r\n"[..], Reply::Okay),
            (b"+PONG\r\n", Reply::Status),
            (b"+\r\n", Reply::Status),
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
        for bytes in [
            &b"HTTP/1.1 400 Bad Request\r\n"[..],
            b"$x\r\n",
            b"$-2\r\n",
            b"$65537\r\n",
            b"$1\r\nab\r\n",
            b":1.5\r\n",
            &nested,
            &endless,
        ] {
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
            push(&mut bytes, &[&text]);
            let bulk = &bytes[4..];
            prop_assert_eq!(reply(bulk), Ok(Some((Reply::Text(text), bulk.len()))));
        }
    }
}
