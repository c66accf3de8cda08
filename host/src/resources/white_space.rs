//! White space that YAML 1.1 allows, and Dapr's library with it, but YAML 1.2 does not, which the parser follows.
//!
//! No text is searched for it. The parser stops at such a place, so it is known to be outside of comments and block
//! scalars. Only what has no meaning there is changed, and never the number of lines.

use saphyr_parser::{Event, Parser, ScanError};

const TAB_AFTER_COLON: &str = "':' must be followed by a valid YAML whitespace";
const TAB_AS_INDENT: &str = "tabs disallowed within this context (block indentation)";
const TAB_IN_QUOTES: &str = "tab cannot be used as indentation";
const INDENT_IN_FLOW: &str = "invalid indentation in flow construct";
/// In a block, a smaller indentation ends the block.
const INDENT_IN_FLOW_OF_NO_TEXT: &str = "invalid indentation";
const INDENT_IN_QUOTES: &str = "invalid indentation in quoted scalar";
const ESCAPE: &str = "while parsing a quoted scalar, found unknown escape character";

/// The text with the place changed at which the parser stopped; `None` if YAML 1.1 does not allow it either.
pub(super) fn mended(text: &str, error: &ScanError) -> Option<String> {
    let at = text.char_indices().map(|(at, _)| at).nth(error.marker().index())?;
    let (before, after) = text.split_at(at);
    let line = before.rfind(['\n', '\r']).map_or(0, |end| end + 1);
    match error.info() {
        TAB_AFTER_COLON => {
            let key = before.trim_end_matches('\t');
            let blanks = " ".repeat(before.len() - key.len());
            key.ends_with(':').then(|| format!("{key}{blanks}{after}"))
        }
        TAB_AS_INDENT if ends_in_flow(&text[..line]) => indented(text, line, line),
        INDENT_IN_FLOW | INDENT_IN_FLOW_OF_NO_TEXT | TAB_IN_QUOTES => indented(text, line, line),
        INDENT_IN_QUOTES => {
            let end = end_of_quotes(text, at)?;
            // In a block, the line on which the text starts has the indentation of its key.
            let next = text[at..end].find(['\n', '\r']).map_or(end, |end| at + end + 1);
            indented(text, if ends_in_flow(&text[..line]) { line } else { next }, end)
        }
        ESCAPE => {
            let end = end_of_quotes(text, at)?;
            let quoted = with_apostrophes(&text[at..end]);
            (quoted != text[at..end]).then(|| format!("{before}{quoted}{}", &text[end..]))
        }
        _ => None,
    }
}

/// What the parser says, among other words, at the end of a text that is within brackets or braces.
const UNFINISHED_FLOW: [&str; 3] = ["flow mapping", "flow sequence", "expected node content"];

/// Whether the end of the text, which the parser has read, is within brackets or braces.
fn ends_in_flow(text: &str) -> bool {
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        match event {
            Ok((Event::StreamEnd, _)) => return false,
            Ok(_) => {}
            Err(error) => {
                return UNFINISHED_FLOW.iter().any(|it| error.info().contains(it));
            }
        }
    }
    false
}

/// The text with more blanks before the lines that start from `first` to `last`, than before any other line.
fn indented(text: &str, first: usize, last: usize) -> Option<String> {
    let mark = |line: &str| line.len() - line.trim_start_matches([' ', '\t', '-', '?']).len();
    let widest = text.split(['\n', '\r']).map(mark).max()?;
    let blanks = " ".repeat(widest + 1);
    let mut changed = String::with_capacity(text.len());
    let mut offset = 0;
    for line in text.split_inclusive(['\n', '\r']) {
        let content = line.trim_start_matches([' ', '\t']);
        if !(first..=last).contains(&offset) || content.trim_end().is_empty() {
            changed.push_str(line);
        } else if ["---", "..."].iter().any(|end| line.starts_with(end)) {
            return None;
        } else {
            changed.push_str(&blanks);
            changed.push_str(content);
        }
        offset += line.len();
    }
    (changed != text).then_some(changed)
}

/// Where the quoted text ends whose first quote is at `at`.
fn end_of_quotes(text: &str, at: usize) -> Option<usize> {
    let quote = text[at..].chars().next().filter(|first| ['"', '\''].contains(first))?;
    let mut rest = text[at..].char_indices().skip(1).peekable();
    while let Some((offset, character)) = rest.next() {
        if character == '\\' && quote == '"' {
            rest.next();
        } else if character == quote
            && (quote == '"' || rest.next_if(|(_, next)| *next == quote).is_none())
        {
            return Some(at + offset);
        }
    }
    None
}

/// The text in double quotes with `\'` as `'`, as only Dapr's library has it.
fn with_apostrophes(quoted: &str) -> String {
    let mut changed = String::with_capacity(quoted.len());
    let mut rest = quoted.chars();
    while let Some(character) = rest.next() {
        match (character, rest.as_str().chars().next()) {
            ('\\', Some('\'')) => {}
            ('\\', Some(escaped)) => {
                changed.push(character);
                changed.push(escaped);
                rest.next();
            }
            _ => changed.push(character),
        }
    }
    changed
}
