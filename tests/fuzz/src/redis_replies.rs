//! The replies of a Redis server, in whatever pieces they come.

use holdfast_redis_rules::{
    acquire::Acquired,
    clock,
    fitness::{self, Expected, Role},
    refusal::{self, RetryAdvice},
    release::{Form, Released},
    reply::Reply,
    resp,
};
use redis::{Value, parse_redis_value};

/// The longest input in bytes, because each is cut everywhere. Replies have no limit below it.
const LONGEST: usize = 2048;

/// Reads the input as replies, one after the other.
pub fn run(input: &[u8]) {
    let input = &input[..input.len().min(LONGEST)];
    let mut rest = input;
    while let Some(length) = first(rest) {
        rest = &rest[length..];
    }
    words_come_back(input);
}

/// Reads the first reply, and returns its length if there is a whole one.
fn first(bytes: &[u8]) -> Option<usize> {
    let read = resp::reply(bytes);
    does_not_depend_on_pieces(bytes);
    let (reply, length) = read.ok()??;
    assert!(0 < length && length <= bytes.len());
    is_what_redis_reads(&reply, &bytes[..length]);
    has_a_meaning(&reply);
    comes_back(&reply);
    Some(length)
}

/// A reply is read once its last byte is there, and no sooner; a malformed reply stays malformed whatever follows.
fn does_not_depend_on_pieces(bytes: &[u8]) {
    let whole = resp::reply(bytes);
    let end = match &whole {
        Ok(Some((_, length))) => *length,
        _ => bytes.len(),
    };
    let mut is_wrong = false;
    for cut in 0..bytes.len().min(end + 2) {
        let part = resp::reply(&bytes[..cut]);
        is_wrong |= part.is_err();
        if is_wrong {
            assert!(part.is_err() && whole.is_err(), "{part:?} after {cut} bytes");
        } else {
            let expected = if cut < end { &Ok(None) } else { &whole };
            assert_eq!(&part, expected, "after {cut} bytes");
        }
    }
}

/// The reply is the one that another client reads.
fn is_what_redis_reads(reply: &Reply, bytes: &[u8]) {
    let Ok(value) = parse_redis_value(bytes) else {
        // The other client refuses a line that is not UTF-8.
        let is_line = matches!(reply, Reply::Status | Reply::Error(_));
        assert!(is_line && std::str::from_utf8(bytes).is_err(), "only we read {reply:?}");
        return;
    };
    let text = |value: &Value| match value {
        Value::BulkString(text) => String::from_utf8_lossy(text).into_owned(),
        other => panic!("a text is {other:?}"),
    };
    match (reply, value) {
        (Reply::Okay, Value::Okay)
        | (Reply::Status, Value::SimpleString(_))
        | (Reply::Error(_), Value::ServerError(_))
        | (Reply::Nil, Value::Nil) => {}
        (Reply::Integer(ours), Value::Int(theirs)) => assert_eq!(*ours, theirs),
        (Reply::Text(ours), theirs) => assert_eq!(*ours, text(&theirs)),
        (Reply::Texts(ours), Value::Array(theirs)) => {
            assert!(ours.iter().eq(&theirs.iter().map(text).collect::<Vec<_>>()));
        }
        (Reply::Integers(ours), Value::Array(theirs)) => {
            assert!(ours.iter().map(|integer| Value::Int(*integer)).eq(theirs));
        }
        (ours, theirs) => panic!("{ours:?} is {theirs:?} to the other client"),
    }
}

/// A reply has at most one meaning to each command.
fn has_a_meaning(reply: &Reply) {
    let answers = [
        Acquired::read(reply, false).is_ok(),
        Released::read(reply).is_ok(),
        clock::read(reply).is_ok_and(|time| time / 1_000_000 <= u32::MAX.into()),
    ];
    let count = answers.iter().filter(|answer| **answer).count();
    assert!(count <= 1, "{reply:?} answers different commands");
    match reply {
        Reply::Error(error) => {
            assert_eq!(count, 0);
            assert!(error.contains(refusal::code(error)));
            let advice = RetryAdvice::after(error, Form::Full);
            let in_full = matches!(advice, RetryAdvice::InFull { once: true });
            assert!(
                !advice.ends_digests() && (!in_full || error.contains("NOSCRIPT")),
                "{advice:?}"
            );
            if refusal::ends_connection(error) || refusal::forbids_command(error) {
                assert!(!refusal::code(error).is_empty());
            }
            let _ = refusal::may_pass(error);
            assert!(refusal::with_advice(error.clone()).starts_with(error.as_str()));
        }
        Reply::Text(info) => {
            for role in [Role::Alone, Role::Master { guarded: false }] {
                let _ = fitness::check(info, Expected { role, db: 0 });
            }
        }
        _ => {}
    }
}

/// The reply, written as a server writes it, is read as it was.
fn comes_back(reply: &Reply) {
    let bulk = |text: &String| format!("${}\r\n{text}\r\n", text.len());
    let written = match reply {
        Reply::Okay => "+OK\r\n".to_owned(),
        Reply::Status => "+PONG\r\n".to_owned(),
        Reply::Error(error) => format!("-{error}\r\n"),
        Reply::Integer(number) => format!(":{number}\r\n"),
        Reply::Text(text) => bulk(text),
        Reply::Nil => "$-1\r\n".to_owned(),
        Reply::Texts(texts) => {
            format!("*{}\r\n{}", texts.len(), texts.iter().map(bulk).collect::<String>())
        }
        Reply::Integers(integers) => {
            let each = integers.iter().map(|integer| format!(":{integer}\r\n"));
            format!("*{}\r\n{}", integers.len(), each.collect::<String>())
        }
    };
    let expected = Ok(Some((reply.clone(), written.len())));
    assert_eq!(resp::reply(written.as_bytes()), expected);
}

/// The words of a command are sent as they are.
fn words_come_back(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let words: Vec<&str> = text.splitn(8, '\n').collect();
    let mut sent = Vec::new();
    resp::push(&mut sent, &words);
    let texts = words.iter().map(ToString::to_string).collect();
    assert_eq!(resp::reply(&sent), Ok(Some((Reply::Texts(texts), sent.len()))));
}
