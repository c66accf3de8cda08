//! How a response that lasts parts from its caller.
//!
//! The body of a response is dropped when the caller has ended it, and also when the server gives up a caller who is
//! silent. Only a caller that has ended the response knows that nothing more comes.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering},
};

use super::control::Control;

/// Tells the parts of a response why it is dropped. Clones share one state.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parting(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    gives_up: AtomicBool,
    /// Empty until a part of the response is sent.
    connection: OnceLock<Arc<Control>>,
}

impl Parting {
    /// Notes that the server ends the response, and its caller may not know.
    pub(crate) fn give_up(&self) {
        self.0.gives_up.store(true, Ordering::Relaxed);
    }

    /// Whether the caller may still believe that the response goes on, although it is dropped.
    pub(crate) fn is_given_up(&self) -> bool {
        let connection = self.0.connection.get();
        self.0.gives_up.load(Ordering::Relaxed)
            || connection.is_some_and(|connection| connection.is_given_up())
    }

    /// Notes by which connection the response is sent.
    pub(super) fn sent_by(&self, connection: &Arc<Control>) {
        // A response is sent once.
        let _ = self.0.connection.set(connection.clone());
    }
}
