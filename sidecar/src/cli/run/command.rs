//! The program that runs under a lock: a process group of its own, which may outlive its leader.

use std::{
    ffi::OsString,
    io,
    os::unix::process::CommandExt,
    process::{self, Child},
    time::Duration,
};

use rustix::{
    io::Errno,
    process::{
        Pid, Signal, WaitId, WaitIdOptions, kill_current_process_group, kill_process_group,
        test_kill_process_group, waitid,
    },
};
use tokio::{
    signal::unix::{self, SignalKind, signal},
    time::{Instant, sleep},
};

use super::{
    super::{exit, orphans},
    signals::{Signals, is_end},
    terminal::{self, Terminal},
};

/// How often to look whether processes are left in the group: nothing reports it.
const LOOK: Duration = Duration::from_millis(20);

/// How long processes that a program leaves behind may live before a warning.
const UNNOTICED: Duration = Duration::from_secs(2);

/// How long the system may take to end a process after SIGKILL.
const KILLED: Duration = Duration::from_secs(5);

/// A program that was started.
pub struct Command {
    name: String,
    leader: Child,
    group: Pid,
    /// The exit code of the leader, once it has ended.
    code: Option<u8>,
    /// Says that a child has ended or stopped.
    children: unix::Signal,
    terminal: Option<Terminal>,
    /// Whether remaining processes need no warning: they were reported, or are being ended.
    quiet: bool,
}

impl Command {
    /// Starts the program that these words name, with these variables set or removed. Fails with an exit code and the
    /// reason.
    pub fn start<const N: usize>(
        words: &[OsString],
        variables: [(&str, Option<String>); N],
    ) -> Result<Self, (u8, String)> {
        let [program, arguments @ ..] = words else {
            return Err((exit::NOT_FOUND, "COMMAND is missing".to_owned()));
        };
        if program.is_empty() {
            return Err((exit::NOT_FOUND, "COMMAND is empty".to_owned()));
        }
        let name = program.to_string_lossy().into_owned();
        let failed = |error: io::Error| {
            let code = match error.kind() {
                io::ErrorKind::NotFound => exit::NOT_FOUND,
                _ => exit::NOT_EXECUTABLE,
            };
            (code, format!("cannot start {name}: {error}"))
        };
        // Before there is a child.
        let children = signal(SignalKind::child()).map_err(failed)?;
        let mut command = process::Command::new(program);
        command.args(arguments).process_group(0);
        for (name, value) in variables {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        adopt_orphans();
        let leader = command.spawn().map_err(failed)?;
        let group = Pid::from_child(&leader);
        let terminal = Terminal::on_stdin();
        let quiet = false;
        let command = Self { name, leader, group, code: None, children, terminal, quiet };
        if let Some(terminal) = &command.terminal {
            terminal.give_at_start(group);
        }
        Ok(command)
    }

    /// The program.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Waits until no process of the group is left, and returns the exit code of its leader.
    pub async fn ended(&mut self) -> u8 {
        let code = self.leader_ended().await;
        let since = Instant::now();
        while !self.is_empty() {
            if !self.quiet && since.elapsed() > UNNOTICED {
                self.quiet = true;
                tracing::warn!(
                    "{} has ended, but not all processes that it started: the lock is held until they end",
                    self.name
                );
            }
            sleep(LOOK).await;
        }
        code
    }

    /// Ends the group: sends SIGTERM, and after `grace` SIGKILL to the processes that are left. Passes on signals that
    /// arrive meanwhile. `false`: some processes cannot be killed.
    pub async fn end(&mut self, grace: Duration, signals: &mut Signals) -> bool {
        self.quiet = true;
        self.send(Signal::TERM);
        // A stopped process would not learn of it.
        self.send(Signal::CONT);
        if self.ended_within(grace, signals).await {
            return true;
        }
        tracing::warn!("{} did not end within --grace {grace:?}: killing it", self.name);
        self.send(Signal::KILL);
        self.ended_within(KILLED, signals).await
    }

    /// Waits until no process of the group is left. `false`: a signal that ends a process came first. Passes signals
    /// on.
    pub async fn ended_unsignalled(&mut self, signals: &mut Signals) -> bool {
        loop {
            tokio::select! {
                biased;
                _code = self.ended() => return true,
                signal = signals.next() => {
                    self.pass_on(signal);
                    if is_end(signal) {
                        return false;
                    }
                }
            }
        }
    }

    async fn ended_within(&mut self, limit: Duration, signals: &mut Signals) -> bool {
        let too_late = sleep(limit);
        tokio::pin!(too_late);
        loop {
            tokio::select! {
                biased;
                _code = self.ended() => return true,
                () = &mut too_late => return false,
                signal = signals.next() => self.pass_on(signal),
            }
        }
    }

    /// Passes a signal on. One that stops the command stops this process, too: nobody would renew the lock of a command
    /// that goes on.
    pub fn pass_on(&self, signal: Signal) {
        if signal == Signal::TSTP && !terminal::has_shell() {
            return;
        }
        // A shell has continued this process, perhaps in the foreground.
        if signal == Signal::CONT
            && let Some(terminal) = &self.terminal
        {
            terminal.give(self.group);
        }
        self.send(signal);
        if signal == Signal::TSTP {
            terminal::stop();
        }
    }

    /// Sends a signal to the whole group.
    fn send(&self, signal: Signal) {
        match kill_process_group(self.group, signal) {
            Ok(()) | Err(Errno::SRCH) => {}
            Err(error) => {
                tracing::warn!("cannot send signal {} to {}: {error}", signal.as_raw(), self.name);
            }
        }
    }

    async fn leader_ended(&mut self) -> u8 {
        loop {
            self.reap_orphans();
            if let Some(code) = self.look() {
                return code;
            }
            self.children.recv().await;
        }
    }

    /// The state of the leader: its exit code, if it has ended.
    fn look(&mut self) -> Option<u8> {
        if self.code.is_some() {
            return self.code;
        }
        let leader = WaitId::Pid(self.group);
        let without_waiting = |what| waitid(leader.clone(), what | WaitIdOptions::NOHANG);
        if let Ok(None) = without_waiting(WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
            let stopped = without_waiting(WaitIdOptions::STOPPED).ok().flatten();
            if let Some(signal) = stopped.and_then(|status| status.stopping_signal()) {
                self.stopped(signal);
            }
            return None;
        }
        // The group surely exists until somebody has waited for its leader.
        if let Some(terminal) = &self.terminal {
            terminal.take_back(self.group);
        }
        let code = self.leader.wait().map_or_else(
            |error| {
                tracing::error!("cannot wait for {}: {error}", self.name);
                exit::RUN_FAILED
            },
            exit::code,
        );
        self.code = Some(code);
        self.code
    }

    /// Handles a leader that was stopped. If it stopped because it asked for the terminal, it gets the terminal if
    /// possible; if the terminal stopped it, this process and its group are stopped as well, so that the shell notices.
    fn stopped(&self, signal: i32) {
        let Some(terminal) = &self.terminal else { return };
        let asked = [Signal::TTIN, Signal::TTOU].map(Signal::as_raw).contains(&signal);
        if !asked && signal != Signal::TSTP.as_raw() {
            return;
        }
        if asked && terminal.is_ours() {
            terminal.give(self.group);
        }
        // The leader has the terminal that it asked for.
        if asked && terminal.is_with(self.group) || !terminal::has_shell() {
            self.send(Signal::CONT);
            return;
        }
        terminal.take_back(self.group);
        // Comes back as a signal to pass on. The process that continues this one sends SIGCONT, which is passed on as
        // well.
        if let Err(error) = kill_current_process_group(Signal::TSTP) {
            tracing::warn!(
                "{} is stopped, but this process cannot stop itself: {error}",
                self.name
            );
        }
    }

    /// Reaps orphans, of the group and of others.
    fn reap_orphans(&self) {
        orphans::reap(self.code.is_none().then_some(self.group));
    }

    /// Whether no process is left in the group. The leader must have ended.
    fn is_empty(&self) -> bool {
        self.reap_orphans();
        test_kill_process_group(self.group) == Err(Errno::SRCH)
    }
}

/// Makes this process adopt its orphaned descendants. The first process of a container might never reap them, and they
/// would stay in the group for ever.
fn adopt_orphans() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::set_child_subreaper(Some(rustix::process::getpid())) {
        tracing::warn!("cannot adopt orphaned processes: {error}");
    }
}
