//! What the filter asks the proxy to do.

use alloc::vec::Vec;

use holdfast_edge_lock::Refusal;

/// The id of a context: of a request, or of a configuration.
pub type ContextId = u32;

/// The id of a call-out.
pub type Token = u32;

/// How much a line of the log matters, with the numbers of the ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Something failed, and locks may stay until they expire.
    Warn = 3,
    /// The configuration is wrong.
    Error = 4,
}

/// What happens to a request when the filter returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// It goes on.
    Continue = 0,
    /// It stays, until [`Host::go_on`] or [`Host::refuse`].
    Pause = 1,
}

/// A call-out: a `POST` request.
#[derive(Clone, Copy, Debug)]
pub struct CallOut<'a> {
    /// The proxy's name for the server.
    pub cluster: &'a str,
    /// The authority in the request.
    pub authority: &'a str,
    /// The path.
    pub path: &'a str,
    /// The API token, if one is needed.
    pub token: Option<&'a str>,
    /// The body, which is JSON.
    pub body: &'a [u8],
    /// How long the answer may take, in milliseconds.
    pub timeout: u32,
}

/// The proxy.
pub trait Host {
    /// Writes a line to the log.
    fn log(&mut self, level: Level, line: &str);

    /// Milliseconds since a fixed moment, by a clock that never goes back.
    fn now(&mut self) -> u64;

    /// Bytes that nobody can guess; `None` if the proxy has none.
    fn random(&mut self) -> Option<[u8; 16]>;

    /// The headers of the request whose event this is, in the form of [`pairs`](crate::pairs).
    fn request_headers(&mut self) -> Vec<u8>;

    /// Where the response of a request comes from, in the words of the proxy; empty if it does not say.
    fn response_details(&mut self, request: ContextId) -> Vec<u8>;

    /// Sets a header of a request.
    fn set_header(&mut self, request: ContextId, name: &str, value: &str);

    /// Removes a header of a request, if it is there.
    fn remove_header(&mut self, request: ContextId, name: &str);

    /// Lets a paused request go on.
    fn go_on(&mut self, request: ContextId);

    /// Answers a request. `details` is for the proxy's access log.
    fn refuse(&mut self, request: ContextId, refusal: &Refusal, details: &str);

    /// Sends a call-out on behalf of a configuration, so that its answer arrives even if the request is gone; `None` if
    /// the proxy does not send it.
    fn call(&mut self, root: ContextId, call: &CallOut<'_>) -> Option<Token>;

    /// Asks for a tick after this many milliseconds, repeated with the same period; 0 for no ticks.
    fn tick(&mut self, root: ContextId, period: u32);

    /// Reports that a configuration being unloaded has finished.
    fn done(&mut self, root: ContextId);
}
