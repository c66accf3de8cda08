//! Drawing the locks in a terminal.

use std::time::{Duration, Instant};

use ratatui::{
    Frame,
    layout::{Constraint, Layout},
    style::{Style, Stylize},
    text::{Line, Span},
    widgets::{Block, Borders, Cell, Paragraph, Row as TableRow, Table, TableState},
};

use super::{
    super::printable::printable,
    time::time,
    view::{Change, Row, View},
};

/// How many cells a bar has.
const BAR: usize = 10;

/// The number of lines of the history, without its title.
const HISTORY: u16 = 6;

/// Draws everything. The selected row is kept in view.
pub fn draw(frame: &mut Frame<'_>, view: &View, selected: &mut TableState, source: &str) {
    let now = Instant::now();
    let rows = view.rows(now);
    let problems: Vec<Line<'_>> = view
        .problems()
        .map(|(store, problem)| {
            Line::from(printable(&format!("{store}: {problem}"))).style(Style::new().red())
        })
        .collect();
    let [title, trouble, table, history] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(problems.len().try_into().unwrap_or(u16::MAX)),
        Constraint::Min(3),
        Constraint::Length(HISTORY + 1),
    ])
    .areas(frame.area());

    let waiting: usize = rows.iter().map(|row| row.waiting).sum();
    let summary = format!(" {} held, {waiting} waiting", rows.len());
    let words = ["holdfast locks".bold(), " ".into(), printable(source).dim(), summary.into()];
    let (words, keys) = (Line::from_iter(words), Line::from("q quits".dim()).right_aligned());
    let has_room = words.width() + keys.width() < usize::from(title.width);
    frame.render_widget(words, title);
    if has_room {
        frame.render_widget(keys, title);
    }
    frame.render_widget(Paragraph::new(problems), trouble);

    let columns: Vec<_> = columns(table.width).collect();
    let last = rows.len().saturating_sub(1);
    selected.select(Some(selected.selected().unwrap_or_default().min(last)));
    let cells = |row| TableRow::new(columns.iter().map(|column| column.cell(row)));
    let shown = Table::new(rows.iter().map(cells), columns.iter().map(|column| column.width))
        .header(TableRow::new(columns.iter().map(|column| column.heading)).bold())
        .row_highlight_style(Style::new().reversed());
    frame.render_stateful_widget(shown, table, selected);

    let block = Block::new().borders(Borders::TOP).title("recent changes");
    let lines = view.history().take(HISTORY.into()).map(|one| change(one, now));
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()).block(block), history);
}

/// A column of the table.
struct Column {
    heading: &'static str,
    width: Constraint,
    content: Content,
}

#[derive(Clone, Copy)]
enum Content {
    Store,
    Resource,
    Owner,
    Time { with_bar: bool },
    Waiting,
}

/// The columns for which there is room. The resource and the remaining time are always shown.
fn columns(width: u16) -> impl Iterator<Item = Column> {
    let with_bar = width >= 60;
    let time = if with_bar { 20 } else { 9 };
    let column = |heading, width, content| Column { heading, width, content };
    let columns = [
        (0, column("STORE", Constraint::Fill(1), Content::Store)),
        (0, column("RESOURCE", Constraint::Fill(2), Content::Resource)),
        (40, column("OWNER", Constraint::Fill(2), Content::Owner)),
        (0, column("TIME LEFT", Constraint::Length(time), Content::Time { with_bar })),
        (50, column("WAITING", Constraint::Length(7), Content::Waiting)),
    ];
    columns.into_iter().filter_map(move |(least, column)| (width >= least).then_some(column))
}

impl Column {
    fn cell<'a>(&self, row: &Row<'_>) -> Cell<'a> {
        match self.content {
            Content::Store => printable(row.store).into(),
            Content::Resource => printable(row.resource_id).into(),
            Content::Owner => printable(row.owner).into(),
            Content::Time { with_bar } => left(row, with_bar).into(),
            Content::Waiting if row.waiting == 0 => Cell::default(),
            Content::Waiting => row.waiting.to_string().into(),
        }
    }
}

fn left<'a>(row: &Row<'_>, with_bar: bool) -> Line<'a> {
    let Some((left, part)) = row.left else { return Line::from("for ever") };
    let left = time(milliseconds(left));
    match with_bar {
        true => Line::from_iter([Span::from(bar(part)).cyan(), format!(" {left}").into()]),
        false => Line::from(left),
    }
}

fn change<'a>(change: &Change, now: Instant) -> Line<'a> {
    let Change { at, taken, store, lock } = change;
    let ago = time(milliseconds(now.saturating_duration_since(*at)));
    let sign = if *taken { "taken" } else { "freed" };
    let [id, store, owner] =
        [&lock.resource_id, store, &lock.owner].map(|text| printable(text.as_str()));
    Line::from(format!("{ago:>7} ago  {sign}  {id} ({store})  {owner}"))
}

/// A bar of eighths of cells.
fn bar(part: f64) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 80")]
    let eighths = (part.clamp(0.0, 1.0) * (BAR * 8) as f64).ceil() as usize;
    format!("{:BAR$}", "█".repeat(eighths / 8) + EIGHTHS[eighths % 8])
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use holdfast::HeldLock;
    use ratatui::{Terminal, backend::TestBackend};

    use super::*;
    use crate::lasting::watch::{Event, Report};

    #[test]
    fn bars_are_as_long_as_the_time_left() {
        assert_eq!(bar(1.0), "██████████");
        assert_eq!(bar(0.5), "█████     ");
        assert_eq!(bar(0.31), "███▏      ");
        assert_eq!(bar(0.0), "          ");
    }

    #[test]
    fn a_narrow_screen_shows_what_is_locked_and_for_how_long() {
        let lock = |time_left| HeldLock {
            resource_id: "order-1".to_owned(),
            owner: "somebody".to_owned(),
            time_left,
        };
        for (width, time_left, headings, row) in [
            (30, None, "STORE RESOURCE TIME LEFT", "lockst order-1 for ever"),
            (30, Some(u64::from(u32::MAX)), "STORE RESOURCE TIME LEFT", "lockst order-1 49d 17h"),
            (45, None, "STORE RESOURCE OWNER TIME LEFT", "lockst order-1 somebody for ever"),
        ] {
            let mut view = View::default();
            let taken = Report::Event(Event::Taken(lock(time_left)));
            view.take("lockst", taken, Instant::now());
            let mut terminal = Terminal::new(TestBackend::new(width, 16)).unwrap();
            let mut selected = TableState::default();
            terminal.draw(|frame| draw(frame, &view, &mut selected, "x")).unwrap();
            let screen = terminal.backend().to_string();
            let words = |line: &str| {
                line.trim_matches('"').split_whitespace().collect::<Vec<_>>().join(" ")
            };
            let lines: Vec<_> = screen.lines().skip(1).take(2).map(words).collect();
            assert_eq!(lines, [headings, row], "{screen}");
        }
    }

    #[test]
    fn the_screen_shows_locks_problems_and_changes() {
        let mut view = View::default();
        let lock = |id: &str, owner: &str| HeldLock {
            resource_id: id.to_owned(),
            owner: owner.to_owned(),
            time_left: None,
        };
        let mut take = |event| view.take("lockstore", Report::Event(event), Instant::now());
        take(Event::Taken(lock("order-1", "somebody")));
        take(Event::Synced);
        take(Event::Taken(lock("order\u{1b}2", "you")));
        take(Event::Waiting { resource_id: "order-1".to_owned(), calls: 3 });
        take(Event::Freed(lock("order-0", "me")));
        view.take("other", Report::Failed("connection refused".to_owned()), Instant::now());
        let mut terminal = Terminal::new(TestBackend::new(76, 16)).unwrap();
        let mut selected = TableState::default();
        terminal.draw(|frame| draw(frame, &view, &mut selected, "./components")).unwrap();
        let screen = terminal.backend().to_string();
        let expected = [
            "holdfast locks ./components 2 held, 3 waiting                        q quits",
            "other: connection refused",
            "STORE     RESOURCE           OWNER              TIME LEFT            WAITING",
            r"lockstore order\u{1b}2       you                for ever",
            "lockstore order-1            somebody           for ever             3",
        ];
        let lines = screen.lines().map(|line| line.trim_matches('"').trim_end());
        assert_eq!(lines.take(expected.len()).collect::<Vec<_>>(), expected, "{screen}");
        assert!(screen.contains("ago  freed  order-0 (lockstore)  me"), "{screen}");
    }
}
