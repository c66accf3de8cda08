//! Looks into one server.

use redis::RedisResult;

use super::{View, link::Link};
use crate::history::Observation;

/// Looks into one server.
pub struct OneView(Link);

impl OneView {
    /// Looks into the server on this port of 127.0.0.1.
    pub fn new(port: u16) -> Self {
        Self(Link::new(port))
    }
}

impl View for OneView {
    fn look(&mut self, keys: &[String]) -> RedisResult<Vec<Observation>> {
        self.0.look(keys)
    }
}
