//! Commands and replies as bytes: the part of RESP2 that a lock needs.
//!
//! Own code: the decoder of the crate `redis-protocol` overflows its stack on arrays in arrays, which bytes that were
//! changed on their way can look like. It would also double this part of the component.

use alloc::{string::String, vec::Vec};
use core::str::FromStr;

use crate::reply::{Nonsense, Reply};

/// The longest reply in bytes. The longest expected reply is the server's description of itself.
const MAX_REPLY_BYTES: usize = 1 << 20;

/// The most texts in an array. The longest expected array is a part of the locks, with about a thousand.
const MAX_TEXTS: usize = 1 << 14;

const END: &[u8] = b"\r\n";

/// Appends a command to the bytes to send.
pub fn push(out: &mut Vec<u8>, words: &[&str]) {
    push_number(out, b'*', words.len() as u64);
    for word in words {
        push_number(out, b'$', word.len() as u64);
        out.extend_from_slice(word.as_bytes());
        out.extend_from_slice(END);
    }
}

/// Appends a line with a number. `format!` would take several times as long.
fn push_number(out: &mut Vec<u8>, kind: u8, number: u64) {
    let mut digits = [0; 20];
    let text = decimal(number, &mut digits);
    out.push(kind);
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(END);
}

/// Writes a number into `digits`.
pub fn decimal(mut number: u64, digits: &mut [u8; 20]) -> &str {
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return core::str::from_utf8(&digits[first..]).unwrap_or_default();
        }
    }
}

/// Reads the first reply in `bytes` and its length in bytes; `None` if it is not complete yet.
///
/// # Errors
///
/// [`Nonsense`] for bytes that cannot become a reply, or a reply that is too long.
pub fn reply(bytes: &[u8]) -> Result<Option<(Reply, usize)>, Nonsense> {
    match bytes.first() {
        Some(b'*') => array(bytes),
        _ => simple(bytes),
    }
}

/// Reads an array, of texts or of integers.
fn array(bytes: &[u8]) -> Result<Option<(Reply, usize)>, Nonsense> {
    let Some(line) = line(bytes)? else { return Ok(None) };
    let count: usize = number(line)?;
    if count > MAX_TEXTS {
        return Err(Nonsense);
    }
    let mut length = 1 + line.len() + END.len();
    let (mut texts, mut integers) = (Vec::with_capacity(count.min(8)), Vec::new());
    for _ in 0..count {
        let Some((item, more)) = simple(&bytes[length..])? else { return Ok(None) };
        match item {
            Reply::Text(text) if integers.is_empty() => texts.push(text),
            Reply::Integer(integer) if texts.is_empty() => integers.push(integer),
            _ => return Err(Nonsense),
        }
        length += more;
    }
    let reply = if integers.is_empty() { Reply::Texts(texts) } else { Reply::Integers(integers) };
    Ok(Some((reply, length)))
}

/// Reads a reply that is not an array.
fn simple(bytes: &[u8]) -> Result<Option<(Reply, usize)>, Nonsense> {
    let Some(&kind) = bytes.first() else { return Ok(None) };
    if !b"+-:$".contains(&kind) {
        return Err(Nonsense);
    }
    let Some(line) = line(bytes)? else { return Ok(None) };
    let mut length = 1 + line.len() + END.len();
    let reply = match kind {
        b'+' if line == b"OK" => Reply::Okay,
        b'+' => Reply::Status,
        b'-' => Reply::Error(String::from_utf8_lossy(line).into_owned()),
        b':' => Reply::Integer(number(line)?),
        _ if line == b"-1" => Reply::Nil,
        _ => {
            let text_length = number(line)?;
            let Some(text) = text(text_length, &bytes[length..])? else { return Ok(None) };
            length += text_length + END.len();
            Reply::Text(text)
        }
    };
    Ok(Some((reply, length)))
}

/// The rest of the first line after its first byte; `None` if it is not complete yet. A line that is too long is not a
/// line even if it is complete, so that a reply does not depend on the pieces in which it comes.
fn line(bytes: &[u8]) -> Result<Option<&[u8]>, Nonsense> {
    match bytes.iter().take(MAX_REPLY_BYTES).position(|&byte| byte == b'\r') {
        Some(end) => match bytes.get(end + 1) {
            Some(b'\n') => Ok(Some(&bytes[1..end])),
            Some(_) => Err(Nonsense),
            None => Ok(None),
        },
        None if bytes.len() < MAX_REPLY_BYTES => Ok(None),
        None => Err(Nonsense),
    }
}

/// Reads a text of this length and the line end after it; `None` if it is not complete yet.
fn text(length: usize, bytes: &[u8]) -> Result<Option<String>, Nonsense> {
    if length > MAX_REPLY_BYTES {
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
    use alloc::{string::ToString, vec};

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
            (b"*2\r\n$1\r\na\r\n$0\r\n\r\n", Reply::Texts(vec!["a".into(), String::new()])),
            (b"*0\r\n", Reply::Texts(Vec::new())),
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
        let endless = b"+".repeat(MAX_REPLY_BYTES);
        for bytes in [
            &b"HTTP/1.1 400 Bad Request\r\n"[..],
            b"$x\r\n",
            b"$-2\r\n",
            b"$1048577\r\n",
            b"*16385\r\n",
            b"*-1\r\n",
            b"*1\r\n+OK\r\n",
            b"*2\r\n:1\r\n$1\r\na\r\n",
            b"*2\r\n$1\r\na\r\n:1\r\n",
            b"+OK\rx",
            b"$1\r\nab\r\n",
            b":1.5\r\n",
            &nested,
            &endless,
        ] {
            assert_eq!(reply(bytes), Err(Nonsense));
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_refused_in_whatever_pieces_it_comes() {
        let longest = [&b"+".repeat(MAX_REPLY_BYTES - 1)[..], b"\r\n"].concat();
        assert_eq!(reply(&longest), Ok(Some((Reply::Status, longest.len()))));
        let longer = [&b"+".repeat(MAX_REPLY_BYTES)[..], b"\r\n"].concat();
        for end in MAX_REPLY_BYTES..=longer.len() {
            assert_eq!(reply(&longer[..end]), Err(Nonsense), "{end}");
        }
    }

    #[test]
    fn integers_come_together() {
        let expected = Reply::Integers(alloc::vec![1, -2]);
        assert_eq!(reply(b"*2\r\n:1\r\n:-2\r\n"), Ok(Some((expected, 13))));
        assert_eq!(reply(b"*2\r\n:1\r\n:-2"), Ok(None));
    }

    #[test]
    fn numbers_are_decimal() {
        for number in [0, 9, 10, 1_234_567_890, u64::MAX] {
            assert_eq!(decimal(number, &mut [0; 20]), number.to_string());
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
