//! `holdfast locks --watch`: the locks as they come and go.

use std::{
    io::{IsTerminal, stdout},
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use futures_util::{
    StreamExt,
    stream::{BoxStream, select_all},
};
use holdfast::Locks;
use ratatui::{
    DefaultTerminal,
    crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers},
    widgets::TableState,
};
use serde_json::json;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    time::interval,
};

use super::{
    super::{
        arguments::{ListLocks, LogLevel},
        exit::SUCCESS,
        lock::with_open,
        logging,
        naming::named,
        output,
        runtime::runtime,
    },
    list::chosen,
    remote::Server,
    screen::draw,
    view::View,
};
use crate::{
    admin::form,
    lasting::watch::{Report, watch_again},
};

/// How often the screen is drawn.
const FRAME: Duration = Duration::from_millis(200);

/// How many rows a page is.
const PAGE: u16 = 10;

/// The reports, each with its store.
type Events = BoxStream<'static, (String, Report<String>)>;

pub fn run(args: &ListLocks) -> Result<ExitCode> {
    // Lines of the log would be drawn over.
    logging::start(&args.log, LogLevel::Error, None);
    if !args.json && !stdout().is_terminal() {
        bail!("--watch: stdout is not a terminal; --json prints a line for each event");
    }
    if let Some(address) = &args.address {
        let server = Server::at(address, args)?;
        let watching = async {
            let reports = server.watch().await.with_context(|| format!("--address {address}"))?;
            watch(reports, args, address).await
        };
        runtime()?.block_on(watching)?;
        return Ok(ExitCode::from(SUCCESS));
    }
    with_open(&args.stores, args.store.as_deref(), async |locks| {
        let folders = args.stores.folders().iter().map(|folder| folder.display().to_string());
        let source = folders.collect::<Vec<_>>().join(", ");
        watch(local(locks, args)?, args, &source).await?;
        Ok(SUCCESS)
    })
}

/// The locks in the stores.
fn local(locks: &Locks, args: &ListLocks) -> Result<Events> {
    let stores = chosen(locks, args)?.into_iter().map(|store| {
        // Wrong arguments are an error at once: watching again does not help.
        let waiting = locks.waiting(store, &args.prefix);
        waiting.map_err(|error| named(error, locks, store))?;
        let reports = watch_again(locks.clone(), store.to_owned(), args.prefix.clone());
        let store = store.to_owned();
        Ok(reports.map(move |report| {
            let report = match report {
                Report::Began => Report::Began,
                Report::Event(event) => Report::Event(event),
                Report::Failed(error) => Report::Failed(error.to_string()),
            };
            (store.clone(), report)
        }))
    });
    Ok(select_all(stores.collect::<Result<Vec<_>>>()?).boxed())
}

async fn watch(events: Events, args: &ListLocks, source: &str) -> Result<()> {
    match args.json {
        true => print(events).await,
        false => {
            let mut terminal = ratatui::try_init().context("cannot use the terminal")?;
            let shown = show(&mut terminal, events, source).await;
            ratatui::restore();
            shown
        }
    }
}

/// Prints each event, until nobody reads any more.
async fn print(mut events: Events) -> Result<()> {
    while let Some((store, report)) = events.next().await {
        let object = form::report(&store, report, |message| json!({"message": message}));
        output::print(format!("{object}\n").as_bytes())?;
    }
    Ok(())
}

/// Shows the locks until a key or a signal ends it.
async fn show(terminal: &mut DefaultTerminal, mut events: Events, source: &str) -> Result<()> {
    let (mut view, mut selected) = (View::default(), TableState::default());
    let (mut keys, mut frames) = (keys(), interval(FRAME));
    let mut end = signal(SignalKind::terminate()).context("cannot wait for signals")?;
    loop {
        tokio::select! {
            Some((store, report)) = events.next() => view.take(&store, report, Instant::now()),
            _ = frames.tick() => {
                let drawn = terminal.draw(|frame| draw(frame, &view, &mut selected, source));
                drawn.context("cannot draw")?;
            }
            key = keys.recv() => match key {
                Some(key) if !is_end(key) => {
                    scroll(key.code, &mut selected);
                    frames.reset_immediately();
                }
                _ => return Ok(()),
            },
            _ = end.recv() => return Ok(()),
        }
    }
}

/// The keys that are pressed, until the terminal is gone.
fn keys() -> mpsc::Receiver<KeyEvent> {
    let (sender, keys) = mpsc::channel(1);
    // Reading blocks. The thread ends with the program.
    thread::spawn(move || {
        while let Ok(read) = event::read() {
            if let Event::Key(key) = read
                && key.kind != KeyEventKind::Release
                && sender.blocking_send(key).is_err()
            {
                return;
            }
        }
    });
    keys
}

fn is_end(key: KeyEvent) -> bool {
    let interrupted =
        key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c');
    interrupted || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc)
}

fn scroll(key: KeyCode, selected: &mut TableState) {
    match key {
        KeyCode::Up => selected.scroll_up_by(1),
        KeyCode::Down => selected.scroll_down_by(1),
        KeyCode::PageUp => selected.scroll_up_by(PAGE),
        KeyCode::PageDown => selected.scroll_down_by(PAGE),
        KeyCode::Home => selected.select_first(),
        KeyCode::End => selected.select_last(),
        _ => {}
    }
}
