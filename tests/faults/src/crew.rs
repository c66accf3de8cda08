//! The worker processes of a run.

use std::{
    env,
    io::{BufRead, BufReader},
    process::{ChildStdin, ChildStdout, Command, Stdio},
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail};
use holdfast_tests::process::{Watched, suspend};
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    history::{Broken, Nanos, ms, now},
    record::Record,
};

/// The time limits of the workers' stores. The others are the defaults.
const SETTINGS: [&str; 6] = [
    "readTimeout=1s",
    "dialTimeout=1s",
    "poolTimeout=2s",
    "poolSize=2",
    "redisMinRetryInterval=20ms",
    "redisMaxRetryInterval=100ms",
];

/// How long a worker waits for a reply with these settings.
pub const PATIENCE: Nanos = ms(1_000);

/// How long a call may take with these settings: four tries, each with a wait for a connection, a wait for the
/// reply and one for the next try, and some seconds for a machine under load.
pub const CALL_LIMIT: Nanos = ms(4 * (2_000 + 1_000 + 100) + 3_000);

/// How long a worker may take to end: its last call, and five seconds to close the store.
const ENDING: Duration = Duration::from_nanos(CALL_LIMIT + ms(7_000));

/// How long to wait until a worker has calls under way.
const BUSY: Duration = Duration::from_secs(1);

/// How the workers of a run are started.
pub struct Plan {
    /// The beginning of the command line: a program that starts a worker elsewhere.
    pub launcher: Vec<String>,
    /// More of the workers' environment.
    pub environment: Vec<(String, String)>,
    /// The `host:port` of each server that the workers get, separated by commas.
    pub address: String,
    /// The addresses for every third worker.
    pub third: String,
    /// More settings of the workers' stores.
    pub settings: Vec<String>,
    /// How many workers there are.
    pub workers: u32,
    /// How many tasks each has.
    pub tasks: u32,
    /// How many keys there are.
    pub keys: usize,
    /// The seed of their choices.
    pub seed: u64,
}

/// Worker processes.
pub struct Crew {
    plan: Plan,
    record: Arc<Record>,
    members: Vec<Member>,
    started: u32,
}

struct Member {
    number: u32,
    process: Watched,
    /// The worker stops when this is closed.
    input: ChildStdin,
    reader: JoinHandle<Result<()>>,
}

impl Crew {
    /// Starts the workers.
    pub fn start(plan: Plan, record: Arc<Record>) -> Result<Self> {
        let mut crew = Self { plan, record, members: Vec::new(), started: 0 };
        for _ in 0..crew.plan.workers {
            crew.add()?;
        }
        Ok(crew)
    }

    /// How many workers there are.
    pub fn size(&self) -> usize {
        self.members.len()
    }

    /// Kills a worker that has calls under way, and starts another one. Returns how many calls there were.
    pub fn replace(&mut self, index: usize) -> Result<usize> {
        let Member { number, process, reader, .. } = self.members.swap_remove(index);
        let deadline = Instant::now() + BUSY;
        while self.record.pending(number) == 0 && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
        drop(process);
        joined(reader)?;
        let pending = self.record.pending(number);
        self.record.died(number);
        self.add()?;
        Ok(pending)
    }

    /// Lets a worker stand still for a while (SIGSTOP).
    pub fn stop(&self, index: usize, length: Duration) -> Result<()> {
        let Member { number, process, .. } = &self.members[index];
        let start = now();
        let process = Pid::from_child(process.process());
        suspend(process).context("SIGSTOP")?;
        thread::sleep(length);
        kill_process(process, Signal::CONT).context("SIGCONT")?;
        self.record.broken(Broken::Stopped(*number), start);
        Ok(())
    }

    /// Stops all workers and waits for them. A worker that does not stop is killed, and its calls stay without an
    /// answer.
    pub fn finish(self) -> Result<()> {
        let mut ending = Vec::new();
        for Member { number, process, input, reader } in self.members {
            drop(input);
            ending.push((number, process, reader));
        }
        let deadline = Instant::now() + ENDING;
        for (number, mut process, reader) in ending {
            let status = loop {
                match process.process_mut().try_wait().context("a worker's status")? {
                    None if Instant::now() < deadline => thread::sleep(Duration::from_millis(10)),
                    status => break status,
                }
            };
            drop(process);
            joined(reader)?;
            match status {
                None => eprintln!("faults: worker {number} did not end"),
                Some(status) if !status.success() => bail!("worker {number} failed ({status})"),
                Some(_) => {}
            }
        }
        Ok(())
    }

    fn add(&mut self) -> Result<()> {
        let number = self.started;
        self.started += 1;
        let mut process = Watched::start(self.command(number)?);
        let pipes = process.process_mut();
        let input = pipes.stdin.take().context("no pipe to the worker")?;
        let output = pipes.stdout.take().context("no pipe from the worker")?;
        let record = self.record.clone();
        let reader = thread::spawn(move || read(output, &record));
        self.members.push(Member { number, process, input, reader });
        Ok(())
    }

    fn command(&self, number: u32) -> Result<Command> {
        let Plan { launcher, environment, tasks, keys, seed, .. } = &self.plan;
        let Plan { address, third, settings, .. } = &self.plan;
        let address = if number % 3 == 2 { third } else { address };
        let this = env::current_exe().context("cannot find this program")?;
        let mut words = launcher.iter();
        let mut command = match words.next() {
            Some(program) => {
                let mut command = Command::new(program);
                command.args(words).arg(this);
                command
            }
            None => Command::new(this),
        };
        command.envs(environment.iter().cloned());
        let seed = seed.wrapping_add(u64::from(number) << 32);
        command.args(["worker", "--address", address]);
        command.args(["--process", &number.to_string(), "--tasks", &tasks.to_string()]);
        command.args(["--keys", &keys.to_string(), "--seed", &seed.to_string()]);
        // The run must show both single tries that fail and calls of several tries.
        let retries =
            if number.is_multiple_of(2) { "redisMaxRetries=3" } else { "redisMaxRetries=-1" };
        let more = settings.iter().map(String::as_str);
        let settings = SETTINGS.into_iter().chain([retries]).chain(more);
        command.args(settings.flat_map(|setting| ["--setting", setting]));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        Ok(command)
    }
}

/// Reads the calls of a worker until it ends.
fn read(output: ChildStdout, record: &Record) -> Result<()> {
    let mut output = BufReader::new(output);
    let mut line = String::new();
    loop {
        line.clear();
        output.read_line(&mut line).context("a worker's output")?;
        // A worker that is killed may leave the beginning of a line.
        if !line.ends_with('\n') {
            return Ok(());
        }
        record.event(serde_json::from_str(&line).with_context(|| line.clone())?);
    }
}

fn joined(reader: JoinHandle<Result<()>>) -> Result<()> {
    reader.join().map_err(|_| anyhow!("a reader panicked"))?
}
