//! YAML text as a tree of plain values, by the rules of Dapr's YAML library.
//!
//! Splits a file into documents, and reads a document into a tree. Own code on top of a parser of events: no library
//! reads the scalars of YAML 1.1 as Dapr does and also limits the growth of aliases.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap, btree_map::Entry},
    fmt::Write as _,
};

use base64::{Engine as _, prelude::BASE64_STANDARD as STANDARD};
use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, StrInput, Tag};

use super::{error::Flaw, white_space};

/// A value. Numbers are kept as JSON text: `1.50` is `1.5`, `0x10` is `16`.
///
/// It has no `Debug`, because it may hold secrets.
#[derive(Clone)]
pub(super) enum Node {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Node>),
    Map(Mapping),
}

/// The entries of a mapping.
#[derive(Clone, Default)]
pub(super) struct Mapping {
    pub(super) entries: BTreeMap<String, Node>,
    /// The keys that occur more than once, and how.
    pub(super) repeated: BTreeMap<String, &'static str>,
}

/// How a key that is written twice occurs, or one that comes from two `<<`.
const TWICE: &str = "is given twice";

/// How a key occurs that `<<` merges in, after it is written.
const MERGED_OVER: &str = "is given twice, the second time by the `<<` below it: put `<<` first";

/// How many levels deep a document may nest.
const MAX_DEPTH: usize = 64;

/// The largest size of a document with every alias expanded, in bytes, roughly. Aliases of aliases grow exponentially,
/// so the reader checks the size before it copies a node.
const MAX_EXPANDED_BYTES: usize = 8 << 20;

/// How much text is parsed for a document at most, in bytes: it is parsed anew after each place that is changed.
const MAX_PARSED_BYTES: usize = 32 << 20;

/// The size of a node without its text, in bytes.
const NODE_BYTES: usize = 32;

/// A document of a file.
pub(super) struct RawDocument<'a> {
    /// The document, from its `---` on.
    whole: &'a [u8],
    /// The length of its first line if that separates it from the document above, but is not YAML; otherwise 0.
    separator: usize,
    /// The line of the file on which the document starts, from 1.
    line: usize,
}

impl<'a> RawDocument<'a> {
    /// The text of the document.
    pub(super) fn text(&self) -> &'a [u8] {
        &self.whole[self.separator..]
    }

    /// The line of the file on which the text starts, from 1.
    pub(super) fn line(&self) -> usize {
        self.line + usize::from(self.separator > 0)
    }
}

/// Splits a file at its lines `---`, whatever text is between them, so that a broken document does not affect the
/// others. Comments before the first `---` belong to the first document.
///
/// daprd splits a file at every line that begins with three dashes, after a line that is not such a separator, and
/// drops the rest of that line. So `----` and `---# comment` separate documents too, although they are not YAML.
/// `---text` does not: daprd loses the text.
pub(super) fn split(file: &[u8]) -> Vec<RawDocument<'_>> {
    let file = file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file);
    let mut parts = Vec::new();
    let (mut start, mut start_line, mut only_comments) = (0, 1, true);
    let (mut offset, mut separator) = (0, 0);
    // At the start of the file, and after a line that daprd drops, daprd does not look for a separator.
    let mut is_split = true;
    for (index, line) in file.split_inclusive(|byte| *byte == b'\n').enumerate() {
        // YAML ends a line at a lone carriage return too, and a comment with it.
        let is_comment = |part: &[u8]| matches!(part.trim_ascii_start().first(), None | Some(b'#'));
        let is_comment = |line: &[u8]| line.split(|byte| *byte == b'\r').all(is_comment);
        let after_dashes = line.strip_prefix(b"---");
        let separates =
            after_dashes.is_some_and(|rest| rest.first().is_none_or(u8::is_ascii_whitespace));
        is_split = after_dashes.is_some() && !is_split;
        let is_dropped = is_split && !separates && is_comment(&line[dashes(line)..]);
        if is_dropped || separates && !only_comments {
            let whole = &file[start..offset];
            parts.push(RawDocument { whole, separator, line: start_line });
            (start, start_line) = (offset, index + 1);
            separator = if is_dropped { line.len() } else { 0 };
        }
        only_comments = is_dropped || only_comments && is_comment(line) && !separates;
        offset += line.len();
    }
    parts.push(RawDocument { whole: &file[start..], separator, line: start_line });
    parts
}

/// The number of dashes at the start of a line.
fn dashes(line: &[u8]) -> usize {
    line.iter().take_while(|byte| **byte == b'-').count()
}

/// Reads the document of `text`, whose first line has the number `line` in its file.
///
/// # Errors
///
/// The problem and its line, without the text itself. The flaw is ambiguous if more text follows the document, because
/// it is unclear whether that text counts.
pub(super) fn parse(text: &str, line: usize) -> Result<Node, Flaw> {
    // They precede the first `---`.
    if are_directives(text) {
        return Ok(Node::Null);
    }
    let in_file = |at: usize| line + at.max(1) - 1;
    let flaw = |error: YamlError| {
        let (at, what) = match &error {
            YamlError::Syntax(scan) => (scan.marker().line(), scan.info()),
            YamlError::Here(line, what) => (*line, *what),
        };
        let advice = advice(text, at, &in_file);
        Flaw::new(format!("not valid YAML: {what} (line {}){advice}", in_file(at)))
    };
    let (node, rest) = read_mended(text).map_err(flaw)?;
    match rest {
        None => Ok(node),
        // These directives belong to the next document, which is another part of the file.
        Some(_) if ends_with_directives(text) => Ok(node),
        Some(at) => {
            let message = format!(
                "more follows the document (line {}): put a line --- between documents",
                in_file(at)
            );
            Err(Flaw { stops_the_start: true, ..Flaw::new(message) })
        }
    }
}

/// What to write instead, where the words of the parser do not show it.
fn advice(text: &str, at: usize, in_file: &impl Fn(usize) -> usize) -> String {
    let is_bare = |line: &str| line.contains(": {:") || line.contains(": {{");
    if text.lines().nth(at.saturating_sub(1)).is_some_and(is_bare) {
        return ": put a value that begins with a brace in quotes".into();
    }
    let separates = |rest: &str| rest.is_empty() || rest.starts_with(|c: char| c.is_whitespace());
    let joined =
        text.lines().position(|line| line.strip_prefix("---").is_some_and(|it| !separates(it)));
    joined.map_or_else(String::new, |index| {
        format!(": put a blank or a line break after the dashes of line {}", in_file(index + 1))
    })
}

/// Reads the document, and the line of what follows it. White space that the parser does not allow, but Dapr's library,
/// is changed first.
fn read_mended(text: &str) -> Result<(Node, Option<usize>), YamlError> {
    let mut text = Cow::Borrowed(text);
    let mut left = MAX_PARSED_BYTES;
    loop {
        let mut reader =
            Reader { parser: Parser::new_from_str(&text), anchors: HashMap::new(), weight: 0 };
        let error = match reader.document() {
            Ok(node) => return Ok((node, reader.rest())),
            Err(error) => error,
        };
        let YamlError::Syntax(scan) = &error else { return Err(error) };
        left = left.saturating_sub(text.len());
        match white_space::mended(&text, scan) {
            Some(mended) if left > 0 => text = Cow::Owned(mended),
            _ => return Err(error),
        }
    }
}

/// Whether nothing but directives, such as `%YAML 1.2`, follows the line that ends the document.
fn ends_with_directives(text: &str) -> bool {
    let after_end = text.rsplit_once("\n...").and_then(|(_, after)| after.split_once('\n'));
    after_end.is_some_and(|(_, after)| are_directives(after))
}

/// Whether the text has only directives and comments.
fn are_directives(text: &str) -> bool {
    text.lines().all(|line| line.trim().is_empty() || line.starts_with(['#', '%']))
}

enum YamlError {
    Syntax(ScanError),
    Here(usize, &'static str),
}

impl From<ScanError> for YamlError {
    fn from(error: ScanError) -> Self {
        Self::Syntax(error)
    }
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    anchors: HashMap<usize, Anchored>,
    weight: usize,
}

struct Anchored {
    node: Node,
    weight: usize,
    height: usize,
}

impl<'a> Reader<'a> {
    fn document(&mut self) -> Result<Node, YamlError> {
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(Node::Null),
                (Event::StreamStart | Event::DocumentStart(_) | Event::Nothing, _) => {}
                (event, line) => return self.node(event, line, 0),
            }
        }
    }

    /// The line of the first text after the document; `None` if nothing follows.
    fn rest(&mut self) -> Option<usize> {
        loop {
            match self.next() {
                Ok((Event::StreamEnd, _)) => return None,
                Ok((Event::DocumentEnd | Event::Nothing, _)) => {}
                Ok((_, line)) => return Some(line),
                Err(YamlError::Syntax(scan)) => return Some(scan.marker().line()),
                Err(YamlError::Here(line, _)) => return Some(line),
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'a>, usize), YamlError> {
        match self.parser.next_event() {
            Some(event) => {
                event.map(|(event, span)| (event, span.start.line())).map_err(YamlError::Syntax)
            }
            None => Ok((Event::StreamEnd, 1)),
        }
    }

    fn node(&mut self, event: Event<'a>, line: usize, depth: usize) -> Result<Node, YamlError> {
        if depth > MAX_DEPTH {
            return Err(YamlError::Here(line, "nested too deeply"));
        }
        let before = self.weight;
        let (anchor, node) = match event {
            Event::Alias(anchor) => {
                let Some(anchored) = self.anchors.get(&anchor) else {
                    return Err(YamlError::Here(line, "an alias within its own anchor"));
                };
                weigh(&mut self.weight, anchored.weight, line)?;
                if depth + anchored.height > MAX_DEPTH {
                    return Err(YamlError::Here(line, "nested too deeply"));
                }
                return Ok(anchored.node.clone());
            }
            Event::Scalar(text, style, anchor, tag) => {
                weigh(&mut self.weight, NODE_BYTES + text.len(), line)?;
                let is_binary = |tag: &Tag| tag.is_yaml_core_schema() && tag.suffix == "binary";
                let node = match tag.as_deref().is_some_and(is_binary) {
                    true => Node::Text(decode(&text).ok_or(YamlError::Here(line, NOT_BINARY))?),
                    false => scalar(&text, style, tag.as_deref()),
                };
                (anchor, node)
            }
            Event::SequenceStart(anchor, _) => {
                weigh(&mut self.weight, NODE_BYTES, line)?;
                (anchor, Node::List(self.list(depth)?))
            }
            Event::MappingStart(anchor, _) => {
                weigh(&mut self.weight, NODE_BYTES, line)?;
                (anchor, Node::Map(self.map(depth)?))
            }
            _ => return Err(YamlError::Here(line, "a value is missing")),
        };
        if anchor != 0 {
            let weight = self.weight - before;
            weigh(&mut self.weight, weight, line)?;
            let anchored = Anchored { node: node.clone(), weight, height: node.height() };
            self.anchors.insert(anchor, anchored);
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Node>, YamlError> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(items),
                (event, line) => items.push(self.node(event, line, depth + 1)?),
            }
        }
    }

    /// Reads a mapping, as Dapr's library does from its first entry to its last: each replaces what precedes it, and so
    /// does each key that `<<` merges in, although YAML lets `<<` replace none. So a key counts as repeated if it is
    /// written more than once, precedes a `<<` that has it too, or comes from several `<<` alone. If one `<<` merges
    /// several mappings, the first one counts.
    fn map(&mut self, depth: usize) -> Result<Mapping, YamlError> {
        let Mapping { mut entries, mut repeated } = Mapping::default();
        let mut written = BTreeSet::new();
        loop {
            let (event, line) = self.next()?;
            if event == Event::MappingEnd {
                break;
            }
            let is_merge = is_merge(&event);
            let key = self
                .node(event, line, depth + 1)?
                .into_text()
                .ok_or(YamlError::Here(line, "a key that is a list or a mapping"))?;
            let (event, line) = self.next()?;
            match self.node(event, line, depth + 1)? {
                base if is_merge => {
                    let bases = match base {
                        Node::List(bases) => bases,
                        base => vec![base],
                    };
                    let mut all = Mapping::default();
                    for base in bases {
                        let Node::Map(base) = base else {
                            return Err(YamlError::Here(line, "`<<` merges mappings only"));
                        };
                        all.fill(base);
                    }
                    for (key, value) in all.entries {
                        let before = entries.insert(key.clone(), value);
                        if written.contains(&key) {
                            repeated.insert(key, MERGED_OVER);
                        } else if before.is_some() || all.repeated.contains_key(&key) {
                            repeated.insert(key, TWICE);
                        }
                    }
                }
                value => {
                    if written.insert(key.clone()) {
                        // It replaces what was merged in, however often.
                        repeated.remove(&key);
                    } else {
                        repeated.insert(key.clone(), TWICE);
                    }
                    entries.insert(key, value);
                }
            }
        }
        Ok(Mapping { entries, repeated })
    }
}

/// Whether a key is the one that merges mappings.
fn is_merge(key: &Event<'_>) -> bool {
    let Event::Scalar(text, style, _, tag) = key else { return false };
    text == "<<"
        && match tag.as_deref() {
            Some(tag) => tag.is_yaml_core_schema() && tag.suffix == "merge",
            None => *style == ScalarStyle::Plain,
        }
}

impl Mapping {
    /// Adds the entries of `base` whose keys are missing here.
    fn fill(&mut self, base: Self) {
        for (key, value) in base.entries {
            if let Entry::Vacant(place) = self.entries.entry(key) {
                if let Some(how) = base.repeated.get(place.key()) {
                    self.repeated.insert(place.key().clone(), how);
                }
                place.insert(value);
            }
        }
    }
}

fn weigh(total: &mut usize, weight: usize, line: usize) -> Result<(), YamlError> {
    *total = total.saturating_add(weight);
    if *total > MAX_EXPANDED_BYTES {
        return Err(YamlError::Here(line, "too large with its aliases written out"));
    }
    Ok(())
}

impl Node {
    /// The number of levels below this one.
    fn height(&self) -> usize {
        let below = match self {
            Self::List(items) => items.iter().map(Self::height).max(),
            Self::Map(map) => map.entries.values().map(Self::height).max(),
            _ => return 0,
        };
        1 + below.unwrap_or(0)
    }

    /// A key that occurs more than once, in this node or below it.
    pub(super) fn repeated_key(&self) -> Option<&str> {
        match self {
            Self::List(items) => items.iter().find_map(Self::repeated_key),
            Self::Map(map) => {
                let here = map.repeated.keys().next().map(String::as_str);
                here.or_else(|| map.entries.values().find_map(Self::repeated_key))
            }
            _ => None,
        }
    }

    /// A scalar as text, null as the empty text; `None` for a list or a mapping.
    pub(super) fn into_text(self) -> Option<String> {
        match self {
            Self::Null => Some(String::new()),
            Self::Bool(value) => Some(value.to_string()),
            Self::Number(text) | Self::Text(text) => Some(text),
            Self::List(_) | Self::Map(_) => None,
        }
    }

    /// A scalar as text, any other node as JSON without white space and with sorted keys.
    pub(super) fn into_text_or_json(self) -> String {
        match self {
            Self::List(_) | Self::Map(_) => {
                let mut json = String::new();
                self.write_json(&mut json);
                json
            }
            scalar => scalar.into_text().unwrap_or_default(),
        }
    }

    fn write_json(&self, json: &mut String) {
        match self {
            Self::Null => json.push_str("null"),
            Self::Bool(value) => {
                let _ = write!(json, "{value}");
            }
            Self::Number(text) => json.push_str(text),
            Self::Text(text) => write_string(text, json),
            Self::List(items) => {
                json.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        json.push(',');
                    }
                    item.write_json(json);
                }
                json.push(']');
            }
            Self::Map(map) => {
                json.push('{');
                for (index, (key, value)) in map.entries.iter().enumerate() {
                    if index > 0 {
                        json.push(',');
                    }
                    write_string(key, json);
                    json.push(':');
                    value.write_json(json);
                }
                json.push('}');
            }
        }
    }
}

const NOT_BINARY: &str = "!!binary that is not Base64 of text";

/// The text in Base64, which may have several lines.
fn decode(base64: &str) -> Option<String> {
    let base64 = base64.replace(['\r', '\n'], "");
    String::from_utf8(STANDARD.decode(base64).ok()?).ok()
}

/// Writes a string as Go does, which also escapes what a browser or JavaScript could misread.
fn write_string(text: &str, json: &mut String) {
    for character in serde_json::Value::from(text).to_string().chars() {
        match character {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(json, "\\u{:04x}", u32::from(character));
            }
            character => json.push(character),
        }
    }
}

/// A scalar by the rules of YAML 1.1, which Dapr's library (sigs.k8s.io/yaml) follows: `yes` and
/// `on` are true, `010` is 8. Quoted text stays as it is.
fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Node {
    let plain = match tag {
        Some(tag) if tag.is_yaml_core_schema() => tag.suffix != "str",
        Some(_) => false,
        None => style == ScalarStyle::Plain,
    };
    if !plain {
        return Node::Text(text.to_owned());
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Node::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Node::Bool(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Node::Bool(false)
        }
        _ => number(text).map_or_else(|| Node::Text(text.to_owned()), Node::Number),
    }
}

fn number(text: &str) -> Option<String> {
    if !text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) {
        return None;
    }
    if text.starts_with('.') {
        return float(text);
    }
    let digits = text.replace('_', "");
    integer(&digits).or_else(|| float(&digits))
}

fn integer(text: &str) -> Option<String> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let lower = unsigned.to_ascii_lowercase();
    let (radix, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    if !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    let value = i128::from_str_radix(digits, radix).ok()?;
    let value = if text.starts_with('-') { -value } else { value };
    (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(&value).then(|| value.to_string())
}

fn float(text: &str) -> Option<String> {
    // Rust's parser also accepts `inf` and the like, which are text in YAML.
    if !text.chars().all(|c| c.is_ascii_digit() || "+-.eE".contains(c)) {
        return None;
    }
    let value: f64 = text.parse().ok()?;
    if !value.is_finite() {
        return None;
    }
    let size = value.abs();
    if size == 0.0 || (1e-6..1e21).contains(&size) {
        return Some(value.to_string());
    }
    let text = format!("{value:e}");
    Some(if size >= 1.0 { text.replace('e', "e+") } else { text })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn json(text: &str) -> String {
        let mut json = String::new();
        parse(text, 1).unwrap().write_json(&mut json);
        json
    }

    fn error(text: &str) -> String {
        parse(text, 1).err().unwrap().message
    }

    #[test]
    fn what_follows_a_document_is_ambiguous() {
        for (text, line) in [
            ("{a: 1}\n{b: 2}\n", 2),
            ("{a: 1}\nb: 2\n", 2),
            ("{a: 1}\ngarbage: [\n", 2),
            ("a: 1\n...\nb: 2\n", 3),
            ("--- a\n... \n# comment\n--- b\n", 4),
        ] {
            let flaw = parse(text, 1).err().unwrap();
            assert!(flaw.stops_the_start, "{text}");
            let expected = format!("more follows the document (line {line})");
            assert!(flaw.message.starts_with(&expected), "{text}: {}", flaw.message);
        }
        for text in [
            "a: 1\n...\n%YAML 1.2\n",
            "a: 1\n... # end\n# c\n%TAG ! x:\n",
            "a: 1\n...\n",
            "a: 1\n...\n# comment\n",
            "{a: 1}\n\n",
            "",
        ] {
            assert!(parse(text, 1).is_ok(), "{text}");
        }
    }

    #[test]
    fn keys_are_repeated_also_by_merges() {
        for (text, repeated) in [
            ("a: &a {k: 1, k: 2}\nb: {<<: *a}", true),
            ("a: &a {k: 1, k: 2}\nb: {<<: *a, k: 3}", false),
            ("a: &a {k: 1}\nc: &c {k: 2}\nb: {<<: *a, <<: *c}", true),
            ("a: &a {k: 1}\nc: &c {k: 2}\nb: {<<: *a, <<: *c, k: 3}", false),
            ("a: &a {k: 1}\nc: &c {k: 2}\nb: {<<: *a, k: 3, <<: *c}", true),
            ("b: {k: 1, <<: {k: 2}}", true),
            ("b: {k: 1, <<: {k: 2}, k: 3}", true),
            ("b: {k: 1, <<: [{j: 2}, {k: 2}]}", true),
            ("b: {k: 1, <<: {j: 2}, <<: {i: 2}}", false),
            ("b: {k: 1, \"<<\": {k: 2}}", false),
            ("b: {k: 1, !!str <<: {k: 2}}", false),
            ("a: &a {k: 1}\nc: &c {k: 2}\nb: {<<: [*a, *c]}", false),
            ("b: [{k: 1, k: 2}]", true),
        ] {
            let Ok(Node::Map(map)) = parse(text, 1) else { panic!("{text}") };
            assert_eq!(map.entries["b"].repeated_key().is_some(), repeated, "{text}");
        }
    }

    #[test]
    fn scalars_are_read_as_daprs_library_reads_them() {
        for (yaml, expected) in [
            ("6379", "6379"),
            ("-5", "-5"),
            ("+5", "5"),
            ("1_000", "1000"),
            ("0x1F", "31"),
            ("0o10", "8"),
            ("010", "8"),
            ("08", "8"),
            ("0b11", "3"),
            ("0", "0"),
            ("18446744073709551615", "18446744073709551615"),
            ("18446744073709551616", "18446744073709552000"),
            ("1.50", "1.5"),
            ("1.0", "1"),
            (".5", "0.5"),
            (".5_0", "\".5_0\""),
            ("6e1", "60"),
            ("1e21", "1e+21"),
            ("1e-7", "1e-7"),
            ("true", "true"),
            ("yes", "true"),
            ("On", "true"),
            ("off", "false"),
            ("~", "null"),
            ("", "null"),
            ("\"6379\"", "\"6379\""),
            ("'yes'", "\"yes\""),
            ("!!str 6379", "\"6379\""),
            ("2001-12-14", "\"2001-12-14\""),
            ("1.2.3", "\"1.2.3\""),
            ("localhost:6379", "\"localhost:6379\""),
            (".inf", "\".inf\""),
            ("-", "[null]"),
            ("0x", "\"0x\""),
            ("infinity", "\"infinity\""),
            ("5s", "\"5s\""),
            ("!!binary aGVsbG8=", "\"hello\""),
            ("!!binary |\n aGVs\n bG8=\n", "\"hello\""),
            ("{b: 1, a: [x, 2]}", r#"{"a":["x",2],"b":1}"#),
            (
                "{<k&: [\"a>b\u{2028}\\u2029\u{e9}\"]}",
                r#"{"\u003ck\u0026":["a\u003eb\u2028\u2029é"]}"#,
            ),
            ("a: 1\na: 2", r#"{"a":2}"#),
        ] {
            assert_eq!(json(yaml), expected, "{yaml}");
        }
    }

    #[test]
    fn aliases_and_merges_are_written_out() {
        let yaml =
            "base: &b {x: 1, w: 2}\none: *b\ntwo:\n  <<: *b\n  w: 3\nthree:\n  <<: [*b, {z: 4}]\n";
        assert_eq!(
            json(yaml),
            r#"{"base":{"w":2,"x":1},"one":{"w":2,"x":1},"three":{"w":2,"x":1,"z":4},"two":{"w":3,"x":1}}"#
        );
        // As in Dapr's library: a later key or `<<` replaces what is there, and the first mapping of a list counts.
        for (yaml, expected) in [
            ("{<<: {k: 1, j: 1}, k: 2}", r#"{"j":1,"k":2}"#),
            ("{k: 2, <<: {k: 1, j: 1}}", r#"{"j":1,"k":1}"#),
            ("{<<: {k: 1}, <<: {k: 2}}", r#"{"k":2}"#),
            ("{k: 0, <<: [{k: 1, i: 1}, {k: 2, j: 2}]}", r#"{"i":1,"j":2,"k":1}"#),
            ("{<<: {<<: {k: 1, j: 1}, k: 2}, i: 3}", r#"{"i":3,"j":1,"k":2}"#),
        ] {
            assert_eq!(json(yaml), expected, "{yaml}");
        }
        assert!(error("a: &a [*a]").contains("alias"));
        assert!(error("a: *nowhere").contains("line 1"));
        assert!(error("<<: 5").contains("merges"));
    }

    #[test]
    fn white_space_is_read_as_daprs_library_reads_it() {
        for (yaml, expected) in [
            ("a:\tb", r#"{"a":"b"}"#),
            ("a:\t\tb\nc:\t- d", ""),
            ("a:\t-1\nb: \"c:\td\" # e:\tf\ng: |\n  h:\ti\nj:\tk:\tl\n", ""),
            (
                "a:\t-1\nb: \"c:\td\" # e:\tf\ng: |\n  h:\ti\nj:\t'k:\tl'\n\u{e9}: [\u{e9}, {m:\to}]",
                "{\"a\":-1,\"b\":\"c:\\td\",\"g\":\"h:\\ti\\n\",\"j\":\"k:\\tl\",\"\u{e9}\":[\"\u{e9}\",{\"m\":\"o\"}]}",
            ),
            ("a: [b,\nc,\n d]\ne: f", r#"{"a":["b","c","d"],"e":"f"}"#),
            ("a:\n  b: [{c: d,\n  e: f}]\n  g: h", r#"{"a":{"b":[{"c":"d","e":"f"}],"g":"h"}}"#),
            ("a:\n- {b: c,\nd: e}", r#"{"a":[{"b":"c","d":"e"}]}"#),
            (
                "a:\n- {\n\t\"b\": \"c\",\n\t\"d\": [\n\t\t\"e\"\n\t]\n  }",
                r#"{"a":[{"b":"c","d":["e"]}]}"#,
            ),
            ("a:\n  b: \"c\n  d\"\n  e: 'f''\n\n g'", r#"{"a":{"b":"c d","e":"f'\ng"}}"#),
            ("a:\n  b: \"c\\\n d\"", r#"{"a":{"b":"cd"}}"#),
            ("a:\n  b: 'c\n\td\n  \te'", r#"{"a":{"b":"c d e"}}"#),
            ("a:\n  b: [\nc\n]\n  d: {\n\"e\": f}", r#"{"a":{"b":["c"],"d":{"e":"f"}}}"#),
            ("a: [\"b\",\n\"c\n d\"]", r#"{"a":["b","c d"]}"#),
            (r#"a: "it\'s \\'""#, r#"{"a":"it's \\'"}"#),
            // A tab that indents a block, and what is no white space.
            ("a:\n\tb: c", ""),
            ("a:\n  b: c\n\td: e", ""),
            ("a: [b]\n\tc: d", ""),
            ("a:\n- [\n\t1\n\t]", ""),
            (r#"a: "\d""#, ""),
            ("a: \"b\n... c\"", ""),
        ] {
            match parse(yaml, 1) {
                Ok(_) => assert_eq!(json(yaml), expected, "{yaml}"),
                Err(flaw) => assert_eq!(expected, "", "{yaml}: {}", flaw.message),
            }
        }
        let many = "a:\n".to_owned() + &"- b:\tc\n".repeat(300);
        assert!(parse(&many, 1).is_ok());
    }

    #[test]
    fn a_message_says_what_to_write() {
        for (yaml, end) in [
            ("a: 1\nb: {:c}{:d}\n", "(line 3): put a value that begins with a brace in quotes"),
            ("a: 1\n---b\nc: 2\n", ": put a blank or a line break after the dashes of line 3"),
        ] {
            let message = parse(yaml, 2).err().unwrap().message;
            assert!(message.ends_with(end), "{message}");
        }
    }

    #[test]
    fn what_is_no_base64_is_refused() {
        for binary in ["aGVsbG8", "aGVs bG8=", "/w==", "*"] {
            let error = error(&format!("a:\n  !!binary \"{binary}\""));
            assert!(error.contains("!!binary") && error.contains("(line 2)"), "{error}");
        }
    }

    #[test]
    fn alias_bombs_and_deep_nesting_are_refused() {
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
        for level in 1..30 {
            let previous = vec![format!("*a{}", level - 1); 9].join(", ");
            let _ = writeln!(bomb, "a{level}: &a{level} [{previous}]");
        }
        assert!(error(&bomb).contains("too large"));
        let text = "x".repeat(1 << 20);
        assert!(error(&format!("a: &a {text}\nb: [{}]", "*a, ".repeat(20))).contains("too large"));
        let mut tower = String::from("a0: &a0 x\n");
        for level in 1..70 {
            let _ = writeln!(
                tower,
                "a{level}: &a{level} {}*a{}{}",
                "[".repeat(60),
                level - 1,
                "]".repeat(60)
            );
        }
        assert!(error(&tower).contains("deeply"));
        assert!(error(&"[".repeat(1 << 20)).contains("limit"));
        assert!(error(&"{a: ".repeat(1 << 18)).contains("limit"));
        assert!(error(&"{a: ".repeat(100)).contains("deeply"));
        assert!(error(&"- ".repeat(1 << 19)).contains("deeply"));
    }

    #[test]
    fn files_are_split_at_separator_lines_alone() {
        let split_lines = |file: &str| {
            split(file.as_bytes())
                .iter()
                .map(|part| (part.line(), String::from_utf8_lossy(part.text()).into_owned()))
                .collect::<Vec<_>>()
        };
        let parts = |expected: &[(usize, &str)]| {
            expected.iter().map(|(line, text)| (*line, (*text).to_owned())).collect::<Vec<_>>()
        };
        for (file, expected) in [
            ("", &[(1, "")][..]),
            ("a", &[(1, "a")]),
            ("---\na\n", &[(1, "---\na\n")]),
            ("\u{feff}---\na\n", &[(1, "---\na\n")]),
            ("# c\n\n---\na\n---\nb", &[(1, "# c\n\n---\na\n"), (5, "---\nb")]),
            ("a\r\n---\r\nb\r\n", &[(1, "a\r\n"), (2, "---\r\nb\r\n")]),
            ("a\n--- # c\nb", &[(1, "a\n"), (2, "--- # c\nb")]),
            ("---\n---\na", &[(1, "---\n"), (2, "---\na")]),
            ("# c\ra\n---\nb", &[(1, "# c\ra\n"), (2, "---\nb")]),
            ("# c\r\r# d\n---\nb", &[(1, "# c\r\r# d\n---\nb")]),
            ("a\n----\nb\n", &[(1, "a\n"), (3, "b\n")]),
            ("a\n------- # c\r\nb", &[(1, "a\n"), (3, "b")]),
            ("a\n---# c\n---\nb", &[(1, "a\n"), (3, "---\nb")]),
            ("# c\n----\na", &[(1, "# c\n"), (3, "a")]),
            ("---\n----\na", &[(1, "---\n"), (3, "a")]),
            ("----\na", &[(1, "----\na")]),
            ("a\n---\n----\nb", &[(1, "a\n"), (2, "---\n----\nb")]),
            ("a\n---b\nc", &[(1, "a\n---b\nc")]),
            ("a: |\n  ---\n  x\n-----BEGIN", &[(1, "a: |\n  ---\n  x\n-----BEGIN")]),
        ] {
            assert_eq!(split_lines(file), parts(expected), "{file:?}");
        }
    }

    #[test]
    fn errors_name_the_line_of_the_file() {
        let error = parse("---\na: }\nb: 1\n", 7).err().unwrap().message;
        assert!(error.contains("(line 8)"), "{error}");
    }

    proptest! {
        #[test]
        fn never_panics(text in "[-:a0 \n\t\"'&*#{}\\[\\],|>!%?~.<\\\\\r\u{e9}]{0,60}") {
            for part in split(text.as_bytes()) {
                let _ = parse(std::str::from_utf8(part.text()).unwrap(), part.line());
            }
        }

        #[test]
        fn numbers_are_json_numbers(text in "[-+0-9._eExob]{1,12}") {
            if let Some(number) = number(&text) {
                prop_assert!(serde_json::from_str::<serde_json::Value>(&number).unwrap().is_number());
            }
        }

        #[test]
        fn parts_are_the_file(text in "(---|a|#|\n|\r| ){0,30}") {
            let whole: Vec<u8> = split(text.as_bytes()).iter().flat_map(|part| part.whole.to_vec()).collect();
            prop_assert_eq!(whole, text.into_bytes());
        }
    }
}
