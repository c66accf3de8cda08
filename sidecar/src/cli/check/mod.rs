//! `holdfast check`.

mod warnings;

use std::{fmt::Write as _, process::ExitCode};

use anyhow::{Result, anyhow, bail};
use futures_util::future::join_all;
use holdfast::{
    Limits,
    resources::{EdgeLock, Level, Notice, OpenResult, OpenResults, OpenedStore, open_each},
    store::Survey,
};
use holdfast_rules::json::duration;
use serde_json::{Value, json};

use self::warnings::Warnings;
use super::{
    arguments::{Check, Log, LogLevel},
    exit::FAILURE,
    logging, output,
    runtime::runtime,
    stores,
    table::table,
};

const HEADINGS: [&str; 5] = ["COMPONENT", "TYPE", "VERSION", "FILE", "RESULT"];

const EDGE_LOCK_HEADINGS: [&str; 4] = ["EDGE LOCK", "STORE", "TTL", "WAIT"];

const SERVER_HEADINGS: [&str; 3] = ["SERVER", "ROLE", "FOUND"];

/// The findings.
#[derive(Default)]
struct Found {
    openings: Vec<OpenResult>,
    /// The name of each store that is open, and its servers.
    surveys: Vec<(String, Survey)>,
    edge_locks: Vec<EdgeLock>,
}

pub fn run(args: &Check) -> Result<ExitCode> {
    let warnings = Warnings::default();
    logging::start(&log(args), LogLevel::Warn, Some(warnings.layer()));
    let mut found = Found::default();
    let examined = examine(args, &warnings, &mut found);
    let Found { openings, surveys, edge_locks } = &found;
    let text = if args.json {
        format!("{:#}\n", document(&examined, &found, &warnings.texts()))
    } else if examined.is_err() && openings.is_empty() {
        String::new()
    } else {
        let stores = table(HEADINGS, &openings.iter().map(row).collect::<Vec<_>>());
        stores + &surveys.iter().map(servers).collect::<String>() + &self::edge_locks(edge_locks)
    };
    output::print(text.as_bytes())?;
    Ok(if examined? { ExitCode::SUCCESS } else { ExitCode::from(FAILURE) })
}

/// What is logged. Warnings that decide the exit code are always shown.
fn log(args: &Check) -> Log {
    let level = args.log.log_level.map(|level| match level {
        LogLevel::Error | LogLevel::Fatal if args.strict => LogLevel::Warn,
        level => level,
    });
    Log { log_level: level, log_as_json: args.log.log_as_json }
}

/// Opens the stores, and says whether `serve` would start with them and have a store.
fn examine(args: &Check, warnings: &Warnings, found: &mut Found) -> Result<bool> {
    if args.stores.folders().is_empty() {
        let found = stores::daprs_folder().map(|folder| format!(" ({} exists)", folder.display()));
        bail!(
            "--resources-path is missing{}: there are no resource files to check. serve would have one store \
             in the memory of its process: two instances do not exclude each other",
            found.unwrap_or_default()
        );
    }
    runtime()?.block_on(open(args, warnings, found))
}

async fn open(args: &Check, warnings: &Warnings, found: &mut Found) -> Result<bool> {
    let Found { openings, surveys, edge_locks } = found;
    let options = stores::options(&args.stores, Limits::default());
    let mut unreadable = false;
    let mut notify = |notice: Notice| match notice.level {
        Level::Info => logging::say(&args.log, tracing::Level::INFO, &notice.to_string()),
        Level::Warning => warn(args, warnings, notice.to_string()),
        Level::Error => {
            unreadable = true;
            warn(args, warnings, notice.to_string());
        }
    };
    let opened = open_each(&options, &mut notify)
        .await
        .map_err(|error| stores::explained(&args.stores, &error.into()))?;
    OpenResults { stores: *openings, edge_locks: *edge_locks, .. } = opened;
    let open: Vec<OpenedStore> =
        openings.iter().filter_map(|it| it.result.as_ref().ok()).cloned().collect();
    if open.is_empty() {
        let folders = args.stores.folders().iter().map(|folder| folder.display().to_string());
        let folders = folders.collect::<Vec<_>>().join(", ");
        warn(
            args,
            warnings,
            format!("the resource files in {folders} define no lock store that can be used"),
        );
    }
    for warning in open.iter().filter_map(stores::in_memory_warning) {
        warn(args, warnings, warning);
    }
    // Only the rules know what is wrong with key prefixes.
    let locks = options.locks(&open).map_err(|error| anyhow!("{error}"));
    *surveys =
        join_all(open.iter().map(async |it| (it.name.clone(), it.store.survey().await))).await;
    join_all(open.iter().map(|open| open.store.close())).await;
    locks?;
    let stops = |it: &OpenResult| it.result.is_err() && !it.definition.ignore_errors;
    let fails = unreadable || openings.iter().any(stops) || (args.strict && warnings.any());
    Ok(!fails && !open.is_empty())
}

fn warn(args: &Check, warnings: &Warnings, text: String) {
    logging::say(&args.log, tracing::Level::WARN, &text);
    warnings.add(text);
}

/// The result as JSON.
fn document(examined: &Result<bool>, found: &Found, warnings: &[String]) -> Value {
    let stores = found.openings.iter().map(|OpenResult { definition, result, .. }| {
        let (outcome, about) = match result {
            Ok(open) => ("ok", open.store.describe()),
            Err(error) if definition.ignore_errors => ("ignored", error.cause.to_string()),
            Err(error) => ("failed", error.cause.to_string()),
        };
        let survey = found.surveys.iter().find(|(name, _)| *name == definition.name);
        let servers = survey.iter().flat_map(|(_, survey)| &survey.servers).map(|server| {
            json!({
                "address": server.address,
                "role": server.role.to_string(),
                "about": server.about,
            })
        });
        json!({
            "component": definition.name,
            "type": definition.component_type,
            "version": definition.version,
            "file": definition.source.to_string(),
            "result": outcome,
            "about": about,
            "servers": servers.collect::<Vec<_>>(),
            "promise": survey.map(|(_, survey)| survey.promise.as_str()),
        })
    });
    json!({
        "ok": matches!(examined, Ok(true)),
        "error": examined.as_ref().err().map(|error| format!("{error:#}")),
        "stores": stores.collect::<Vec<_>>(),
        "edgeLocks": found.edge_locks.iter().map(|lock| json!({
            "name": lock.name,
            "store": lock.store,
            "ttl": duration(lock.ttl),
            "wait": duration(lock.wait),
        })).collect::<Vec<_>>(),
        "warnings": warnings,
    })
}

/// The servers of a store, and what locks there can promise.
fn servers((store, survey): &(String, Survey)) -> String {
    let Survey { servers, promise } = survey;
    let mut text = String::new();
    if !servers.is_empty() {
        let rows: Vec<_> = servers
            .iter()
            .map(|it| [it.address.clone(), it.role.to_string(), it.about.clone()])
            .collect();
        text = format!("\nServers of {store}:\n{}", table(SERVER_HEADINGS, &rows));
    }
    if !promise.is_empty() {
        let _ = writeln!(text, "\n{store}: {promise}");
    }
    text
}

/// The locks that requests of a proxy take.
fn edge_locks(locks: &[EdgeLock]) -> String {
    if locks.is_empty() {
        return String::new();
    }
    let row = |lock: &EdgeLock| {
        [lock.name.clone(), lock.store.clone(), duration(lock.ttl), duration(lock.wait)]
    };
    format!("\n{}", table(EDGE_LOCK_HEADINGS, &locks.iter().map(row).collect::<Vec<_>>()))
}

fn row(OpenResult { definition, result, .. }: &OpenResult) -> [String; 5] {
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
