//! Keys and owners are plain text: no character in them has a meaning.

use std::sync::Arc;

use holdfast::store::{Released, Store};

use super::steps::{assert_held, assert_released, take};

/// Texts that break a store which builds its commands from text.
pub(super) const ODD: [&str; 14] = [
    "",
    " ",
    "two words",
    "\r\n",
    "k\r\nDEL k\r\n",
    "*1\r\n$8\r\nFLUSHALL\r\n",
    "$-1\r\n",
    "\0",
    "a\0b",
    "\"quoted\\\" 'text'",
    "ü 錠 🔒 e\u{301} \u{202e}",
    "'; redis.call('FLUSHALL') --",
    "{tag}*?[a-z]",
    "-1",
];

pub(super) async fn any_text(store: Arc<dyn Store>) {
    for text in ODD {
        assert_is_kept(&*store, &format!("k{text}"), "me").await;
        assert_is_kept(&*store, "k", text).await;
        assert_is_kept(&*store, text, text).await;
    }
}

pub(super) async fn long_text(store: Arc<dyn Store>) {
    let long = "0123456789abcde\n".repeat(65_536);
    assert_is_kept(&*store, &long, "me").await;
    assert_is_kept(&*store, "k", &long).await;
}

async fn assert_is_kept(store: &dyn Store, key: &str, owner: &str) {
    let longer = format!("{owner}!");
    take(store, key, owner).await;
    assert_held(store, key, &longer).await;
    assert_released(store, key, &longer, Released::HeldByOther).await;
    assert_released(store, key, owner, Released::Released).await;
    assert_released(store, key, owner, Released::Missing).await;
}
