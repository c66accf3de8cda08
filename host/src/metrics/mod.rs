//! All metrics of this crate: names, units, labels, buckets and help texts.
//!
//! A layer makes its handles with [`Metric::with`] and records on them in a `metrics.rs` of its own.
//! Values go to the recorder of the crate [`metrics`](https://docs.rs/metrics) that is installed when a handle is made:
//! install it before you connect stores and build [`Locks`](crate::Locks). Without a recorder, recording does nothing.

mod definitions;
mod metric;

pub use self::{
    definitions::*,
    metric::{Definition, Kind, LabelSet, Metric},
};

/// Describes all metrics to the recorder, and sets the metric of the running version.
pub(crate) fn describe() {
    METRICS.iter().for_each(metric::describe);
    BUILD_INFO.with(VersionLabels { version: env!("CARGO_PKG_VERSION") }).set(1);
}
