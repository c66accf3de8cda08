//! The log: to stderr, so that stdout has a command's result and nothing else.

use std::io::{self, IsTerminal};

use tracing_subscriber::{
    filter::{LevelFilter, Targets},
    fmt,
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use crate::cli::{Log, LogLevel};

/// Starts logging at the level that was asked for, else at `default`.
///
/// What other crates say below a warning is left out: it is about their insides.
pub fn start(log: &Log, default: LogLevel) {
    let level = match log.log_level.unwrap_or(default) {
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Error | LogLevel::Fatal => LevelFilter::ERROR,
    };
    let filter =
        Targets::new().with_target("holdfast", level).with_default(level.min(LevelFilter::WARN));
    let lines = fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    let registry = tracing_subscriber::registry().with(filter);
    if log.log_as_json {
        registry.with(lines.json().flatten_event(true)).init();
    } else {
        registry.with(lines).init();
    }
}
