//! The Worker of `examples/workers/` in workerd, for one test.

use std::{
    env, fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, OnceLock},
};

use crate::{prepared, repository, sdk::Running};

/// workerd's program, as npm's package for this machine has it.
fn program(made: &Path) -> PathBuf {
    let package = match env::consts::ARCH {
        "x86_64" => "workerd-linux-64",
        _ => "workerd-linux-arm64",
    };
    made.join("node_modules/@cloudflare").join(package).join("bin/workerd")
}

/// A workerd that runs until it is dropped, and never longer than the test's process.
pub struct Workerd {
    address: SocketAddr,
    /// In a mutex so that threads can share this: only one thread may receive its lines.
    _process: Mutex<Running>,
}

impl Workerd {
    /// The folder of the example with the transpiled lock component, if `cargo xtask test` prepared it. Else says that
    /// the test is skipped.
    ///
    /// # Panics
    ///
    /// When the component cannot be transpiled.
    pub fn prepared() -> Option<&'static Path> {
        static MADE: OnceLock<Option<PathBuf>> = OnceLock::new();
        let made = MADE.get_or_init(|| {
            let made = prepared("HOLDFAST_HOST_WORKERD", "lock component's host workerd")?;
            let component = made.join("lock.wasm");
            fs::write(&component, holdfast::COMPONENT).expect("a file");
            let mut transpile = Command::new("node");
            transpile.arg("transpile.mjs").arg(component).current_dir(&made);
            assert_eq!(Running::start(transpile).output(), "");
            Some(made)
        });
        made.as_deref()
    }

    /// Serves the example as it is, with these variables, and keeps its locks in this folder.
    pub fn start(made: &Path, locks: &Path, environment: &[(&str, &str)]) -> Self {
        Self::serve(made, &made.join("workerd.capnp"), locks, environment)
    }

    /// Serves the example's store, as `tests/workers/door.mjs` does.
    pub fn start_door(made: &Path, locks: &Path) -> Self {
        Self::serve(made, &repository("tests/workers/door.capnp"), locks, &[])
    }

    fn serve(made: &Path, config: &Path, locks: &Path, environment: &[(&str, &str)]) -> Self {
        let mut command = Command::new(program(made));
        command.arg("serve").arg("--import-path").arg(made).arg(config);
        command.arg("--directory-path").arg(format!("disk={}", locks.display()));
        // It prints its address on its standard output.
        command.args(["--socket-addr", "http=127.0.0.1:0", "--control-fd", "1"]);
        for name in ["APP_ID", "KEY_PREFIX", "STORE_NAME", "HOLDFAST_STORES", "DAPR_API_TOKEN"] {
            command.env_remove(name);
        }
        command.envs(environment.iter().copied());
        let process = Running::start(command);
        let event: serde_json::Value = loop {
            if let Ok(event) = serde_json::from_str(&process.read_line()) {
                break event;
            }
        };
        let port = event["port"].as_u64().and_then(|port| u16::try_from(port).ok());
        let port = port.unwrap_or_else(|| panic!("{event}"));
        Self { address: (Ipv4Addr::LOCALHOST, port).into(), _process: Mutex::new(process) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}
