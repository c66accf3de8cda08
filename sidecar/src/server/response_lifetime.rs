//! Responses that last.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use super::{control::Control, parting::Parting};

/// Marks a response, among its extensions, whose body lasts: its caller waits until it ends. Others count as answered
/// with their heads.
#[derive(Clone, Debug, Default)]
pub struct Lasting {
    asked: Option<Arc<AtomicBool>>,
    parting: Option<Parting>,
}

impl Lasting {
    /// Marks a response that begins before the caller asks for something in the body of the request. Until `asked` is
    /// set, the server waits for the caller, and not the caller for the server.
    pub fn once(asked: Arc<AtomicBool>) -> Self {
        Self { asked: Some(asked), parting: None }
    }

    /// Marks a response that has to know whether its caller or the server ended it.
    pub(crate) fn until(parting: Parting) -> Self {
        Self { asked: None, parting: Some(parting) }
    }

    /// Notes by which connection the response is sent.
    pub(super) fn sent_by(&self, connection: &Arc<Control>) {
        if let Some(parting) = &self.parting {
            parting.sent_by(connection);
        }
    }

    pub(super) fn is_asked(&self) -> bool {
        self.asked.as_ref().is_none_or(|asked| asked.load(Ordering::Relaxed))
    }
}
