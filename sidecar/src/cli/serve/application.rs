//! The application that `serve` starts beside itself, as `dapr run` does.

use std::{
    ffi::OsString,
    future::pending,
    io::{self, IsTerminal},
    path,
    process::ExitCode,
    time::Instant,
};

use anyhow::{Context, Result, bail};
use rustix::{
    io::Errno,
    process::{Pid, Signal, getpid, kill_process, kill_process_group},
};
use tokio::{
    process::{Child, Command},
    signal::unix::{self, SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

use super::{
    super::{
        argument_error::ArgumentError,
        exit, orphans,
        signals::{self, Request, Requests, Signals},
    },
    descriptors::OpenFiles,
    listen::Listening,
    token::ADMIN_TOKEN,
};

/// Dapr's variables with the port and the URL of an API.
const HTTP: (&str, &str) = ("DAPR_HTTP_PORT", "DAPR_HTTP_ENDPOINT");
const GRPC: (&str, &str) = ("DAPR_GRPC_PORT", "DAPR_GRPC_ENDPOINT");

/// An application, or none.
pub struct Application {
    child: Option<Child>,
    /// Says that a child has ended, in the first process of a container: it adopts all orphans.
    children: Option<unix::Signal>,
}

/// Why the server ends.
pub enum End {
    /// The server was asked to end, or the application has ended. The code is the application's, if there is one.
    InOrder {
        code: ExitCode,
        /// Whether a signal has asked.
        by_signal: bool,
    },
    /// The server was asked a second time before the application had ended, and killed the application. The code says
    /// so.
    AtOnce { code: ExitCode },
}

impl Application {
    /// Starts the application that these words name, if there are any. It is killed when this is dropped. Its limit of
    /// open files is the one from before this process raised its own.
    pub fn start(
        words: &[OsString],
        environment: Vec<(&str, String)>,
        open_files: OpenFiles,
    ) -> Result<Self> {
        let children = (getpid() == Pid::INIT).then(|| signal(SignalKind::child()));
        let children = children.transpose().context("cannot notice the end of processes")?;
        let [program, arguments @ ..] = words else { return Ok(Self { child: None, children }) };
        if program.is_empty() {
            bail!(ArgumentError("the command after -- is empty".to_owned()));
        }
        let mut command = Command::new(program);
        command.args(arguments).kill_on_drop(true);
        // Those of another server would lead there, where this one has sockets in place of ports.
        for (port, endpoint) in [HTTP, GRPC] {
            command.env_remove(port).env_remove(endpoint);
        }
        command.envs(environment);
        // A program that may take locks need not be allowed to end the holds of others.
        command.env_remove(ADMIN_TOKEN);
        let name = program.to_string_lossy();
        let child = open_files.restore_for(|| command.spawn());
        let child = child.with_context(|| format!("cannot start {name}"))?;
        tracing::info!(pid = child.id(), "started {name}");
        Ok(Self { child: Some(child), children })
    }

    /// Waits for the end: of the application, or a signal or `shutdown` if there is none. Signals are passed on
    /// to the application, which `shutdown` asks to end as SIGTERM does. Calls `begun` once the first of these happens.
    pub async fn end(
        &mut self,
        signals: &mut Signals,
        requests: &mut Requests,
        shutdown: &CancellationToken,
        begun: impl Fn(),
    ) -> End {
        let (mut by_caller, mut by_signal) = (false, false);
        loop {
            tokio::select! {
                code = ended(&mut self.child) => {
                    if !by_caller && !by_signal {
                        begun();
                    }
                    return End::InOrder { code, by_signal };
                }
                () = next(&mut self.children) => orphans::reap(self.pid()),
                () = shutdown.cancelled(), if !by_caller && !by_signal => {
                    note_request();
                    by_caller = true;
                    begun();
                    self.send(Signal::TERM);
                }
                signal = signals.any() => {
                    if !signals::is_end(signal) {
                        self.pass_on(signal);
                        continue;
                    }
                    match requests.take(signal, Instant::now()) {
                        Request::Second => return End::AtOnce { code: self.kill() },
                        // The application was asked to end.
                        Request::New if by_caller => signals::note_end(),
                        Request::New => {
                            by_signal = true;
                            if !by_caller {
                                begun();
                            }
                            self.pass_on(signal);
                        }
                        Request::Repeated => {}
                    }
                }
            }
            if (by_caller || by_signal) && self.child.is_none() {
                return End::InOrder { code: ExitCode::SUCCESS, by_signal };
            }
        }
    }

    fn pass_on(&self, signal: Signal) {
        // A terminal sends these to both.
        if [Signal::INT, Signal::QUIT].contains(&signal) && io::stdin().is_terminal() {
            return;
        }
        // Without a handler it would dump the memory of the application.
        let signal = if signal == Signal::QUIT { Signal::TERM } else { signal };
        if self.child.is_some() {
            self.send(signal);
        } else if !signals::is_end(signal) {
            signals::note(signal);
        }
    }

    /// Kills the application, if there is one, with the process group that it leads, if it leads one. It shares the
    /// group of this process unless it has made its own: a terminal or a supervisor that signals the group means both.
    /// Returns the exit code.
    fn kill(&self) -> ExitCode {
        let Some(pid) = self.pid() else { return ExitCode::FAILURE };
        let killed = match kill_process_group(pid, Signal::KILL) {
            // It leads no group.
            Err(Errno::SRCH) => kill_process(pid, Signal::KILL),
            killed => killed,
        };
        if let Err(error) = killed {
            tracing::warn!("cannot kill the application: {error}");
        }
        ExitCode::from(exit::by_signal(Signal::KILL.as_raw()))
    }

    /// Its process; `None` once it has ended.
    fn pid(&self) -> Option<Pid> {
        let id = self.child.as_ref().and_then(Child::id)?;
        i32::try_from(id).ok().and_then(Pid::from_raw)
    }

    fn send(&self, signal: Signal) {
        let Some(pid) = self.pid() else { return };
        match kill_process(pid, signal) {
            Ok(()) => tracing::info!("passed a signal on to the application"),
            Err(error) => tracing::warn!("cannot send a signal to the application: {error}"),
        }
    }
}

async fn ended(child: &mut Option<Child>) -> ExitCode {
    let Some(child) = child else { return pending().await };
    match child.wait().await {
        Ok(status) => {
            tracing::info!("the application has ended: {status}");
            ExitCode::from(exit::code(status))
        }
        Err(error) => {
            tracing::error!("cannot wait for the application: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn next(children: &mut Option<unix::Signal>) {
    if let Some(children) = children {
        children.recv().await;
    } else {
        pending().await
    }
}

/// Logs that a caller has asked for the shutdown.
pub fn note_request() {
    tracing::info!("shutdown requested over HTTP");
}

/// Dapr's variables for the application: the addresses of the APIs.
pub fn environment(app_id: &str, [http, grpc]: [&Listening; 2]) -> Vec<(&'static str, String)> {
    let mut variables = Vec::new();
    if !app_id.is_empty() {
        variables.push(("APP_ID", app_id.to_owned()));
    }
    for ((port, endpoint), listening) in [(HTTP, http), (GRPC, grpc)] {
        let Some(address) = listening.addresses.first() else { continue };
        if let Some(path) = address.strip_prefix("+unix://") {
            // After `unix://` there has to be an absolute one. Without a current folder, a relative one leads nowhere.
            let path = path::absolute(path).unwrap_or_else(|_| path.into());
            variables.push((endpoint, format!("unix://{}", path.display())));
        } else if let Some((_, number)) = address.rsplit_once(':') {
            variables.push((port, number.to_owned()));
            variables.push((endpoint, format!("http{}", reachable(address))));
        }
    }
    variables
}

/// An address to which a client can connect, as a URL has it: a wildcard stands for the loopback address, and the
/// percent sign before a zone is escaped.
fn reachable(address: &str) -> String {
    let address = address.replace("://0.0.0.0:", "://127.0.0.1:").replace("://[::]:", "://[::1]:");
    address.replace('%', "%25")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_application_gets_addresses_that_a_client_can_use() {
        for (address, expected) in [
            ("://127.0.0.1:3500", "://127.0.0.1:3500"),
            ("://0.0.0.0:3500", "://127.0.0.1:3500"),
            ("://[::]:3500", "://[::1]:3500"),
            ("://[fe80::1%2]:3500", "://[fe80::1%252]:3500"),
        ] {
            assert_eq!(reachable(address), expected);
        }
    }
}
