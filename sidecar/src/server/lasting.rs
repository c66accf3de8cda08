//! Responses that last.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Marks a response, among its extensions, whose body lasts: its caller waits until it ends. Others count as answered
/// with their heads.
#[derive(Clone, Debug, Default)]
pub struct Lasting {
    asked: Option<Arc<AtomicBool>>,
}

impl Lasting {
    /// Marks a response that begins before the body of the request says what is asked for. Until `asked` is set, the
    /// server waits for the caller, and not the caller for the server.
    pub fn once(asked: Arc<AtomicBool>) -> Self {
        Self { asked: Some(asked) }
    }

    pub(super) fn is_asked(&self) -> bool {
        self.asked.as_ref().is_none_or(|asked| asked.load(Ordering::Relaxed))
    }
}
