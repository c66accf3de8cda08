//! When a server's changes are on its disk, as the server reports it.

use crate::{fitness::field, reply::Reply};

/// The words that ask when the append-only file is written to the disk: for `appendfsync` and
/// `no-appendfsync-on-rewrite`.
pub const ASK: [&str; 3] = ["CONFIG", "GET", "*appendfsync*"];

/// The answer of a server that writes each change to disk before it replies.
pub const ALWAYS: &str = "always";

/// The answer of a server that does so except while it rewrites the append-only file.
const EXCEPT_IN_REWRITES: &str = "always, except while it rewrites the file";

/// Whether a server keeps an append-only file, by its reply to [`fitness::ASK`](crate::fitness::ASK).
pub fn keeps_file(info: &Reply) -> bool {
    matches!(info, Reply::Text(info) if field(info, "aof_enabled") == Some("1"))
}

/// When the server writes the file, by the reply to [`ASK`]; `None` if the server refuses.
pub fn policy(reply: &Reply) -> Option<&str> {
    let Reply::Texts(texts) = reply else { return None };
    let settings = texts.chunks_exact(2);
    let setting = |wanted| {
        let found = settings.clone().find(|setting| setting[0] == wanted);
        found.map(|setting| setting[1].as_str())
    };
    match setting("appendfsync")? {
        ALWAYS if setting("no-appendfsync-on-rewrite") == Some("yes") => Some(EXCEPT_IN_REWRITES),
        policy => Some(policy),
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
        let both =
            |on_rewrite| texts(&["no-appendfsync-on-rewrite", on_rewrite, "appendfsync", ALWAYS]);
        assert_eq!(policy(&both("no")), Some(ALWAYS));
        assert_eq!(policy(&both("yes")), Some("always, except while it rewrites the file"));
        let refused = Reply::Error("NOPERM no".into());
        for reply in [texts(&["always"]), Reply::Texts(vec![]), refused, Reply::Okay] {
            assert_eq!(policy(&reply), None, "{reply:?}");
        }
    }
}
