//! Checks the figures of the README: those of the paragraph that leads to the page of measurements must be on that page.

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};

/// The page of measurements.
const PAGE: &str = "docs/performance.md";

/// Checks the README.
pub fn check(root: &Path) -> Result<()> {
    let read = |file: &str| {
        fs::read_to_string(root.join(file)).with_context(|| format!("cannot read {file}"))
    };
    let (readme, page) = (read("README.md")?, read(PAGE)?);
    let missing = missing(&readme, &page)?;
    if !missing.is_empty() {
        bail!("figures of README.md that {PAGE} does not have: {}", missing.join(", "));
    }
    Ok(())
}

/// The figures of the paragraph that are not on the page.
fn missing(readme: &str, page: &str) -> Result<Vec<String>> {
    let mut paragraphs = readme.split("\n\n");
    let paragraph = paragraphs.find(|it| it.contains(&format!("]({PAGE})")) && it.contains("µs"));
    let paragraph = paragraph.context("README.md has no figures of speed")?;
    let measured: Vec<String> = figures(page).collect();
    Ok(figures(paragraph).filter(|figure| !measured.contains(figure)).collect())
}

/// The numbers of a text, without the commas between thousands.
fn figures(text: &str) -> impl Iterator<Item = String> {
    let words = text.split(|c: char| !c.is_ascii_digit() && c != '.' && c != ',');
    let numbers = words.map(|word| word.trim_matches(['.', ',']).replace(',', ""));
    numbers.filter(|number| !number.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_that_was_not_measured_is_found() {
        let readme =
            "a\n\nIt takes 0.88 µs and serves 67,864 requests: [all](docs/performance.md).\n\n1";
        let page = "| 0.88 µs | 65258/s |";
        assert_eq!(missing(readme, page).unwrap(), ["67864"]);
        assert_eq!(missing(readme, "0.88, and 67864/s.").unwrap(), [""; 0]);
        missing("no figures", page).unwrap_err();
    }
}
