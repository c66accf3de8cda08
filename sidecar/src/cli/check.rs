//! `holdfast check`.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    process::ExitCode,
};

use anyhow::{Context, Result, anyhow, bail};
use futures_util::future::join_all;
use holdfast::{
    Limits,
    resources::{Level, Notice, OpenStore, Opening, open_each},
};
use tokio::runtime;

use super::{
    arguments::{Check, LogLevel},
    exit::TROUBLE,
    logging, stores,
};

const HEADINGS: [&str; 5] = ["COMPONENT", "TYPE", "VERSION", "FILE", "RESULT"];

pub fn run(args: &Check) -> Result<ExitCode> {
    logging::start(&args.log, LogLevel::Warn, None);
    if args.stores.resources_path.is_empty() {
        bail!("--resources-path is missing: there are no resource files to check");
    }
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("cannot start the runtime")?.block_on(check(args))
}

async fn check(args: &Check) -> Result<ExitCode> {
    let options = stores::options(&args.stores, Limits::default());
    let mut unreadable = false;
    let mut notify = |notice: Notice| {
        unreadable |= notice.level == Level::Error;
        print(&notice);
    };
    let openings = open_each(&options, &mut notify).await.map_err(|error| anyhow!("{error}"))?;
    let rows = openings.iter().map(row).collect::<Vec<_>>();
    let mut stdout = io::stdout().lock();
    stdout.write_all(table(&rows).as_bytes()).context("cannot write to stdout")?;

    let stops = |it: &Opening| it.result.is_err() && !it.definition.ignore_errors;
    let stopped = openings.iter().any(stops);
    let open: Vec<OpenStore> = openings.into_iter().filter_map(|it| it.result.ok()).collect();
    // Only the rules know what is wrong with key prefixes.
    options.locks(&open).map_err(|error| anyhow!("{error}"))?;
    join_all(open.iter().map(|open| open.store.close())).await;
    if open.is_empty() && !stopped {
        bail!("the resource files give no lock store");
    }
    Ok(if stopped || unreadable { ExitCode::from(TROUBLE) } else { ExitCode::SUCCESS })
}

fn print(notice: &Notice) {
    let level = match notice.level {
        Level::Info => "note",
        Level::Warning => "warning",
        Level::Error => "error",
    };
    eprintln!("{level}: {notice}");
}

fn row(Opening { definition, result, .. }: &Opening) -> [String; 5] {
    let result = match result {
        Ok(_) => "ok".to_owned(),
        Err(error) if definition.ignore_errors => format!("ignored: {}", error.cause),
        Err(error) => error.cause.to_string(),
    };
    let version = if definition.version.is_empty() { "-" } else { &definition.version };
    [
        definition.name.clone(),
        definition.component_type.clone(),
        version.to_owned(),
        definition.source.to_string(),
        result,
    ]
}

/// The headings and the rows. Each column is as wide as its widest cell.
fn table(rows: &[[String; 5]]) -> String {
    let headings = HEADINGS.map(str::to_owned);
    let lines = || std::iter::once(&headings).chain(rows);
    let width = |column: usize| lines().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let [name, kind, version, file] = [0, 1, 2, 3].map(width);
    let mut text = String::new();
    for [a, b, c, d, result] in lines() {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{a:name$}  {b:kind$}  {c:version$}  {d:file$}  {result}");
    }
    text
}
