//! The dashboard for Grafana uses the metrics that exist.

use std::collections::{BTreeMap, BTreeSet};

use holdfast::metrics::{Kind, METRICS};
use holdfast_tests::read;
use promql_parser::{
    parser::{self, Expr, VectorSelector},
    util::{ExprVisitor, walk_expr},
};
use serde_json::Value;

use crate::known_calls::{self, Watched};

/// Labels that Prometheus adds to what it scrapes.
const OF_THE_TARGET: [&str; 2] = ["instance", "job"];

/// The labels that each name of a sample is used with.
type Used = BTreeMap<String, BTreeSet<String>>;

/// The names in an expression.
#[derive(Default)]
struct Names {
    metrics: Used,
    /// The labels that any part of the expression groups by.
    grouped_by: BTreeSet<String>,
}

impl Names {
    fn of(expression: &str) -> Self {
        let parsed = parser::parse(&expression.replace("$__rate_interval", "5m"));
        let parsed = parsed.unwrap_or_else(|error| panic!("{expression}: {error}"));
        let mut names = Self::default();
        walk_expr(&mut names, &parsed).unwrap();
        assert!(!names.metrics.is_empty(), "{expression}");
        for labels in names.metrics.values_mut() {
            labels.extend(names.grouped_by.iter().cloned());
        }
        names
    }

    fn selector(&mut self, selector: &VectorSelector) {
        let labels = self.metrics.entry(selector.name.clone().unwrap()).or_default();
        labels.extend(selector.matchers.matchers.iter().map(|matcher| matcher.name.clone()));
    }
}

impl ExprVisitor for Names {
    type Error = ();

    fn pre_visit(&mut self, expression: &Expr) -> Result<bool, ()> {
        match expression {
            Expr::VectorSelector(selector) => self.selector(selector),
            Expr::MatrixSelector(matrix) => self.selector(&matrix.vs),
            Expr::Aggregate(aggregate) => {
                let labels = aggregate.modifier.iter().flat_map(|it| &it.labels().labels);
                self.grouped_by.extend(labels.cloned());
            }
            _ => {}
        }
        Ok(true)
    }
}

fn dashboard() -> Value {
    serde_json::from_str(&read("deploy/grafana/holdfast.json")).unwrap()
}

/// The panels without the headings between them.
fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    dashboard["panels"].as_array().unwrap().iter().filter(|panel| panel["type"] != "row")
}

/// The metrics and labels in all expressions and variables of the dashboard.
fn used(dashboard: &Value) -> Used {
    let mut used = Used::new();
    for panel in panels(dashboard) {
        for target in panel["targets"].as_array().unwrap() {
            let expression = target["expr"].as_str().unwrap();
            let names = Names::of(expression);
            let legend = target["legendFormat"].as_str().unwrap();
            for label in legend.split("{{").skip(1) {
                let (label, _) = label.split_once("}}").unwrap();
                assert!(names.grouped_by.contains(label), "{legend} of {expression}");
            }
            for (metric, labels) in names.metrics {
                used.entry(metric).or_default().extend(labels);
            }
        }
    }
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        if let Some(query) = variable["definition"].as_str() {
            let inner = query.strip_prefix("label_values(").unwrap().strip_suffix(')').unwrap();
            let (metric, label) = inner.split_once(", ").unwrap();
            used.entry(metric.to_owned()).or_default().insert(label.to_owned());
        }
    }
    for labels in used.values_mut() {
        labels.retain(|label| !OF_THE_TARGET.contains(&label.as_str()));
    }
    used
}

#[test]
fn the_dashboard_uses_defined_metrics_and_labels() {
    let dashboard = dashboard();
    for (sample, labels) in used(&dashboard) {
        let of = |name: &&str| METRICS.iter().find(|metric| metric.name == *name);
        let parts = ["_bucket", "_sum", "_count"].into_iter();
        let histogram =
            parts.filter_map(|part| sample.strip_suffix(part)).find_map(|name| of(&name));
        let metric = of(&sample.as_str()).or(histogram);
        let metric = metric.unwrap_or_else(|| panic!("{sample} is not defined"));
        let is_histogram = matches!(metric.kind, Kind::Histogram { .. });
        assert_eq!(is_histogram, sample != metric.name, "{sample}");
        for label in labels {
            let bound = label == "le" && sample.ends_with("_bucket");
            assert!(bound || metric.labels.contains(&&*label), "{sample} has no label {label}");
        }
    }
}

#[test]
fn the_dashboard_shows_every_metric() {
    let dashboard = dashboard();
    let used = used(&dashboard);
    // Dapr counts responses as well as requests; the dashboard shows one of the two.
    let twice = ["dapr_http_server_response_count"];
    for metric in METRICS.iter().filter(|metric| !twice.contains(&metric.name)) {
        assert!(used.keys().any(|sample| sample.starts_with(metric.name)), "{}", metric.name);
    }
}

#[test]
fn the_dashboard_is_well_formed() {
    let dashboard = dashboard();
    assert!(dashboard["schemaVersion"].as_u64() >= Some(39), "{}", dashboard["schemaVersion"]);
    let mut ids = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{}", panel["title"]);
        let place = |side: &str| panel["gridPos"][side].as_u64().unwrap();
        assert!(place("x") + place("w") <= 24 && place("h") > 0, "{}", panel["title"]);
    }
    for panel in panels(&dashboard) {
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{}", panel["title"]);
        assert_ne!(panel["description"], Value::Null, "{}", panel["title"]);
    }
    let variables: BTreeSet<_> = dashboard["templating"]["list"]
        .as_array()
        .unwrap()
        .iter()
        .map(|variable| variable["name"].as_str().unwrap())
        .collect();
    assert_eq!(variables, ["app_id", "datasource", "instance", "store"].into());
}

#[tokio::test]
async fn the_metrics_of_the_dashboard_exist_in_a_scrape() {
    let dashboard = dashboard();
    let watched = Watched::start();
    watched.make_calls().await;
    let seen = watched.scrape().await;
    let of_a_quorum = known_calls::scrape_of_a_quorum().await;
    let mut names = seen.names();
    names.extend(of_a_quorum.names().into_iter().filter(|(name, _)| name.contains("_quorum_")));
    for (sample, labels) in used(&dashboard) {
        let there = names.get(sample.as_str());
        let there = there.unwrap_or_else(|| panic!("{sample} is not in the scrape"));
        for label in labels {
            assert!(there.contains(label.as_str()), "{sample} has no label {label}");
        }
    }
}

#[test]
fn the_page_lists_every_metric() {
    let page = read("docs/observability.md");
    for metric in METRICS {
        // A row shortens the names of its later metrics if they begin like the first.
        let mut ends = metric.name.match_indices('_').map(|(place, _)| &metric.name[place..]);
        let short = ends.any(|end| page.contains(&format!("`…{end}`")));
        assert!(short || page.contains(&format!("`{}`", metric.name)), "{}", metric.name);
    }
}
