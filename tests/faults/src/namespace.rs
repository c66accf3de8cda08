//! Network namespaces: one for the driver and all that it starts, and one for the workers of a run that are to
//! be cut off from their server. Needs `unshare`, `nsenter` and `ip`.
//!
//! A machine silently drops a frame whose Ethernet address is wrong. The driver cuts a wire in this way, in one
//! direction or both.

use std::{
    env, fs,
    io::Error,
    os::unix::process::CommandExt,
    process::{Command, Stdio},
    sync::atomic::{AtomicU8, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use holdfast_tests::process::Watched;

/// Set in the driver's own namespace.
const INSIDE: &str = "HOLDFAST_FAULTS_NAMESPACE";

/// The ways to a namespace: of root, and of users where the kernel lets them.
const UNSHARE: [&[&str]; 2] = [&["--net"], &["--user", "--map-root-user", "--net"]];

/// An Ethernet address that nobody has.
pub const NOBODY: &str = "02:00:00:00:00:99";

static MADE: AtomicU8 = AtomicU8::new(0);

/// Whether this process is in a namespace of its own.
pub fn inside() -> bool {
    env::var_os(INSIDE).is_some()
}

/// Runs this program again in a namespace of its own, if it is in none and the system lets it. Returns why not.
pub fn enter() -> Result<()> {
    if inside() {
        return run(Command::new("ip").args(["link", "set", "lo", "up"]));
    }
    let this = env::current_exe().context("cannot find this program")?;
    for way in UNSHARE {
        let makes_a_link = "ip link add name near type veth peer name far && nsenter --version";
        let mut attempt = Command::new("unshare");
        attempt.args(way).args(["sh", "-c", makes_a_link]);
        if run(&mut attempt).is_ok() {
            let mut again = Command::new("unshare");
            again.args(way).arg(&this).args(env::args_os().skip(1)).env(INSIDE, "1");
            return Err(again.exec()).context("unshare");
        }
    }
    bail!("this system allows no network namespaces, or has no `unshare`, `nsenter` or `ip`")
}

/// A namespace that a virtual wire joins to the driver's.
pub struct Namespace {
    number: u8,
    /// Keeps the namespace.
    keeper: Watched,
}

/// The traffic that a cut stops.
#[derive(Clone, Copy, Debug)]
pub enum Cut {
    /// Traffic from the workers.
    Commands,
    /// Traffic from the server.
    Replies,
    /// Both.
    Both,
}

impl Namespace {
    /// Makes a namespace.
    pub fn make() -> Result<Self> {
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let mut keeper = Command::new("unshare");
        keeper.args(["--net", "sleep", "infinity"]).stdin(Stdio::null());
        let namespace = Self { number, keeper: Watched::start(keeper) };
        namespace.wait()?;
        let (near, far) = (namespace.wire("near"), namespace.wire("far"));
        let process = namespace.keeper.process().id().to_string();
        let (near_mac, far_mac) = (namespace.mac(1), namespace.mac(2));
        let link =
            ["link", "add", "name", &near, "address", &near_mac, "type", "veth", "peer", "name"];
        let peer = [&*far, "address", &far_mac, "netns", &process];
        run(Command::new("ip").args(link).args(peer))?;
        for (far_side, wire, end) in [(false, &near, 1), (true, &far, 2)] {
            let address = format!("{}/24", namespace.address(end));
            run(namespace.ip(far_side).args(["addr", "add", &address, "dev", wire]))?;
            run(namespace.ip(far_side).args(["link", "set", wire, "up"]))?;
        }
        Ok(namespace)
    }

    /// The driver's address on the wire.
    pub fn near(&self) -> String {
        self.address(1)
    }

    /// The beginning of a command line that runs in the namespace.
    pub fn launcher(&self) -> Vec<String> {
        vec!["nsenter".to_owned(), format!("--net={}", self.file())]
    }

    /// Cuts the wire.
    pub fn cut(&self, what: Cut) -> Result<()> {
        if matches!(what, Cut::Commands | Cut::Both) {
            self.neighbour(true, 1, NOBODY)?;
        }
        if matches!(what, Cut::Replies | Cut::Both) {
            self.neighbour(false, 2, NOBODY)?;
        }
        Ok(())
    }

    /// Mends the wire.
    pub fn mend(&self) -> Result<()> {
        self.neighbour(true, 1, &self.mac(1))?;
        self.neighbour(false, 2, &self.mac(2))
    }

    /// Sets the Ethernet address to which one side sends packets for the other's `end`.
    fn neighbour(&self, far_side: bool, end: u8, mac: &str) -> Result<()> {
        let wire = self.wire(if far_side { "far" } else { "near" });
        let address = self.address(end);
        let words = ["neigh", "replace", &address, "lladdr", mac, "nud", "permanent", "dev", &wire];
        run(self.ip(far_side).args(words))
    }

    /// Waits until the keeper has left the driver's namespace.
    fn wait(&self) -> Result<()> {
        let ours = fs::read_link("/proc/self/ns/net").context("this process's namespace")?;
        let deadline = Instant::now() + Duration::from_secs(5);
        while fs::read_link(self.file()).is_ok_and(|theirs| theirs == ours) {
            if Instant::now() > deadline {
                bail!("no namespace within 5 seconds");
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    fn ip(&self, far_side: bool) -> Command {
        if !far_side {
            return Command::new("ip");
        }
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.file())).arg("ip");
        command
    }

    fn file(&self) -> String {
        format!("/proc/{}/ns/net", self.keeper.process().id())
    }

    fn wire(&self, side: &str) -> String {
        format!("{side}{}", self.number)
    }

    fn address(&self, end: u8) -> String {
        format!("10.88.{}.{end}", self.number)
    }

    fn mac(&self, end: u8) -> String {
        format!("02:00:00:00:{:02x}:{end:02x}", self.number)
    }
}

/// Runs a command. Fails with its stderr.
pub fn run(command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("{:?}", command.get_program()))?;
    if !output.status.success() {
        let problem = String::from_utf8_lossy(&output.stderr);
        return Err(Error::other(problem.trim().to_owned())).context(format!("{command:?}"));
    }
    Ok(())
}
