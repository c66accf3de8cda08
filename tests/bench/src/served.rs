//! The cost of a request for the process `holdfast serve`, with its store in Redis: requests per second of its own
//! processor time. The clients run in this process and do not count.

use std::{fs, net::SocketAddr, path::Path, time::Duration};

use anyhow::{Context, Result};
use holdfast_tests::{holdfast::Holdfast, redis_server::RedisServer, resources::Resources};
use tokio::runtime::Runtime;

use crate::{
    client::{grpc, http},
    native::BareRedis,
    redis_locks::{Bare, median_acquire},
    rounds::{Rounds, Turn},
    table::Table,
};

/// How many connections there are over HTTP, each with one request at a time.
const HTTP: [usize; 4] = [1, 16, 64, 256];

/// How many calls there are at a time over gRPC, on one connection.
const GRPC: [usize; 3] = [1, 16, 64];

/// Measures the requests, and adds the rows. `against` is another build of the program.
pub fn measure(
    rounds: Rounds,
    program: &Path,
    against: Option<&Path>,
    table: &mut Table,
) -> Result<()> {
    let redis = RedisServer::start();
    let folder = Resources::in_redis(&redis, &[]);
    let programs: Vec<_> = [Some(program), against].into_iter().flatten().collect();
    let served = programs.iter().map(|program| Served::start(program, &folder));
    let served = served.collect::<Result<Vec<_>>>()?;
    let clients = Runtime::new()?;

    for connections in HTTP {
        let what = format!("HTTP requests a CPU second of `serve`, {connections} at once");
        let connect =
            async |served: &Served| http::Client::connect(served.http()?, connections).await;
        let drive = async |client: &mut http::Client, length| client.drive(length).await;
        compare(rounds, &clients, &served, connect, drive, &what, table)?;
    }
    for calls in GRPC {
        let what = format!("gRPC calls a CPU second of `serve`, {calls} at once");
        let connect = async |served: &Served| grpc::Client::connect(served.grpc()?, calls).await;
        let drive = async |client: &mut grpc::Client, length| client.drive(length).await;
        compare(rounds, &clients, &served, connect, drive, &what, table)?;
    }

    let bare = Bare(clients.block_on(BareRedis::connect(&redis.address(), true))?);
    for (number, served) in served.iter().enumerate() {
        let mut client = clients.block_on(http::Client::connect(served.http()?, 1))?;
        let [median, least] = rounds.run([
            &mut |length| clients.block_on(client.median_try_lock(length)),
            &mut |length| median_acquire(&clients, length, &bare),
        ])?;
        let other = if number == 0 { "" } else { " by the other program" };
        let what = format!("median try-lock over HTTP{other}, 1 at a time / bare SET NX PX");
        table.call(&what, &median, &least, "");
    }
    Ok(())
}

/// Connects a client to each of one or two programs, and measures the cost of its requests.
fn compare<C>(
    rounds: Rounds,
    clients: &Runtime,
    served: &[Served],
    connect: impl AsyncFn(&Served) -> Result<C>,
    drive: impl AsyncFn(&mut C, Duration) -> Result<u32>,
    what: &str,
    table: &mut Table,
) -> Result<()> {
    let open = served.iter().map(|served| clients.block_on(connect(served)));
    let mut open = open.collect::<Result<Vec<_>>>()?;
    let turns = served.iter().zip(&mut open).map(|(served, client)| {
        |length| served.per_cpu_second(|| clients.block_on(drive(client, length)))
    });
    let mut turns: Vec<_> = turns.collect();
    let turns: Vec<Turn<'_>> = turns.iter_mut().map(|turn| turn as Turn<'_>).collect();
    match rounds.run_all(turns)?.as_slice() {
        [ours, theirs] => table.throughput(what, ours, theirs, None),
        [ours, ..] => table.rate(what, ours),
        [] => {}
    }
    Ok(())
}

/// A running program.
struct Served(Holdfast);

impl Served {
    fn start(program: &Path, folder: &Resources) -> Result<Self> {
        let program = program.to_str().context("the program's path is not UTF-8")?;
        let arguments = ["--app-id", crate::workload::APP_ID, "--resources-path", folder.path()];
        Ok(Self(Holdfast::serve(program, &arguments)))
    }

    fn http(&self) -> Result<SocketAddr> {
        Ok(self.0.http().parse()?)
    }

    fn grpc(&self) -> Result<SocketAddr> {
        Ok(self.0.grpc().parse()?)
    }

    /// The requests that `work` made, per second of the processor time that they cost the program.
    fn per_cpu_second(&self, work: impl FnOnce() -> Result<u32>) -> Result<f64> {
        let before = self.processor_time()?;
        let requests = work()?;
        let spent = self.processor_time()?.saturating_sub(before);
        Ok(f64::from(requests) / spent.as_secs_f64())
    }

    /// The time for which the program's threads ran, by the scheduler's own accounting.
    fn processor_time(&self) -> Result<Duration> {
        let mut nanoseconds = 0;
        for thread in fs::read_dir(format!("/proc/{}/task", self.0.id()))? {
            let statistics = fs::read_to_string(thread?.path().join("schedstat"))?;
            let ran = statistics.split(' ').next().context("no time in schedstat")?;
            nanoseconds += ran.parse::<u64>()?;
        }
        Ok(Duration::from_nanos(nanoseconds))
    }
}
