//! One server.

use holdfast_tests::{clock::Clock, redis_server::RedisServer};

use crate::view::one::OneView;

/// Starts it. It reads this clock if there is one.
pub fn start(arguments: &[&str], clock: Option<&Clock>) -> RedisServer {
    match clock {
        Some(clock) => RedisServer::start_by(clock, arguments),
        None => RedisServer::start_with(arguments),
    }
}

/// The view of the server.
pub fn view(server: &RedisServer) -> OneView {
    OneView::new(server.port())
}
