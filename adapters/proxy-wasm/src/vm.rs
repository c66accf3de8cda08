//! Which configuration an event belongs to.

use alloc::{collections::BTreeMap, format};

use holdfast_dapr_api::FENCING_TOKEN_HEADER;

use crate::{
    filter::Filter,
    host::{ContextId, Flow, Host, Level, Token},
    owners::Owners,
    request::Request,
    settings::Settings,
};

/// The filters of a VM. A proxy may give several configurations to one VM.
#[derive(Debug)]
pub struct Vm<H> {
    host: H,
    filters: BTreeMap<ContextId, Filter>,
    /// The configuration that each request belongs to.
    roots: BTreeMap<ContextId, ContextId>,
}

impl<H: Host> Vm<H> {
    /// A VM without configurations.
    pub const fn new(host: H) -> Self {
        Self { host, filters: BTreeMap::new(), roots: BTreeMap::new() }
    }

    /// Handles a new context: that of a request, or that of a configuration, which has no root.
    pub fn begin(&mut self, context: ContextId, root: ContextId) {
        if root != 0 {
            self.roots.insert(context, root);
        }
    }

    /// Reads the configuration of a context. Returns whether it is valid.
    pub fn configure(&mut self, root: ContextId, configuration: &[u8]) -> bool {
        match (Settings::read(configuration), self.filters.get_mut(&root)) {
            (Err(flaw), _) => {
                self.host.log(Level::Error, &format!("holdfast: {flaw}"));
                false
            }
            (Ok(settings), Some(filter)) => {
                filter.configure(settings);
                true
            }
            (Ok(settings), None) => match self.host.random() {
                Some(random) => {
                    let filter = Filter::new(root, settings, Owners::new(random));
                    self.filters.insert(root, filter);
                    true
                }
                None => {
                    self.host.log(Level::Error, "holdfast: the proxy has no random numbers");
                    false
                }
            },
        }
    }

    /// Handles the headers of a request.
    pub fn request(&mut self, request: ContextId) -> Flow {
        // The upstream would trust a fencing token that a client sent.
        self.host.remove_header(request, FENCING_TOKEN_HEADER);
        let Some((host, filter)) = self.of(request) else { return Flow::Continue };
        let headers = host.request_headers();
        filter.arrive(host, request, &Request(&headers))
    }

    /// Handles a further part of a request.
    pub fn more(&mut self, request: ContextId) -> Flow {
        match self.of(request) {
            Some((_, filter)) if filter.is_paused(request) => Flow::Pause,
            _ => Flow::Continue,
        }
    }

    /// Handles a part of a response: the `last` one, or an earlier one.
    pub fn respond(&mut self, request: ContextId, last: bool) {
        if let Some((host, filter)) = self.of(request) {
            filter.respond(host, request, last);
        }
    }

    /// Handles the answer to a call of a configuration, or the news that the call will not be answered.
    pub fn answer(&mut self, root: ContextId, token: Token, status: Option<u16>, body: &[u8]) {
        if let Some(filter) = self.filters.get_mut(&root) {
            filter.answer(&mut self.host, token, status, body);
        }
    }

    /// Handles a tick of a configuration.
    pub fn tick(&mut self, root: ContextId) {
        if let Some(filter) = self.filters.get_mut(&root) {
            filter.tick(&mut self.host);
        }
    }

    /// Handles a context that has nothing left to do. Returns whether it may end at once.
    pub fn done(&mut self, context: ContextId) -> bool {
        self.filters.get_mut(&context).is_none_or(Filter::end)
    }

    /// Handles the end of a context.
    pub fn end(&mut self, context: ContextId) {
        if let Some((host, filter)) = self.of(context) {
            filter.leave(host, context);
        }
        if self.roots.remove(&context).is_none() {
            self.filters.remove(&context);
        }
    }

    fn of(&mut self, request: ContextId) -> Option<(&mut H, &mut Filter)> {
        let filter = self.filters.get_mut(self.roots.get(&request)?)?;
        Some((&mut self.host, filter))
    }
}
