//! The rows of figures: each is printed when it is measured, and all of them at the end.

use std::{
    fmt::Write as _,
    time::{SystemTime, UNIX_EPOCH},
};

use crate::rounds::Spread;

/// The rows that have been measured.
#[derive(Default)]
pub struct Table {
    rows: Vec<Row>,
}

struct Row {
    what: String,
    ours: String,
    theirs: String,
    outcome: String,
    aim: String,
}

impl Table {
    /// Adds a throughput in operations per second. The ratio is ours to theirs.
    pub fn throughput(&mut self, what: &str, ours: &[f64], theirs: &[f64], aim: Option<f64>) {
        let outcome = ratio(Spread::by_round(ours, theirs, |ours, theirs| ours / theirs));
        let aim = aim.map(|aim| format!("at least {aim:.2}")).unwrap_or_default();
        self.add(what, rate(ours), rate(theirs), outcome, aim);
    }

    /// Adds a rate in operations per second, without a ratio.
    pub fn rate(&mut self, what: &str, ours: &[f64]) {
        self.add(what, rate(ours), String::new(), String::new(), String::new());
    }

    /// Adds calls per second, shown as the time of one call. The ratio is that of the times.
    pub fn call(&mut self, what: &str, ours: &[f64], theirs: &[f64], aim: &str) {
        let added = Spread::by_round(ours, theirs, |ours, theirs| time(ours) - time(theirs));
        let times = Spread::by_round(ours, theirs, |ours, theirs| theirs / ours);
        let of = |rates: &[f64]| {
            format!("{:.2} µs", Spread::of(rates.iter().map(|rate| time(*rate))).median)
        };
        let outcome = format!("{:.1}, adds {:.2} µs", times.median, added.median);
        self.add(what, of(ours), of(theirs), outcome, aim.to_owned());
    }

    /// Adds a duration in milliseconds, without a ratio.
    pub fn duration(&mut self, what: &str, milliseconds: Spread, aim: &str) {
        let Spread { low, median, high } = milliseconds;
        let ours = format!("{median:.1} ms ({low:.1} to {high:.1})");
        self.add(what, ours, String::new(), String::new(), aim.to_owned());
    }

    fn add(&mut self, what: &str, ours: String, theirs: String, outcome: String, aim: String) {
        let row = Row { what: what.to_owned(), ours, theirs, outcome, aim };
        println!("{:<62} {:>12} {:>12}  {}", row.what, row.ours, row.theirs, row.outcome);
        self.rows.push(row);
    }

    /// All rows, with the date and the command.
    pub fn markdown(&self) -> String {
        let mut text = format!("Measured on {} by `{}`.\n\n", today(), command());
        text.push_str("| what | Holdfast | the other | ratio (middle half) | aim |\n");
        text.push_str("|---|--:|--:|--:|---|\n");
        for Row { what, ours, theirs, outcome, aim } in &self.rows {
            // Writing to a String does not fail.
            let _ = writeln!(text, "| {what} | {ours} | {theirs} | {outcome} | {aim} |");
        }
        text
    }
}

fn ratio(Spread { low, median, high }: Spread) -> String {
    format!("{median:.2} ({low:.2} to {high:.2})")
}

fn rate(rates: &[f64]) -> String {
    format!("{:.0}/s", Spread::of(rates.iter().copied()).median)
}

/// The time of one operation, in microseconds.
fn time(rate: f64) -> f64 {
    1e6 / rate
}

fn today() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = i64::try_from(now.as_secs()).unwrap_or_default();
    let (year, month, day, ..) = datealgo::secs_to_datetime(seconds);
    format!("{year:04}-{month:02}-{day:02}")
}

fn command() -> String {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match arguments.is_empty() {
        true => "cargo xtask bench".to_owned(),
        false => format!("cargo xtask bench -- {}", arguments.join(" ")),
    }
}
