//! The output of the driver: violations with the events around them, and a table.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{BufWriter, Write},
    path::Path,
};

use anyhow::{Context, Result};

use crate::{
    check::violation::{Loses, Violation},
    history::{Answer, Broken, Event, History, Nanos, ms},
    run::{Outcome, seconds},
};

/// How many violations of one promise are printed, and how many lines of history with each.
const PRINTED: usize = 3;
const LINES: usize = 24;

/// How far from a violation other calls on its key are shown.
const NEAR: Nanos = ms(150);

/// The names of a row's figures, and the width of each column.
const COLUMNS: [(&str, usize); FIGURES] = [
    ("rounds", 7),
    ("operations", 11),
    ("grants", 8),
    ("held", 8),
    ("failed", 8),
    ("unknown", 8),
    ("felt", 8),
    ("lost", 6),
    ("violations", 11),
];
const FIGURES: usize = 9;

/// The sums of all runs of each fault.
#[derive(Default)]
pub struct Table(BTreeMap<usize, Row>);

#[derive(Default)]
struct Row {
    fault: &'static str,
    may_lose: bool,
    figures: [u64; FIGURES],
}

impl Table {
    /// Adds a run of the fault at this place of the list.
    pub fn add(&mut self, place: usize, outcome: &Outcome) {
        let row = self.0.entry(place).or_default();
        row.fault = outcome.fault;
        row.may_lose = outcome.loses != Loses::Never;
        row.add([
            outcome.rounds,
            outcome.history.events.len() as u64,
            outcome.count(|answer| *answer == Answer::Granted),
            outcome.count(|answer| *answer == Answer::Held),
            outcome.count(|answer| matches!(answer, Answer::NotDone(_))),
            outcome.count(|answer| matches!(answer, Answer::Unknown { .. })),
            outcome.felt,
            outcome.lost,
            outcome.violations.len() as u64,
        ]);
    }

    /// Prints it, and the sums of its rows.
    pub fn print(&self) {
        let header = COLUMNS.map(|(name, width)| format!("{name:>width$}")).join(" ");
        println!("{:<25} {header}", "fault");
        let mut total = Row { fault: "total", ..Row::default() };
        for row in self.0.values() {
            total.add(row.figures);
            row.print();
        }
        total.print();
        for row in self.0.values().filter(|row| row.may_lose) {
            let [_, _, grants, .., lost, _] = row.figures;
            println!("{}: {lost} locks lost of {grants} granted", row.fault);
        }
    }
}

impl Row {
    fn add(&mut self, figures: [u64; FIGURES]) {
        self.figures.iter_mut().zip(figures).for_each(|(sum, figure)| *sum += figure);
    }

    fn print(&self) {
        let figures = self.figures.iter().zip(COLUMNS);
        let figures = figures.map(|(figure, (_, width))| format!("{figure:>width$}"));
        println!("{:<25} {}", self.fault, figures.collect::<Vec<_>>().join(" "));
    }
}

/// Prints the problems of a run.
pub fn print_problems(outcome: &Outcome) {
    let fault = outcome.fault;
    if outcome.felt == 0 {
        println!("{fault}: nobody felt it, so nothing is proved");
    }
    let mut printed = BTreeMap::new();
    for violation in &outcome.violations {
        let count = printed.entry(violation.promise).or_insert(0);
        *count += 1;
        if *count <= PRINTED {
            print_violation(violation, outcome);
        }
    }
    for (promise, count) in printed {
        println!("{fault}: {promise}: {count} violations");
    }
}

/// Writes the whole history as lines of JSON.
pub fn save(outcome: &Outcome, directory: &Path) -> Result<()> {
    let path = directory.join(format!("{}.jsonl", outcome.fault));
    let file = File::create(&path).with_context(|| path.display().to_string())?;
    let mut file = BufWriter::new(file);
    let History { events, observations, windows, .. } = &outcome.history;
    let lines = events.iter().map(serde_json::to_string);
    let lines = lines.chain(windows.iter().map(serde_json::to_string));
    for line in lines.chain(observations.iter().map(serde_json::to_string)) {
        writeln!(file, "{}", line?)?;
    }
    Ok(file.flush()?)
}

fn print_violation(violation: &Violation, outcome: &Outcome) {
    let zero = outcome.zero();
    let at = seconds(violation.at.saturating_sub(zero));
    let (fault, key) = (outcome.fault, &violation.key);
    println!("{fault}: {} broken at {at:.3} s, key {key}: {}", violation.promise, violation.what);
    let mut lines = around(violation, &outcome.history, zero);
    lines.sort();
    let left_out = lines.len().saturating_sub(LINES);
    for (_, line) in lines.into_iter().skip(left_out) {
        println!("    {line}");
    }
}

/// The calls and observations that concern a violation, and the faults at that time.
fn around(violation: &Violation, history: &History, zero: Nanos) -> Vec<(Nanos, String)> {
    let mut lines = Vec::new();
    let mut line = |start: Nanos, end: Nanos, what: String| {
        let seconds = |time: Nanos| seconds(time.saturating_sub(zero));
        lines.push((start, format!("{:9.4} to {:9.4}  {what}", seconds(start), seconds(end))));
    };
    let observations = || history.observations.iter().filter(|seen| seen.key == violation.key);
    // The owner of the key when the violation was noticed.
    let nearest = observations().min_by_key(|seen| seen.start.abs_diff(violation.at));
    let holder = nearest.and_then(|seen| seen.owner.clone());
    let owners: BTreeSet<_> = violation.owners.iter().cloned().chain(holder).collect();
    for event in history.events.iter().filter(|event| event.key == violation.key) {
        let near = event.start <= violation.at + NEAR && event.end + NEAR >= violation.at;
        let dull = matches!(event.answer, Answer::Held | Answer::HeldByOther);
        if owners.contains(&event.owner) || near && !dull {
            line(event.start, event.end, call(event));
        }
    }
    for owner in &owners {
        let mut seen = observations().filter(|seen| seen.owner.as_ref() == Some(owner));
        let first = seen.next();
        for (word, seen) in [("first", first), ("last", seen.next_back())] {
            if let Some(seen) = seen {
                line(seen.start, seen.end, format!("{owner} {word} seen in Redis"));
            }
        }
    }
    for window in &history.windows {
        let what = match window.kind {
            Broken::Fault => "the fault".to_owned(),
            Broken::Failover => "a failover".to_owned(),
            Broken::Amnesia => "the server loses its data".to_owned(),
            Broken::MinorityAmnesia => "a minority loses its data".to_owned(),
            Broken::MinorityGone => "a minority is gone".to_owned(),
            Broken::MajorityGone => "a majority is gone".to_owned(),
            Broken::Starved => "the driver gets no processor".to_owned(),
            Broken::ServerClock(by) => format!("the server's clock is set by {by} ms"),
            Broken::WorkerClocks => "the workers' clocks are set".to_owned(),
            Broken::Stopped(process) => format!("process {process} stands still"),
        };
        if window.start <= violation.at + NEAR && window.end + ms(5_000) >= violation.at {
            line(window.start, window.end, what);
        }
    }
    lines
}

fn call(event: &Event) -> String {
    let Event { owner, call, answer, .. } = event;
    match answer {
        Answer::Unknown { cause, held_until: Some(until) } => {
            format!("{owner} {call:?}: unknown until {until} ({cause})")
        }
        answer => format!("{owner} {call:?}: {answer:?}"),
    }
}
