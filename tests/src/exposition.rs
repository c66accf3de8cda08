//! A strict parser of Prometheus's text format (Prometheus, "Exposition formats", version 0.0.4).

use std::collections::{BTreeMap, BTreeSet};

/// The samples of one scrape.
#[derive(Debug, Default)]
pub struct Exposition {
    /// The type of each metric.
    pub types: BTreeMap<String, String>,
    samples: BTreeMap<Series, f64>,
}

/// A sample's name, and its labels in the order of their names.
type Series = (String, BTreeMap<String, String>);

impl Exposition {
    /// Parses a scrape.
    ///
    /// # Panics
    ///
    /// When it is malformed: samples without help and type before them, a series that appears twice, or a
    /// histogram whose buckets do not add up.
    pub fn parse(text: &str) -> Self {
        assert!(text.ends_with('\n'), "the last line has no line break");
        let mut all = Self::default();
        let (mut helped, mut metric) = (BTreeSet::new(), String::new());
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, help) = help.split_once(' ').expect("a help text");
                assert!(!help.is_empty() && helped.insert(name.to_owned()), "{line}");
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').expect("a type");
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                assert!(helped.contains(name), "no help before {line}");
                let before = all.types.insert(name.to_owned(), kind.to_owned());
                assert_eq!(before, None, "{line}");
                metric = name.to_owned();
            } else {
                let (series, value) = sample(line);
                all.belongs(&metric, &series.0);
                assert_eq!(all.samples.insert(series, value), None, "twice: {line}");
            }
        }
        all.histograms_add_up();
        all
    }

    /// The value of a series, if it exists. A label that is empty is the same as no label.
    pub fn get(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        self.samples.get(&(name.to_owned(), labels.collect())).copied()
    }

    /// The series of a name whose values are not zero: their labels as `a=b,c=d`, and their values.
    pub fn non_zero(&self, name: &str) -> BTreeMap<String, f64> {
        let mine = self.samples.iter().filter(|((of, _), value)| of == name && **value != 0.0);
        mine.map(|((_, labels), value)| {
            let labels: Vec<_> =
                labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
            (labels.join(","), *value)
        })
        .collect()
    }

    /// The names of all samples, each with the names of its labels.
    pub fn names(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut names: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (name, labels) in self.samples.keys() {
            names.entry(name).or_default().extend(labels.keys().map(String::as_str));
        }
        names
    }

    /// The values of a label in all metrics.
    pub fn values(&self, label: &str) -> BTreeSet<&str> {
        let labels = self.samples.keys().filter_map(|(_, labels)| labels.get(label));
        labels.map(String::as_str).collect()
    }

    fn belongs(&self, metric: &str, sample: &str) {
        let rest = sample.strip_prefix(metric).unwrap_or("not of this metric");
        let parts: &[_] = match self.types.get(metric).map(String::as_str) {
            Some("histogram") => &["_bucket", "_sum", "_count"],
            _ => &[""],
        };
        assert!(parts.contains(&rest), "{sample} does not belong to {metric}");
    }

    fn histograms_add_up(&self) {
        let mut buckets: BTreeMap<Series, Vec<(f64, f64)>> = BTreeMap::new();
        for ((name, labels), value) in &self.samples {
            if let Some(metric) = name.strip_suffix("_bucket") {
                let mut labels = labels.clone();
                let bound = labels.remove("le").expect("the bound of a bucket");
                let bound = bound.parse().expect("a number");
                buckets.entry((metric.to_owned(), labels)).or_default().push((bound, *value));
            }
        }
        for ((metric, labels), mut buckets) in buckets {
            buckets.sort_by(|(a, _), (b, _)| a.total_cmp(b));
            assert!(buckets.is_sorted_by(|(_, few), (_, more)| few <= more), "{metric} {labels:?}");
            let (last, all) = buckets.last().expect("at least one");
            let count = self.samples.get(&(format!("{metric}_count"), labels));
            assert!(last.is_infinite() && count == Some(all), "{metric}");
        }
    }
}

fn sample(line: &str) -> (Series, f64) {
    let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value: {line}"));
    let value = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
    let (name, labels) = match series.split_once('{') {
        Some((name, labels)) => {
            let labels = labels.strip_suffix('}').unwrap_or_else(|| panic!("no end: {line}"));
            (name, self::labels(labels))
        }
        None => (series, BTreeMap::new()),
    };
    assert!(is_name(name), "{line}");
    ((name.to_owned(), labels), value)
}

/// Parses `a="b",c="d"`. Leaves out empty labels, which mean the same as no label.
fn labels(mut text: &str) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    while !text.is_empty() {
        let (name, rest) = text.split_once("=\"").unwrap_or_else(|| panic!("no value: {text}"));
        assert!(is_name(name), "{name}");
        let (value, rest) = quoted(rest);
        let before = labels.insert(name.to_owned(), value);
        assert_eq!(before, None, "twice: {name}");
        text = rest.strip_prefix(',').unwrap_or(rest);
    }
    labels.retain(|_, value| !value.is_empty());
    labels
}

/// A value up to its closing quote, and the text after it.
fn quoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((place, character)) = characters.next() {
        match character {
            '"' => return (value, &text[place + 1..]),
            '\\' => value.push(match characters.next() {
                Some((_, 'n')) => '\n',
                Some((_, escaped @ ('\\' | '"'))) => escaped,
                other => panic!("{other:?} cannot be escaped"),
            }),
            other => value.push(other),
        }
    }
    panic!("no end: {text}")
}

fn is_name(name: &str) -> bool {
    let first = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    first && name.chars().all(|it| it.is_ascii_alphanumeric() || it == '_')
}
