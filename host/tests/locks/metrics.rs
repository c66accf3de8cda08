//! The metrics, as the recorder of an embedder gets them.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::FutureExt;
use holdfast::{
    Error, Limits, Locks, UnlockStatus, Verb,
    metrics::METRICS,
    store::{Store, memory::MemoryStore},
};
use holdfast_tests::{
    calls::{free, take},
    fake_store::{Answer, Event, FakeStore, not_done, unknown},
};
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};

/// Locks with a recorder of their own.
fn watched(build: impl FnOnce() -> Locks) -> (Locks, Watch) {
    let recorder = DebuggingRecorder::new();
    let watch = Watch(recorder.snapshotter());
    (metrics::with_local_recorder(&recorder, build), watch)
}

fn one_store(store: Arc<dyn Store>, limits: Limits) -> (Locks, Watch) {
    watched(|| {
        let builder = Locks::builder().app_id("app").store("s", store);
        builder.limits(limits).build().unwrap()
    })
}

/// The metrics of a recorder.
struct Watch(Snapshotter);

/// Every series that is not zero, as `name{label=value}`: the increase of a counter since the last look, the value of a
/// gauge, and the values that a histogram recorded.
struct Seen(BTreeMap<String, Vec<f64>>);

impl Watch {
    fn look(&self) -> Seen {
        let snapshot = self.0.snapshot().into_vec();
        let series = snapshot.into_iter().map(|(key, _, _, value)| {
            let key = key.key();
            let metric = METRICS.iter().find(|metric| metric.name == key.name());
            let metric = metric.unwrap_or_else(|| panic!("{key} is not defined"));
            let names: Vec<_> = key.labels().map(|label| label.key()).collect();
            assert_eq!(names, metric.labels, "{key}");
            let labels = key.labels().filter(|label| !label.value().is_empty());
            let labels: Vec<_> =
                labels.map(|label| format!("{}={}", label.key(), label.value())).collect();
            let values = match value {
                DebugValue::Counter(count) => vec![count as f64],
                DebugValue::Gauge(gauge) => vec![gauge.into_inner()],
                DebugValue::Histogram(recorded) => {
                    recorded.into_iter().map(|value| value.into_inner()).collect()
                }
            };
            (format!("{}{{{}}}", key.name(), labels.join(",")), values)
        });
        Seen(series.filter(|(_, values)| values.iter().any(|value| *value != 0.0)).collect())
    }
}

impl Seen {
    /// The counts of calls.
    fn calls(&self) -> Vec<(String, f64)> {
        let calls = ["holdfast_lock_attempts_total", "holdfast_unlocks_total"];
        let of_calls = |key: &str| calls.iter().any(|name| key.starts_with(name));
        let counts = self.0.iter().filter(|(key, _)| of_calls(key));
        counts.map(|(key, values)| (key.clone(), values[0])).collect()
    }

    /// A count or a gauge.
    fn value(&self, series: &str) -> f64 {
        self.0.get(series).map_or(0.0, |values| values[0])
    }

    fn recorded(&self, series: &str) -> &[f64] {
        self.0.get(series).map_or(&[], Vec::as_slice)
    }
}

fn counts<const N: usize>(counts: [(&str, f64); N]) -> Vec<(String, f64)> {
    counts.map(|(name, count)| (name.to_owned(), count)).to_vec()
}

#[tokio::test]
async fn answers_are_counted_in_both_forms() {
    let (locks, watch) = one_store(Arc::new(MemoryStore::new()), Limits::default());
    assert_eq!(take(&locks, "s", "r", "o", 60).await, Ok(true));
    assert_eq!(take(&locks, "s", "r", "o", 60).await, Ok(false));
    let body = br#"{"resourceId":"r","lockOwner":"p","expiryInSeconds":60}"#;
    assert_eq!(locks.json(Verb::TryLock, "s", body).await.unwrap().body, br#"{"success":false}"#);
    let body = br#"{"resourceId":"q","lockOwner":"p","expiryInSeconds":60}"#;
    assert_eq!(locks.json(Verb::TryLock, "s", body).await.unwrap().body, br#"{"success":true}"#);

    assert_eq!(free(&locks, "s", "r", "p").await, Ok(UnlockStatus::LockBelongsToOthers));
    assert_eq!(free(&locks, "s", "r", "o").await, Ok(UnlockStatus::Success));
    assert_eq!(free(&locks, "s", "r", "o").await, Ok(UnlockStatus::LockDoesNotExist));
    let body = br#"{"resourceId":"q","lockOwner":"p"}"#;
    assert_eq!(locks.json(Verb::Unlock, "s", body).await.unwrap().body, br#"{"status":0}"#);

    let expected = counts([
        ("holdfast_lock_attempts_total{store=s,outcome=acquired}", 2.0),
        ("holdfast_lock_attempts_total{store=s,outcome=held}", 2.0),
        ("holdfast_unlocks_total{store=s,status=lock_belongs_to_others}", 1.0),
        ("holdfast_unlocks_total{store=s,status=lock_does_not_exist}", 1.0),
        ("holdfast_unlocks_total{store=s,status=success}", 2.0),
    ]);
    let seen = watch.look();
    assert_eq!(seen.calls(), expected);
    for series in [
        "holdfast_store_operation_seconds{store=s,operation=acquire}",
        "holdfast_store_operation_seconds{store=s,operation=release}",
    ] {
        assert_eq!(seen.recorded(series).len(), 4, "{series}");
    }
    assert_eq!(seen.recorded("holdfast_lock_hold_seconds{store=s}").len(), 2);
    let version = concat!("holdfast_build_info{version=", env!("CARGO_PKG_VERSION"), "}");
    assert_eq!(seen.value(version), 1.0);
}

#[tokio::test]
async fn refusals_are_counted_by_kind_and_not_by_the_callers_names() {
    let (locks, watch) = one_store(Arc::new(MemoryStore::new()), Limits::default());
    for (store, resource, owner, expiry) in
        [("s", "", "o", 60), ("s", "r", "", 60), ("s", "r", "o", 0), ("s", "a||b", "o", 60)]
    {
        assert!(take(&locks, store, resource, owner, expiry).await.is_err());
        let body = format!(
            r#"{{"resourceId":"{resource}","lockOwner":"{owner}","expiryInSeconds":{expiry}}}"#
        );
        assert_ne!(locks.json(Verb::TryLock, store, body.as_bytes()).await.unwrap().status, 200);
    }
    assert!(take(&locks, "made up", "r", "o", 60).await.is_err());
    assert!(free(&locks, "made up", "r", "o").await.is_err());
    let body = br#"{"resourceId":"r","lockOwner":"o","expiryInSeconds":60}"#;
    assert_eq!(locks.json(Verb::TryLock, "made up too", body).await.unwrap().status, 400);
    assert_eq!(locks.json(Verb::TryLock, "s", b"no JSON").await.unwrap().status, 400);
    assert_eq!(locks.json(Verb::Unlock, "s", b"no JSON").await.unwrap().status, 400);

    let expected = counts([
        ("holdfast_lock_attempts_total{store=_unknown,outcome=error,error=store_not_found}", 2.0),
        ("holdfast_lock_attempts_total{store=s,outcome=error,error=invalid}", 7.0),
        ("holdfast_lock_attempts_total{store=s,outcome=error,error=reserved}", 2.0),
        ("holdfast_unlocks_total{store=_unknown,status=error,error=store_not_found}", 1.0),
        ("holdfast_unlocks_total{store=s,status=error,error=invalid}", 1.0),
    ]);
    let seen = watch.look();
    assert_eq!(seen.calls(), expected);
}

#[tokio::test]
async fn calls_without_a_store_are_counted() {
    let (locks, watch) = watched(|| Locks::builder().build().unwrap());
    assert!(take(&locks, "s", "r", "o", 60).await.is_err());
    let body = br#"{"resourceId":"r","lockOwner":"o","expiryInSeconds":60}"#;
    assert_eq!(locks.json(Verb::TryLock, "s", body).await.unwrap().status, 500);
    let expected = counts([(
        "holdfast_lock_attempts_total{store=_unknown,outcome=error,error=store_not_configured}",
        2.0,
    )]);
    let seen = watch.look();
    assert_eq!(seen.calls(), expected);
}

#[tokio::test]
async fn failures_and_unknown_outcomes_are_counted_apart() {
    let (locks, watch) = watched(|| {
        let down = FakeStore::always(Answer::Failure(not_done("down")));
        let silent = FakeStore::always(Answer::Failure(unknown("lost")));
        Locks::builder().store("down", down).store("silent", silent).build().unwrap()
    });
    let body = br#"{"resourceId":"r","lockOwner":"o","expiryInSeconds":60}"#;
    for store in ["down", "silent"] {
        assert!(take(&locks, store, "r", "o", 60).await.is_err());
        assert_eq!(locks.json(Verb::TryLock, store, body).await.unwrap().status, 500);
        assert!(free(&locks, store, "r", "o").await.is_err());
    }
    let expected = counts([
        ("holdfast_lock_attempts_total{store=down,outcome=error,error=store_failed}", 2.0),
        ("holdfast_lock_attempts_total{store=silent,outcome=error,error=indeterminate}", 2.0),
        ("holdfast_unlocks_total{store=down,status=error,error=store_failed}", 1.0),
        ("holdfast_unlocks_total{store=silent,status=error,error=indeterminate}", 1.0),
    ]);
    let seen = watch.look();
    assert_eq!(seen.calls(), expected);
    let failures = "holdfast_store_operation_seconds{store=silent,operation=acquire}";
    assert_eq!(seen.recorded(failures).len(), 2);
}

#[tokio::test]
async fn calls_in_flight_waiting_refused_and_cancelled_are_counted() {
    let store = FakeStore::always(Answer::Yes.when_allowed());
    let mut limits = Limits::default();
    (limits.in_flight, limits.waiting) = (1, 1);
    let (locks, watch) = one_store(store.clone(), limits);
    let mut first = Box::pin(take(&locks, "s", "a", "o", 60));
    assert!((&mut first).now_or_never().is_none());
    assert_eq!(store.event().await, Event::Called);
    let mut second = Box::pin(take(&locks, "s", "b", "o", 60));
    assert!((&mut second).now_or_never().is_none());
    let third = free(&locks, "s", "c", "o").await;
    assert_eq!(third, Err(Error::Overloaded { in_flight: 1, waiting: 1 }));

    locks.record_gauges();
    let seen = watch.look();
    assert_eq!(seen.value("holdfast_calls_in_flight{}"), 1.0);
    assert_eq!(seen.value("holdfast_calls_waiting{}"), 1.0);
    let refused = ("holdfast_unlocks_total{store=s,status=error,error=overloaded}", 1.0);
    assert_eq!(seen.calls(), counts([refused]));

    drop(second);
    store.let_through(1);
    assert_eq!(first.await, Ok(true));
    locks.record_gauges();
    let seen = watch.look();
    assert_eq!(seen.value("holdfast_calls_in_flight{}"), 0.0);
    assert_eq!(seen.value("holdfast_calls_waiting{}"), 0.0);
    let expected = counts([
        ("holdfast_lock_attempts_total{store=s,outcome=acquired}", 1.0),
        ("holdfast_lock_attempts_total{store=s,outcome=error,error=cancelled}", 1.0),
    ]);
    assert_eq!(seen.calls(), expected);
}

#[tokio::test]
async fn discarded_instances_are_counted_by_reason() {
    let mut limits = Limits::default();
    (limits.warm_instances, limits.instances, limits.instance_memory) = (1, 1, 16 << 20);
    let (locks, watch) = one_store(Arc::new(MemoryStore::new()), limits);
    locks.record_gauges();
    let seen = watch.look();
    assert_eq!(seen.value("holdfast_component_instances_created_total{}"), 1.0);
    assert_eq!(seen.value("holdfast_component_instances{state=idle}"), 1.0);
    assert_eq!(seen.value("holdfast_component_instances{state=busy}"), 0.0);

    let traps = "x".repeat(20 << 20);
    assert!(matches!(take(&locks, "s", &traps, "o", 60).await, Err(Error::Component(_))));
    let seen = watch.look();
    let trapped = "holdfast_component_instances_discarded_total{reason=trapped}";
    assert_eq!(seen.value(trapped), 1.0);
    let failed =
        ("holdfast_lock_attempts_total{store=s,outcome=error,error=component_failed}", 1.0);
    assert_eq!(seen.calls(), counts([failed]));

    let grows = "x".repeat(1 << 20);
    assert_eq!(take(&locks, "s", &grows, "o", 60).await, Ok(true));
    locks.record_gauges();
    let seen = watch.look();
    // The instance of the first step grows and is discarded; that of the second is kept.
    let grown = "holdfast_component_instances_discarded_total{reason=grown}";
    assert_eq!(seen.value(grown), 1.0);
    assert_eq!(seen.value("holdfast_component_instances_created_total{}"), 2.0);
    assert_eq!(seen.value("holdfast_component_instances{state=idle}"), 1.0);
}

#[tokio::test(start_paused = true)]
async fn a_hold_lasts_from_the_grant_to_the_release_unless_it_expires() {
    let (locks, watch) = one_store(Arc::new(MemoryStore::new()), Limits::default());
    assert_eq!(take(&locks, "s", "kept", "o", 60).await, Ok(true));
    assert_eq!(take(&locks, "s", "lost", "o", 1).await, Ok(true));
    tokio::time::advance(Duration::from_secs(7)).await;
    // It expired, and another owner gets it.
    assert_eq!(take(&locks, "s", "lost", "p", 60).await, Ok(true));
    assert_eq!(free(&locks, "s", "lost", "o").await, Ok(UnlockStatus::LockBelongsToOthers));
    assert_eq!(free(&locks, "s", "kept", "o").await, Ok(UnlockStatus::Success));
    assert_eq!(watch.look().recorded("holdfast_lock_hold_seconds{store=s}"), [7.0]);
}

#[tokio::test(start_paused = true)]
async fn the_number_of_tracked_holds_is_bounded() {
    const MAX_TRACKED_LOCKS: usize = 1 << 16;
    let (locks, watch) = one_store(FakeStore::always(Answer::Yes), Limits::default());
    for lock in 0..=MAX_TRACKED_LOCKS {
        assert_eq!(take(&locks, "s", &lock.to_string(), "o", 60).await, Ok(true));
    }
    let untracked = "holdfast_lock_holds_untracked_total{store=s}";
    assert_eq!(watch.look().value(untracked), 1.0);
    // Expired holds make room.
    tokio::time::advance(Duration::from_secs(61)).await;
    assert_eq!(take(&locks, "s", "again", "o", 60).await, Ok(true));
    tokio::time::advance(Duration::from_secs(3)).await;
    assert_eq!(free(&locks, "s", "again", "o").await, Ok(UnlockStatus::Success));
    let seen = watch.look();
    assert_eq!(seen.value(untracked), 0.0);
    assert_eq!(seen.recorded("holdfast_lock_hold_seconds{store=s}"), [3.0]);
}
