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
    resources::open::OpenStore,
    resources::{Level, Notice},
};
use tokio::runtime;

use crate::{
    TROUBLE,
    cli::{Check, LogLevel},
    logging,
    stores::{self, Opened},
};

const HEADINGS: [&str; 5] = ["COMPONENT", "TYPE", "VERSION", "FILE", "RESULT"];

pub fn run(args: &Check) -> Result<ExitCode> {
    logging::start(&args.log, LogLevel::Warn, None);
    if args.stores.resources_path.is_empty() {
        bail!("--resources-path is missing: there are no component files to check");
    }
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("cannot start the runtime")?.block_on(check(args))
}

async fn check(args: &Check) -> Result<ExitCode> {
    let opened = stores::open_each(&args.stores, &mut warn).await;
    let opened = opened.map_err(|error| anyhow!("{error}"))?;
    if opened.is_empty() {
        eprintln!("warning: there is no lock store in the component files");
    }
    let rows = opened.iter().map(row).collect::<Vec<_>>();
    let mut stdout = io::stdout().lock();
    stdout.write_all(table(&rows).as_bytes()).context("cannot write to stdout")?;

    let stops = |(component, opened): &Opened| opened.is_err() && !component.ignore_errors;
    let stopped = opened.iter().any(stops);
    let open: Vec<OpenStore> = opened.into_iter().filter_map(|(_, opened)| opened.ok()).collect();
    // What is wrong with key prefixes, the lock component alone can tell.
    stores::locks(&args.stores.app_id, &open, Limits::default())?;
    join_all(open.iter().map(|open| open.store.close())).await;
    Ok(if stopped { ExitCode::from(TROUBLE) } else { ExitCode::SUCCESS })
}

fn warn(notice: Notice) {
    match notice.level {
        Level::Info => eprintln!("note: {notice}"),
        Level::Warning => eprintln!("warning: {notice}"),
    }
}

fn row((component, opened): &Opened) -> [String; 5] {
    let result = match opened {
        Ok(_) => "ok".to_owned(),
        Err(error) if component.ignore_errors => format!("ignored: {}", error.cause),
        Err(error) => error.cause.to_string(),
    };
    let version = if component.version.is_empty() { "-" } else { &component.version };
    [
        component.name.clone(),
        component.component_type.clone(),
        version.to_owned(),
        component.source.to_string(),
        result,
    ]
}

/// The rows below their headings, each column as wide as its widest cell.
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
