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
    rounds::{Rounds, Turn},
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
        let mut turns: Vec<_> =
            envoys.map(|envoy| |length| runtime.block_on(drive(envoy, at_once, length))).collect();
        let turns = turns.iter_mut().map(|turn| turn as Turn<'_>).collect();
        let rates = rounds.run_all(turns)?;
        for ((way, _), ours) in ways.iter().zip(&rates[1..]) {
            if at_once == 1 {
                let what = format!("a request through {way} / without a lock");
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

/// Sends requests with a lock each for about `length`, so many at once, and returns how many are answered per second.
async fn drive(envoy: &Envoy, at_once: usize, length: Duration) -> Result<f64> {
    static REQUESTS: AtomicU32 = AtomicU32::new(0);
    let end = Instant::now() + length;
    let one = || async {
        let mut requests = 0;
        while Instant::now() < end {
            let path = format!("/reports/{}", REQUESTS.fetch_add(1, Ordering::Relaxed));
            let answer = envoy.get(&path).send().await?;
            ensure!(answer.status() == 200, "status {}: {}", answer.status(), envoy.log());
            answer.bytes().await?;
            requests += 1;
        }
        Ok(requests)
    };
    let begun = Instant::now();
    let counts: Vec<u32> = try_join_all((0..at_once).map(|_| one())).await?;
    let seconds = begun.elapsed().as_secs_f64();
    Ok(f64::from(counts.iter().sum::<u32>()) / seconds)
}
