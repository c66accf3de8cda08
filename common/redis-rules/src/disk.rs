//! When a server's changes are on its disk, as the server reports it.

use alloc::string::String;

use crate::{fitness::field, reply::Reply};

/// The words that ask when the append-only file is written to the disk.
pub const ASK: [&str; 3] = ["CONFIG", "GET", "appendfsync"];

/// The answer of a server that writes each change to disk before it replies.
pub const ALWAYS: &str = "always";

/// Whether a server keeps an append-only file, by its reply to [`fitness::ASK`](crate::fitness::ASK).
pub fn keeps_file(info: &Reply) -> bool {
    matches!(info, Reply::Text(info) if field(info, "aof_enabled") == Some("1"))
}

/// When the server writes the file, by the reply to [`ASK`]; `None` if the server refuses.
pub fn policy(reply: &Reply) -> Option<&str> {
    match reply {
        Reply::Texts(texts) => texts.get(1).map(String::as_str),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn a_server_says_whether_and_when_it_writes_to_its_disk() {
        for (info, kept) in [("aof_enabled:1\r\n", true), ("aof_enabled:0\r\n", false), ("", false)]
        {
            assert_eq!(keeps_file(&Reply::Text(info.into())), kept, "{info}");
        }
        assert!(!keeps_file(&Reply::Error("NOPERM no".into())));
        let texts = |texts: &[&str]| Reply::Texts(texts.iter().map(|it| (*it).into()).collect());
        assert_eq!(policy(&texts(&["appendfsync", "always"])), Some(ALWAYS));
        assert_eq!(policy(&texts(&["appendfsync", "everysec"])), Some("everysec"));
        let refused = Reply::Error("NOPERM no".into());
        for reply in [texts(&["always"]), Reply::Texts(vec![]), refused, Reply::Okay] {
            assert_eq!(policy(&reply), None, "{reply:?}");
        }
    }
}
