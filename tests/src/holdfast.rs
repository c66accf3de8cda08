//! The program `holdfast`, run by a test.

use std::{
    env,
    io::{BufRead, BufReader, Read},
    process::{Command, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    LONG,
    process::{Watched, suspend},
};

/// The program's log names the HTTP API's address last, when everything listens.
const READY: &str = "listening on http://";

/// A running `holdfast serve`, which is killed when this is dropped and when the test's process ends.
pub struct Holdfast {
    log: Log,
    client: reqwest::Client,
    process: Watched,
}

/// The program without arguments. Its environment has no variable that sets an option.
pub fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy();
        let ours = ["DAPR_", "HOLDFAST_"].iter().any(|prefix| name.starts_with(prefix));
        if ours || ["APP_ID", "NAMESPACE", "NOTIFY_SOCKET"].contains(&&*name) {
            command.env_remove(&*name);
        }
    }
    command
}

/// A program and its first arguments, which run a command in the folder and the environment of that command.
pub fn within(mut outer: Command, arguments: &[&str], command: &Command) -> Command {
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        outer.current_dir(folder);
    }
    outer.args(arguments).arg(command.get_program()).args(command.get_args());
    outer
}

/// `holdfast serve` on free ports of 127.0.0.1.
pub fn serve(program: &str) -> Command {
    let mut command = command(program);
    command.args(["serve", "--dapr-http-port", "0", "--dapr-grpc-port", "0"]);
    command.args(["--metrics-port", "0", "--metrics-listen-address", "127.0.0.1"]);
    command
}

impl Holdfast {
    /// Starts a command and does not wait until it is ready. Signals are as a shell in the foreground leaves them: the
    /// parent of the tests may ignore some, as nohup does.
    ///
    /// # Panics
    ///
    /// When it cannot be run.
    pub fn start(command: Command) -> Self {
        let mut command = within(Command::new("/usr/bin/env"), &["--default-signal"], &command);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = Watched::start(command);
        let log = Log::of(process.process_mut().stderr.take().expect("a pipe"));
        Self { log, client: reqwest::Client::new(), process }
    }

    /// Starts a command and waits until it is ready.
    ///
    /// # Panics
    ///
    /// When it ends before, or takes more than a minute; the message includes its log.
    pub fn start_ready(command: Command) -> Self {
        let holdfast = Self::start(command);
        holdfast.wait_for(READY);
        holdfast
    }

    /// Starts [`serve`] with further arguments, and waits until it is ready.
    ///
    /// # Panics
    ///
    /// As [`start_ready`](Self::start_ready).
    pub fn serve(program: &str, arguments: &[&str]) -> Self {
        Self::serve_in(&[], program, arguments)
    }

    /// Starts [`serve`] with further arguments and environment variables, and waits until it is ready.
    ///
    /// # Panics
    ///
    /// As [`start_ready`](Self::start_ready).
    pub fn serve_in(environment: &[(&str, &str)], program: &str, arguments: &[&str]) -> Self {
        let mut command = serve(program);
        command.args(arguments).envs(environment.iter().copied());
        Self::start_ready(command)
    }

    /// The process's id.
    pub fn id(&self) -> u32 {
        self.process.process().id()
    }

    /// The `host:port` of the HTTP API.
    ///
    /// # Panics
    ///
    /// When the log does not name it within a minute.
    pub fn http(&self) -> String {
        self.address(READY)
    }

    /// The `host:port` of the gRPC API.
    ///
    /// # Panics
    ///
    /// When the log does not name it within a minute.
    pub fn grpc(&self) -> String {
        self.address("listening on grpc://")
    }

    /// The `host:port` of the public port.
    ///
    /// # Panics
    ///
    /// When the log does not name it within a minute.
    pub fn public(&self) -> String {
        self.address("without a token on http://")
    }

    /// The `host:port` of the operator API.
    ///
    /// # Panics
    ///
    /// When the log does not name it within a minute.
    pub fn operators(&self) -> String {
        self.address("serving the operator API on http://")
    }

    /// The `host:port` of the metrics.
    ///
    /// # Panics
    ///
    /// When the log does not name it within a minute.
    pub fn metrics(&self) -> String {
        self.address("metrics on http://")
    }

    /// The `host:port` after these words in the log.
    fn address(&self, words: &str) -> String {
        let line = self.wait_for(words);
        let (_, address) = line.split_once(words).expect("the words");
        address.split([' ', '"', '/']).next().expect("at least one part").to_owned()
    }

    /// The log so far.
    pub fn log(&self) -> String {
        self.log.text()
    }

    /// The first line of the log with these words, which may still have to be written.
    ///
    /// # Panics
    ///
    /// When there is no such line within a minute or before the process ends; the message includes the log.
    pub fn wait_for(&self, words: &str) -> String {
        self.log.wait_for(words)
    }

    /// Sends SIGTERM and waits for the end, without blocking the runtime: the exit code and the log.
    ///
    /// # Panics
    ///
    /// When the process does not end within a minute, or by a signal.
    pub async fn end(mut self) -> (i32, String) {
        let ended = tokio::task::spawn_blocking(move || (self.end_by(Signal::TERM), self.log()));
        let (code, log) = ended.await.expect("an end");
        (code.expect("an exit code"), log)
    }

    /// Sends a signal.
    ///
    /// # Panics
    ///
    /// When the process has ended.
    pub fn signal(&mut self, signal: Signal) {
        kill_process(Pid::from_child(self.process.process_mut()), signal)
            .expect("a running process");
    }

    /// Has the process stand still (SIGSTOP). SIGCONT lets it go on.
    ///
    /// # Panics
    ///
    /// When it has ended.
    pub fn suspend(&mut self) {
        suspend(Pid::from_child(self.process.process_mut())).expect("a running process");
    }

    /// Sends a signal and waits for the end: the exit code, if it is not a signal that ends the process.
    ///
    /// # Panics
    ///
    /// When the process does not end within a minute.
    pub fn end_by(&mut self, signal: Signal) -> Option<i32> {
        self.signal(signal);
        self.wait()
    }

    /// As [`end_by`](Self::end_by), but sends the signal until the end: a second one counts only some time after the
    /// first.
    ///
    /// # Panics
    ///
    /// When the process does not end within a minute.
    pub fn end_by_many(&mut self, signal: Signal) -> Option<i32> {
        let begun = Instant::now();
        while !self.log.has_ended() && begun.elapsed() < LONG {
            self.signal(signal);
            thread::sleep(Duration::from_millis(50));
        }
        self.wait()
    }

    /// Waits for the end: the exit code, if it is not a signal that ends the process.
    ///
    /// # Panics
    ///
    /// When the process does not end within a minute.
    pub fn wait(&mut self) -> Option<i32> {
        self.log.wait_for_end();
        self.process.process_mut().wait().expect("an end").code()
    }

    /// Gets the metrics, as Prometheus does.
    ///
    /// # Panics
    ///
    /// When there are none.
    pub async fn scrape(&self) -> String {
        let reply = self.client.get(format!("http://{}/metrics", self.metrics())).send().await;
        let reply = reply.expect("a reply");
        assert_eq!(reply.status(), 200);
        reply.text().await.expect("a body")
    }

    /// Posts a body to the HTTP API: the status and the body of the reply.
    ///
    /// # Panics
    ///
    /// When there is no reply.
    pub async fn post(&self, path: &str, body: impl Into<String>) -> (u16, String) {
        let request = self.client.post(format!("http://{}{path}", self.http()));
        let reply = request.body(body.into()).send().await.expect("a reply");
        let status = reply.status().as_u16();
        (status, reply.text().await.expect("a body"))
    }

    /// Makes a try-lock: the body of the reply.
    ///
    /// # Panics
    ///
    /// When the status is not 200.
    pub async fn try_lock(&self, store: &str, resource: &str, owner: &str, expiry: i32) -> String {
        let body = format!(
            r#"{{"resourceId":"{resource}","lockOwner":"{owner}","expiryInSeconds":{expiry}}}"#
        );
        self.ok(&format!("/v1.0-alpha1/lock/{store}"), body).await
    }

    /// Makes an unlock: the body of the reply.
    ///
    /// # Panics
    ///
    /// When the status is not 200.
    pub async fn unlock(&self, store: &str, resource: &str, owner: &str) -> String {
        let body = format!(r#"{{"resourceId":"{resource}","lockOwner":"{owner}"}}"#);
        self.ok(&format!("/v1.0-alpha1/unlock/{store}"), body).await
    }

    async fn ok(&self, path: &str, body: String) -> String {
        let (status, body) = self.post(path, body).await;
        assert_eq!(status, 200, "{body}");
        body
    }
}

/// The stderr of a process. A thread of its own reads it to the end, so that the process never waits for a reader.
#[derive(Clone, Default)]
struct Log(Arc<(Mutex<Written>, Condvar)>);

#[derive(Default)]
struct Written {
    text: String,
    ended: bool,
}

impl Log {
    fn of(stderr: impl Read + Send + 'static) -> Self {
        let log = Self::default();
        let write = log.clone();
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                write.change(|written| written.text += &(line + "\n"));
            }
            write.change(|written| written.ended = true);
        });
        log
    }

    fn text(&self) -> String {
        self.lock().text.clone()
    }

    fn wait_for(&self, words: &str) -> String {
        let find = |written: &Written| {
            written.text.lines().find(|line| line.contains(words)).map(str::to_owned)
        };
        let written = self.wait_while(|written| find(written).is_none() && !written.ended);
        find(&written).unwrap_or_else(|| panic!("no {words:?} in the log:\n{}", written.text))
    }

    fn has_ended(&self) -> bool {
        self.lock().ended
    }

    fn wait_for_end(&self) {
        let written = self.wait_while(|written| !written.ended);
        assert!(written.ended, "the process does not end:\n{}", written.text);
    }

    /// Waits until the condition does not hold any more, but no longer than a minute.
    fn wait_while(&self, condition: impl Fn(&Written) -> bool) -> MutexGuard<'_, Written> {
        let (_, changed) = &*self.0;
        let waited = changed.wait_timeout_while(self.lock(), LONG, |written| condition(written));
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn change(&self, change: impl FnOnce(&mut Written)) {
        change(&mut self.lock());
        self.0.1.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Written> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
