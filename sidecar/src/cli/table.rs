//! Tables on stdout.

use std::fmt::Write;

/// The headings and the rows. Each column but the last is as wide as its widest cell.
pub fn table<const N: usize>(headings: [&str; N], rows: &[[String; N]]) -> String {
    let headings = headings.map(str::to_owned);
    let lines = || std::iter::once(&headings).chain(rows);
    let width = |column: usize| lines().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let mut text = String::new();
    for line in lines() {
        for (column, cell) in line.iter().enumerate() {
            // Writing to a string cannot fail.
            let _ = match column + 1 == N {
                true => writeln!(text, "{cell}"),
                false => write!(text, "{cell:width$}  ", width = widths[column]),
            };
        }
    }
    text
}
