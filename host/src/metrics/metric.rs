//! The definition of a metric, and the making of a handle for it.

use std::marker::PhantomData;

use ::metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, SharedString, Unit};

/// What a recorder and a dashboard need to know about a metric.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Definition {
    /// The name, which is valid in Prometheus.
    pub name: &'static str,
    /// The kind.
    pub kind: Kind,
    /// The unit of the values.
    pub unit: Unit,
    /// The names of the labels, in the order in which they are recorded. The number of their values is
    /// bounded: no label is a resource or an owner, and only configured stores are named.
    pub labels: &'static [&'static str],
    /// The help text.
    pub help: &'static str,
}

/// The kind of a metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// A value that only grows.
    Counter,
    /// A value that goes up and down.
    Gauge,
    /// A distribution of values.
    Histogram {
        /// The upper bounds of the buckets, in the metric's unit, in ascending order.
        buckets: &'static [f64],
    },
}

/// A metric with handles of type `H` ([`Counter`], [`Gauge`] or [`Histogram`]) and the labels `L`.
#[derive(Debug)]
pub struct Metric<H, L> {
    pub(super) definition: Definition,
    types: PhantomData<(H, L)>,
}

/// The labels of a metric, one field each; `()` for none.
pub trait LabelSet {
    /// The names of the labels.
    const NAMES: &'static [&'static str];

    /// The labels with their values, in the order of [`NAMES`](Self::NAMES).
    fn labels(&self) -> Vec<Label>;
}

impl LabelSet for () {
    const NAMES: &'static [&'static str] = &[];

    fn labels(&self) -> Vec<Label> {
        Vec::new()
    }
}

impl<H, L: LabelSet> Metric<H, L> {
    const fn new(name: &'static str, kind: Kind, unit: Unit) -> Self {
        let definition = Definition { name, kind, unit, labels: L::NAMES, help: "" };
        Self { definition, types: PhantomData }
    }

    pub(super) const fn help(mut self, help: &'static str) -> Self {
        self.definition.help = help;
        self
    }

    fn key(&self, labels: &L) -> Key {
        Key::from_parts(self.definition.name, labels.labels())
    }
}

impl<L: LabelSet> Metric<Counter, L> {
    pub(super) const fn counter(name: &'static str) -> Self {
        Self::new(name, Kind::Counter, Unit::Count)
    }

    /// A handle for the counter with these labels.
    pub fn with(&self, labels: L) -> Counter {
        ::metrics::with_recorder(|it| it.register_counter(&self.key(&labels), &METADATA))
    }
}

impl<L: LabelSet> Metric<Gauge, L> {
    pub(super) const fn gauge(name: &'static str) -> Self {
        Self::new(name, Kind::Gauge, Unit::Count)
    }

    /// A handle for the gauge with these labels.
    pub fn with(&self, labels: L) -> Gauge {
        ::metrics::with_recorder(|it| it.register_gauge(&self.key(&labels), &METADATA))
    }
}

impl<L: LabelSet> Metric<Histogram, L> {
    pub(super) const fn histogram(name: &'static str, unit: Unit, buckets: &'static [f64]) -> Self {
        Self::new(name, Kind::Histogram { buckets }, unit)
    }

    /// A handle for the histogram with these labels.
    pub fn with(&self, labels: L) -> Histogram {
        ::metrics::with_recorder(|it| it.register_histogram(&self.key(&labels), &METADATA))
    }
}

/// Describes a metric to the recorder.
pub(super) fn describe(metric: &Definition) {
    let (name, unit) = (metric.name.into(), Some(metric.unit));
    let help = SharedString::const_str(metric.help);
    ::metrics::with_recorder(|recorder| match metric.kind {
        Kind::Counter => recorder.describe_counter(name, unit, help),
        Kind::Gauge => recorder.describe_gauge(name, unit, help),
        Kind::Histogram { .. } => recorder.describe_histogram(name, unit, help),
    });
}

const METADATA: Metadata<'static> =
    Metadata::new("holdfast", Level::INFO, Some(env!("CARGO_CRATE_NAME")));
