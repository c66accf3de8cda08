//! The log. It goes to stderr, so that stdout has only the result of a command.

use std::{
    fmt,
    io::{self, IsTerminal, Write},
    sync::OnceLock,
};

use tracing::Level;
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{
    Layer, Registry,
    field::RecordFields,
    filter::{LevelFilter, Targets},
    fmt::{
        FormatFields,
        format::{DefaultFields, Writer},
        layer as lines,
    },
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use super::{
    arguments::{Log, LogLevel},
    printable::printable,
};

/// A layer that handles spans and events.
pub type BoxedLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// How many lines wait for stderr at most. Those beyond are lost.
const LINES: usize = 10_000;

/// The writer of a process that must not wait for the reader of its stderr.
static DETACHED: OnceLock<NonBlocking> = OnceLock::new();

/// Makes a thread write to stderr from now on, so that nothing else blocks while nobody reads it. When the guard is
/// dropped, the remaining lines have about a second.
pub fn detach() -> WorkerGuard {
    let lines = NonBlockingBuilder::default().lossy(true).buffered_lines_limit(LINES);
    let (lines, guard) = lines.thread_name("stderr").finish(io::stderr());
    DETACHED.get_or_init(|| lines);
    guard
}

/// Writes text to stderr, usually one line. Ignores a failure, because there is no other place to report it.
pub fn line(text: &str) {
    let lines: String = text.split('\n').map(|line| printable(line) + "\n").collect();
    let _ = stderr().write_all(lines.as_bytes());
}

fn stderr() -> Box<dyn Write> {
    match DETACHED.get() {
        Some(lines) => Box::new(lines.clone()),
        None => Box::new(io::stderr()),
    }
}

/// Starts logging at the level of the arguments, else at `default`. The layer `more` gets its spans at
/// any level.
pub fn start(log: &Log, default: LogLevel, more: Option<BoxedLayer>) {
    tracing_subscriber::registry().with(layers(log, default, more)).init();
}

/// Reports why a command ends: as a line for people, unless its log is JSON.
pub fn report(log: Option<&Log>, why: &str) {
    match log.filter(|log| log.log_as_json) {
        Some(log) => last(log, why),
        None => line(&format!("holdfast: {why}")),
    }
}

/// As [`report`], of arguments that give no log.
pub fn report_as_json(why: &str) {
    last(&Log { log_level: None, log_as_json: true }, why);
}

/// Prints an answer that a command was asked for, whatever its log level: as a line for people, or as an event of this
/// level if the log is JSON.
pub fn say(log: &Log, level: Level, text: &str) {
    if !log.log_as_json {
        let label = match level {
            Level::WARN => "warning",
            _ => "note",
        };
        return line(&format!("{label}: {text}"));
    }
    let all = Log { log_level: Some(LogLevel::Info), log_as_json: true };
    let lines = tracing_subscriber::registry().with(layers(&all, LogLevel::Info, None));
    tracing::subscriber::with_default(lines, || match level {
        Level::WARN => tracing::warn!("{text}"),
        _ => tracing::info!("{text}"),
    });
}

/// Logs the error that ends a command, even if the command failed before its log was started.
fn last(log: &Log, error: &str) {
    // Fails if the log was started already, which is fine.
    let _ = tracing_subscriber::registry().with(layers(log, LogLevel::Error, None)).try_init();
    tracing::error!("{error}");
}

/// What is logged at this level. Other crates log only warnings and errors: below that they log their internals.
///
/// The crates that speak HTTP also warn each time a caller makes a mistake. No caller may fill the log, so these
/// warnings appear only at the level `debug`.
fn filter(level: LevelFilter) -> Targets {
    let others = level.min(LevelFilter::WARN);
    let of_http = if level >= LevelFilter::DEBUG { others } else { LevelFilter::ERROR };
    Targets::new()
        .with_target("holdfast", level)
        // The names of hyper's other crates begin with its own.
        .with_targets([("h2", of_http), ("hyper", of_http)])
        .with_default(others)
}

fn layers(log: &Log, default: LogLevel, more: Option<BoxedLayer>) -> Vec<BoxedLayer> {
    let level = match log.log_level.unwrap_or(default) {
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Error | LogLevel::Fatal => LevelFilter::ERROR,
    };
    let filter = filter(level);
    let lines = lines()
        .with_writer(stderr)
        .with_ansi(io::stderr().is_terminal())
        // Otherwise it panics if stderr cannot be written to.
        .log_internal_errors(false);
    let lines = if log.log_as_json {
        lines.json().flatten_event(true).with_filter(filter).boxed()
    } else {
        lines.fmt_fields(OnOneLine::default()).with_filter(filter).boxed()
    };
    [lines].into_iter().chain(more).collect()
}

/// The fields of an event or of a span, made [`printable`]: callers, servers and files choose some of their text, which
/// must neither look like another line of the log nor control a terminal.
#[derive(Default)]
struct OnOneLine(DefaultFields);

impl<'w> FormatFields<'w> for OnOneLine {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'w>, fields: R) -> fmt::Result {
        self.0.format_fields(Writer::new(&mut Printable(writer)), fields)
    }
}

struct Printable<'w>(Writer<'w>);

impl fmt::Write for Printable<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write_str(&printable(text))
    }
}

#[cfg(test)]
mod tests {
    use tracing::Subscriber;

    use super::*;

    #[test]
    fn callers_cannot_write_the_log_of_the_crates_that_speak_http() {
        for level in [LevelFilter::INFO, LevelFilter::WARN, LevelFilter::ERROR] {
            let filter = filter(level);
            for target in ["h2::proto::streams::recv", "hyper::proto::h1::role", "hyper_util::rt"] {
                assert!(!filter.would_enable(target, &Level::WARN), "{level}: {target}");
                assert!(filter.would_enable(target, &Level::ERROR), "{level}: {target}");
            }
            let warns = level >= LevelFilter::WARN;
            assert_eq!(filter.would_enable("redis::aio", &Level::WARN), warns, "{level}");
            assert_eq!(filter.would_enable("holdfast::call", &Level::WARN), warns, "{level}");
        }
        let filter = filter(LevelFilter::DEBUG);
        assert!(filter.would_enable("h2::proto::streams::recv", &Level::WARN));
        assert!(!filter.would_enable("h2::proto::streams::recv", &Level::DEBUG));
    }

    /// The spans of calls are below that level, so each costs only one comparison.
    #[test]
    fn without_traces_nobody_asks_for_more_than_the_log_shows() {
        let log = Log { log_level: None, log_as_json: false };
        let plain = Registry::default().with(layers(&log, LogLevel::Info, None));
        assert_eq!(plain.max_level_hint(), Some(LevelFilter::INFO));
        let more = super::lines().with_filter(LevelFilter::DEBUG).boxed();
        let traced = Registry::default().with(layers(&log, LogLevel::Info, Some(more)));
        assert_eq!(traced.max_level_hint(), Some(LevelFilter::DEBUG));
    }
}
