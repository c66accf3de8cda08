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

/// How many lines what came and went has, without its title.
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
    frame.render_widget(Line::from_iter(words), title);
    let keys = Line::from("q quits".dim()).right_aligned();
    frame.render_widget(keys, title);
    frame.render_widget(Paragraph::new(problems), trouble);

    let headings = ["STORE", "RESOURCE", "OWNER", "TIME LEFT", "WAITING"];
    let widths = [
        Constraint::Fill(1),
        Constraint::Fill(2),
        Constraint::Fill(2),
        Constraint::Length(20),
        Constraint::Length(7),
    ];
    let last = rows.len().saturating_sub(1);
    selected.select(Some(selected.selected().unwrap_or_default().min(last)));
    let shown = Table::new(rows.iter().map(row), widths)
        .header(TableRow::new(headings).bold())
        .row_highlight_style(Style::new().reversed());
    frame.render_stateful_widget(shown, table, selected);

    let block = Block::new().borders(Borders::TOP).title("what came and went");
    let lines = view.history().take(HISTORY.into()).map(|one| change(one, now));
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()).block(block), history);
}

fn row<'a>(row: &Row<'_>) -> TableRow<'a> {
    let left = match row.left {
        Some((left, part)) => {
            let text = format!(" {}", time(milliseconds(left)));
            Line::from_iter([Span::from(bar(part)).cyan(), text.into()])
        }
        None => Line::from("for ever"),
    };
    let waiting = if row.waiting == 0 { String::new() } else { row.waiting.to_string() };
    let words = [row.store, row.resource_id, row.owner].map(|text| Cell::from(printable(text)));
    TableRow::new(words.into_iter().chain([left.into(), waiting.into()]))
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
    use crate::watch::{Event, Told};

    #[test]
    fn bars_are_as_long_as_the_time_left() {
        assert_eq!(bar(1.0), "██████████");
        assert_eq!(bar(0.5), "█████     ");
        assert_eq!(bar(0.31), "███▏      ");
        assert_eq!(bar(0.0), "          ");
    }

    #[test]
    fn the_screen_shows_locks_problems_and_changes() {
        let mut view = View::default();
        let lock = |id: &str, owner: &str| HeldLock {
            resource_id: id.to_owned(),
            owner: owner.to_owned(),
            time_left: None,
        };
        let mut take = |event| view.take("lockstore", Told::Event(event), Instant::now());
        take(Event::Taken(lock("order-1", "somebody")));
        take(Event::Synced);
        take(Event::Taken(lock("order\u{1b}2", "you")));
        take(Event::Waiting { resource_id: "order-1".to_owned(), calls: 3 });
        take(Event::Freed(lock("order-0", "me")));
        view.take("other", Told::Failed("connection refused".to_owned()), Instant::now());
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
