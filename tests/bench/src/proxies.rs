//! Requests through a proxy that takes a lock around each of them, against the same proxy that takes none.

use std::{
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use holdfast_tests::{
    envoy::{Envoy, filter_with},
    holdfast::Holdfast,
    redis_server::RedisServer,
    resources::{self, Resources},
    upstream::Upstream,
};
use serde_json::json;
use tokio::runtime::Runtime;

use crate::{
    rounds::{Rounds, Spread, Turn},
    table::Table,
};

/// How many requests there are at once when requests are counted.
const AT_ONCE: usize = 16;

const EDGE_LOCK: &str = r#"
apiVersion: holdfast.lock/v1alpha1
kind: EdgeLock
metadata: {name: reports}
spec: {store: lockstore, resource: "{:path}", ttl: 60s, wait: 10s}
"#;

/// Measures each way beside a proxy without a lock, and adds the rows.
pub fn measure(rounds: Rounds, holdfast: &Path, table: &mut Table) -> Result<()> {
    let runtime = Runtime::new()?;
    let redis = RedisServer::start();
    let resources = Resources::new(&[
        ("lockstore.yaml", &resources::redis("lockstore", &redis, &[])),
        ("edge-lock.yaml", EDGE_LOCK),
    ]);
    let program = holdfast.to_str().context("the program's path is not UTF-8")?;
    let holdfast = Holdfast::serve(program, &["--resources-path", resources.path()]);
    let upstream = runtime.block_on(Upstream::working_for(Duration::ZERO));
    let upstream = ("port_value: 9000", port(&format!(":{}", upstream.port)));
    let start = |file, changes: &[(&str, String)]| {
        let changes = [std::slice::from_ref(&upstream), changes].concat();
        runtime.block_on(Envoy::start(file, &changes))
    };
    let grpc = ("port_value: 50001", port(&holdfast.grpc()));
    let named = "- name: holdfast\n            typed_config:";
    let disabled = (named, named.replace("typed", "disabled: true\n            typed"));
    let without = start("ext-proc.yaml", &[grpc.clone(), disabled]);
    let ext_proc = start("ext-proc.yaml", &[grpc]);
    let settings = filter_with(&json!({ "cluster": "holdfast", "locks": [{
        "name": "reports", "store": "lockstore", "resource": "{:path}", "ttl": "60s", "wait": "10s",
    }] }));
    let settings = settings.each_ref().map(|(from, to)| (from.as_str(), to.clone()));
    let http = ("port_value: 3500", port(&holdfast.http()));
    let filter = start("filter.yaml", &[&[http][..], &settings].concat());
    let (Some(without), Some(ext_proc), Some(filter)) = (without, ext_proc, filter) else {
        return Ok(());
    };
    let ways = [("Envoy's external processor", ext_proc), ("the wasm filter", filter)];
    for at_once in [1, AT_ONCE] {
        let envoys = [&without].into_iter().chain(ways.iter().map(|(_, envoy)| envoy));
        let turn = |envoy| {
            let runtime = &runtime;
            move |length| match at_once {
                1 => runtime.block_on(median(envoy, length)),
                _ => runtime.block_on(throughput(envoy, length)),
            }
        };
        let mut turns: Vec<_> = envoys.map(turn).collect();
        let turns = turns.iter_mut().map(|turn| turn as Turn<'_>).collect();
        let rates = rounds.run_all(turns)?;
        for ((way, _), ours) in ways.iter().zip(&rates[1..]) {
            if at_once == 1 {
                let what =
                    format!("p50 of a request through {way}, one connection / without a lock");
                table.call(&what, ours, &rates[0], "");
            } else {
                let what = format!("requests through {way}, {at_once} at once / without a lock");
                table.throughput(&what, ours, &rates[0], None);
            }
        }
    }
    Ok(())
}

/// The port of an address, as Envoy's configuration has it.
fn port(address: &str) -> String {
    format!("port_value: {}", address.rsplit(':').next().unwrap_or_default())
}

/// Sends requests one after the other for about `length`, and returns how many there would be per second if each took as
/// long as the median one.
async fn median(envoy: &Envoy, length: Duration) -> Result<f64> {
    let times = drive(envoy, Instant::now() + length).await?;
    Ok(1.0 / Spread::of(times).median)
}

/// Sends requests for about `length`, [`AT_ONCE`], and returns how many are answered per second.
async fn throughput(envoy: &Envoy, length: Duration) -> Result<f64> {
    let begun = Instant::now();
    let times = try_join_all((0..AT_ONCE).map(|_| drive(envoy, begun + length))).await?;
    let requests: f64 = times.iter().map(|times| times.len() as f64).sum();
    Ok(requests / begun.elapsed().as_secs_f64())
}

/// Sends requests with a lock each, one after the other until `end` and at least one, and returns the seconds that each
/// took.
async fn drive(envoy: &Envoy, end: Instant) -> Result<Vec<f64>> {
    static REQUESTS: AtomicU32 = AtomicU32::new(0);
    let mut times = Vec::new();
    while times.is_empty() || Instant::now() < end {
        let begun = Instant::now();
        let path = format!("/reports/{}", REQUESTS.fetch_add(1, Ordering::Relaxed));
        let answer = envoy.get(&path).send().await?;
        ensure!(answer.status() == 200, "status {}: {}", answer.status(), envoy.log());
        answer.bytes().await?;
        times.push(begun.elapsed().as_secs_f64());
    }
    Ok(times)
}
