//! The arguments. Options that daprd has too have the same names.
//!
//! | module | what lives there |
//! |---|---|
//! | `parse` | from the words of the command line to arguments |
//! | `variables` | the variables that stand for options |
//! | `words` | the words after `serve`, as daprd reads its own |
//! | `values` | values that are read as Go reads them |
//! | [`daprd`] | the options of daprd, and which of them `serve` has |
//! | `help` | what `--help` says after the options |

use std::{ffi::OsString, num::NonZeroUsize, path::PathBuf, time::Duration};

use clap::{ArgAction, ArgGroup, Args, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use holdfast_timing::go_duration::parse_go_duration;
use tokio::sync::Semaphore;

pub mod daprd;
mod help;
pub mod parse;
mod values;
mod variables;
mod words;

use self::help::{
    CHECK_EXAMPLES, COMPLETIONS_EXAMPLES, COMPOSE_EXAMPLES, EXAMPLES, EXPORT_EXAMPLES,
    HEALTH_EXAMPLES, LOCKS_EXAMPLES, MAN_EXAMPLES, RUN_EXAMPLES, RUN_LOCKED_EXAMPLES,
    SERVE_EXAMPLES, TRY_LOCK_EXAMPLES, UNLOCK_EXAMPLES,
};
pub use self::words::nearest_name;

/// The name of the values of options that are on or off.
const BOOL: &str = "BOOL";

/// The command line.
pub fn command() -> clap::Command {
    with_booleans(Cli::command())
}

/// Reads the options that are on or off as Go does: alone they are on, and a value follows after `=`.
fn with_booleans(command: clap::Command) -> clap::Command {
    let command = command.mut_args(|arg| match arg.get_value_names() {
        Some([name]) if name == BOOL => arg
            .value_parser(values::boolean)
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true"),
        _ => arg,
    });
    command.mut_subcommands(with_booleans)
}

/// A distributed lock for edge runtimes, with Dapr's lock API.
#[derive(Debug, Parser)]
#[command(name = "holdfast", version, arg_required_else_help = true, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve locks over Dapr's HTTP and gRPC APIs
    Serve(Serve),
    /// Run a program while a lock is held
    Run(RunLocked),
    /// Take a lock if it is free, directly in the store
    TryLock(TryLock),
    /// Free a lock, directly in the store
    Unlock(Unlock),
    /// List the locks that are held, with their owners and the time that is left, directly in the stores
    Locks(ListLocks),
    /// Check resource files, and connect to their servers
    Check(Check),
    /// Ask a running server whether it is ready
    Health(Health),
    /// Work with the lock component, which contains the rules of locks, and with plugins that use it
    #[command(arg_required_else_help = true)]
    Component(Component),
    /// Print the completions of a shell
    #[command(after_help = COMPLETIONS_EXAMPLES)]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print a page of the manual
    #[command(after_help = MAN_EXAMPLES)]
    Man {
        /// The command that the page is about; without one, the program
        command: Vec<String>,
    },
}

#[derive(Args, Debug)]
#[command(after_help = SERVE_EXAMPLES, args_override_self = true)]
pub struct Serve {
    #[command(flatten)]
    pub stores: Stores,
    /// Port of the HTTP API; 0 for a free one
    #[arg(long, value_name = "PORT", env = "DAPR_HTTP_PORT", default_value_t = 3500, value_parser = values::whole(u16::MIN..=u16::MAX))]
    pub dapr_http_port: u16,
    /// Port of the gRPC API; 0 for a free one
    #[arg(long, value_name = "PORT", env = "DAPR_GRPC_PORT", default_value_t = 50001, value_parser = values::whole(u16::MIN..=u16::MAX))]
    pub dapr_grpc_port: u16,
    /// Addresses of both APIs, separated by commas; empty for all
    #[arg(
        long,
        value_name = "ADDRESSES",
        env = "DAPR_LISTEN_ADDRESSES",
        value_delimiter = ',',
        default_value = "127.0.0.1"
    )]
    pub dapr_listen_addresses: Vec<String>,
    /// Folder for Unix domain sockets, which replace the ports of both APIs. Their names are
    /// dapr-ID-http.socket and dapr-ID-grpc.socket, with the application's id
    #[arg(long, value_name = "DIR")]
    pub unix_domain_socket: Option<PathBuf>,
    /// Port that serves only health checks and metadata, over HTTP, without a token; 0 for a free one
    #[arg(long, value_name = "PORT", value_parser = values::whole(u16::MIN..=u16::MAX))]
    pub dapr_public_port: Option<u16>,
    /// Addresses of the public port, separated by commas; empty for all [default: all]
    #[arg(
        long,
        value_name = "ADDRESSES",
        value_delimiter = ',',
        default_value = "",
        hide_default_value = true
    )]
    pub dapr_public_listen_address: Vec<String>,
    /// Record metrics, and serve them for Prometheus
    #[arg(long, value_name = BOOL, action = ArgAction::Set, default_value_t = true)]
    pub enable_metrics: bool,
    /// Port of the metrics; 0 for a free one
    #[arg(long, value_name = "PORT", env = "DAPR_METRICS_PORT", default_value_t = 9090, value_parser = values::whole(u16::MIN..=u16::MAX))]
    pub metrics_port: u16,
    /// Addresses of the metrics, separated by commas; empty for all
    #[arg(long, value_name = "ADDRESSES", value_delimiter = ',', default_value = "0.0.0.0")]
    pub metrics_listen_address: Vec<String>,
    /// Serve the operator API, which lists the locks that are held and ends holds
    #[arg(long, value_name = BOOL, action = ArgAction::Set, default_value_t = false)]
    pub enable_admin: bool,
    /// Port of the operator API, over HTTP and gRPC; 0 for a free one
    #[arg(long, value_name = "PORT", env = "HOLDFAST_ADMIN_PORT", default_value_t = 3502, value_parser = values::whole(u16::MIN..=u16::MAX))]
    pub admin_port: u16,
    /// Addresses of the operator API, separated by commas; empty for all. Addresses other than loopback need the
    /// token in HOLDFAST_ADMIN_TOKEN
    #[arg(long, value_name = "ADDRESSES", value_delimiter = ',', default_value = "127.0.0.1")]
    pub admin_listen_address: Vec<String>,
    /// Serve a page at /ui of the operator port, which shows the locks that are held; needs --enable-admin
    #[arg(long, value_name = BOOL, action = ArgAction::Set, default_value_t = false)]
    pub ui: bool,
    /// How long to go on serving after SIGTERM, before the shutdown begins, as in 30s or 1m30s. Health checks
    /// fail meanwhile. A shutdown that a caller asks for, or that follows the end of the application, begins at once
    #[arg(long, value_name = "DURATION", value_parser = go_duration, default_value = "0s")]
    pub dapr_block_shutdown_duration: Duration,
    /// How long a shutdown may take: callers can still unlock, and requests in flight finish
    #[arg(long, value_name = "SECONDS", default_value_t = GRACEFUL_SECONDS, value_parser = graceful_seconds)]
    pub dapr_graceful_shutdown_seconds: u64,
    /// An application to start once the server is ready, and its arguments
    #[arg(last = true)]
    pub command: Vec<OsString>,
    #[command(flatten)]
    pub log: Log,
    // Last, because later options would stand under the same heading.
    #[command(flatten)]
    pub limits: Limits,
    #[command(flatten)]
    pub server: ServerLimits,
}

/// The limits of the server.
#[derive(Args, Debug)]
#[command(next_help_heading = "Limits")]
pub struct ServerLimits {
    /// Maximum number of connections of the HTTP API, and as many of the gRPC API [default: 10000, less where few
    /// open files are allowed]
    #[arg(long, value_name = "COUNT", env = "HOLDFAST_MAX_CONNECTIONS", value_parser = values::whole(NonZeroUsize::MIN..=NonZeroUsize::MAX))]
    pub max_connections: Option<NonZeroUsize>,
    /// Maximum memory for long request bodies that are being read, in MiB, at least 4
    #[arg(
        long,
        value_name = "MIB",
        env = "HOLDFAST_MAX_BODY_MEMORY",
        value_parser = values::whole(4..=u32::MAX),
        default_value_t = 32
    )]
    pub max_body_memory: u32,
}

fn go_duration(text: &str) -> Result<Duration, &'static str> {
    let nanoseconds = parse_go_duration(text).ok_or("not a duration, such as 30s or 1m30s")?;
    u64::try_from(nanoseconds).map(Duration::from_nanos).map_err(|_| values::NEGATIVE)
}

/// How long a shutdown may take by default.
const GRACEFUL_SECONDS: u64 = 5;

/// Whole seconds. A negative number stands for the default, as in daprd.
fn graceful_seconds(text: &str) -> Result<u64, String> {
    match text.parse::<i64>() {
        Ok(..0) => Ok(GRACEFUL_SECONDS),
        _ => values::whole(u64::MIN..=u64::MAX)(text),
    }
}

#[derive(Args, Debug)]
#[command(after_help = RUN_LOCKED_EXAMPLES)]
pub struct RunLocked {
    /// Name of the lock store
    pub store: String,
    /// Resource id: what is locked
    pub resource: String,
    /// Time to live of the lock: how long others wait after this process or its machine has died
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = values::time, default_value = "30s")]
    pub ttl: Duration,
    /// How long to wait for the lock; 0 to try once
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = values::time, default_value = "0")]
    pub wait: Duration,
    /// Longest time that COMMAND may hold the lock before it is ended [default: no limit]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = values::time)]
    pub max_hold: Option<Duration>,
    /// Time that COMMAND gets to end between SIGTERM and SIGKILL
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = values::time, default_value = "10s")]
    pub grace: Duration,
    /// Owner of the lock: a string that nobody else uses; use a new one for each run [default: a UUID]
    #[arg(long)]
    pub owner: Option<String>,
    /// Take the lock without a fencing token, for a store that cannot give one. With fencing, a store keeps one small
    /// key for each resource for 30 days
    #[arg(long)]
    pub no_fencing: bool,
    /// Take the lock through a running holdfast server, at http://HOST:PORT, in place of --resources-path. The
    /// server has its own --app-id
    #[arg(long, value_name = "URL", conflicts_with_all = ["resources_path", "components_path"])]
    pub address: Option<String>,
    #[command(flatten)]
    pub stores: Stores,
    #[command(flatten)]
    pub log: Log,
    /// Program to run, and its arguments
    #[arg(last = true, required = true)]
    pub command: Vec<OsString>,
}

#[derive(Args, Debug)]
#[command(after_help = TRY_LOCK_EXAMPLES)]
pub struct TryLock {
    #[command(flatten)]
    pub lock: Lock,
    /// Owner of the lock: a string that nobody else uses, new for each hold, so that a late unlock cannot free a later hold
    #[arg(long)]
    pub owner: String,
    /// Time to live of the lock: seconds, or a duration such as 90s, 5m or 1h
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = values::seconds)]
    pub expiry: i32,
}

#[derive(Args, Debug)]
#[command(
    after_help = UNLOCK_EXAMPLES,
    group(ArgGroup::new("whose").required(true).args(["owner", "force"]))
)]
pub struct Unlock {
    #[command(flatten)]
    pub lock: Lock,
    /// Owner of the lock
    #[arg(long)]
    pub owner: Option<String>,
    /// Free the lock of any owner, and name the owner on stderr. The owner is not notified, and may keep working
    #[arg(long)]
    pub force: bool,
}

#[derive(Args, Debug)]
#[command(after_help = LOCKS_EXAMPLES)]
pub struct ListLocks {
    /// Name of the lock store [default: all stores]
    pub store: Option<String>,
    /// List only the resource ids that begin with this text
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub prefix: String,
    /// Print a JSON document; with --watch, a line of JSON for each event
    #[arg(long)]
    pub json: bool,
    /// Show the locks live, until q is pressed
    #[arg(long)]
    pub watch: bool,
    /// With --watch, show the locks of a running holdfast server, and how many of its calls wait for them:
    /// the http://HOST:PORT of its --admin-port, in place of --resources-path
    #[arg(long, value_name = "URL", requires = "watch", conflicts_with_all = ["resources_path", "components_path"])]
    pub address: Option<String>,
    #[command(flatten)]
    pub stores: Stores,
    #[command(flatten)]
    pub log: Log,
}

/// The arguments that try-lock and unlock have in common.
#[derive(Args, Debug)]
pub struct Lock {
    /// Name of the lock store
    pub store: String,
    /// Resource id: what is locked
    pub resource: String,
    /// Print the reply of the HTTP API, byte for byte
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub stores: Stores,
    #[command(flatten)]
    pub log: Log,
}

#[derive(Args, Debug)]
#[command(after_help = CHECK_EXAMPLES)]
pub struct Check {
    /// Exit with 2 on warnings too
    #[arg(long)]
    pub strict: bool,
    /// Print a JSON document
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub stores: Stores,
    #[command(flatten)]
    pub log: Log,
}

#[derive(Args, Debug)]
#[command(after_help = HEALTH_EXAMPLES)]
pub struct Health {
    /// Host or IP address of the server's HTTP API or public port
    #[arg(long, value_name = "HOST", value_parser = values::host, default_value = "127.0.0.1")]
    pub address: String,
    /// Port of the HTTP API, or the public port
    #[arg(long, value_name = "PORT", env = "DAPR_HTTP_PORT", default_value_t = 3500, allow_negative_numbers = true, value_parser = values::whole(u16::MIN..=u16::MAX))]
    pub port: u16,
    /// Folder of the server's Unix domain sockets, in place of an address and a port
    #[arg(long, value_name = "DIR", conflicts_with = "address")]
    pub unix_domain_socket: Option<PathBuf>,
    /// Id of the server's application, which is a part of its socket's name
    #[arg(long, value_name = "ID", env = "APP_ID", value_parser = values::app_id, default_value = "", hide_default_value = true)]
    pub app_id: String,
    /// How long to wait for the reply
    #[arg(
        long,
        value_name = "TIME",
        allow_hyphen_values = true,
        value_parser = values::time,
        default_value = "5s"
    )]
    pub timeout: Duration,
}

#[derive(Args, Debug)]
pub struct Component {
    #[command(subcommand)]
    pub command: ComponentCommand,
}

#[derive(Debug, Subcommand)]
pub enum ComponentCommand {
    /// Write the lock component to a file
    #[command(after_help = EXPORT_EXAMPLES)]
    Export {
        /// File to write; - for stdout
        file: PathBuf,
    },
    /// Run a plugin once, with access to locks
    Run(Run),
    /// Put the lock component and a store in Redis into a plugin, for runtimes that have only WASI
    Compose(Compose),
}

#[derive(Args, Debug)]
#[command(after_help = RUN_EXAMPLES)]
pub struct Run {
    /// Component that imports holdfast:lock/lock or holdfast:lock/lease
    pub plugin: PathBuf,
    #[command(flatten)]
    pub stores: Stores,
    #[command(flatten)]
    pub log: Log,
    /// Arguments of the plugin
    #[arg(last = true)]
    pub args: Vec<String>,
}

#[derive(Args, Debug)]
#[command(after_help = COMPOSE_EXAMPLES)]
pub struct Compose {
    /// Component that imports holdfast:lock/lock or holdfast:lock/lease
    pub plugin: PathBuf,
    /// File to write; - for stdout
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
}

/// The application, and its stores.
#[derive(Args, Debug)]
pub struct Stores {
    /// Id of the application that locks; part of the keys, and checked against scopes
    #[arg(long, value_name = "ID", env = "APP_ID", value_parser = values::app_id, default_value = "", hide_default_value = true)]
    pub app_id: String,
    /// Folder of resource files; may be given more than once, or as a list separated by commas
    #[arg(long, value_name = "DIR", value_delimiter = ',')]
    pub resources_path: Vec<PathBuf>,
    /// Folder of resource files, if there is no --resources-path: daprd's old option
    #[arg(long, value_name = "DIR", overrides_with = "components_path")]
    pub components_path: Option<PathBuf>,
}

impl Stores {
    /// The folders of resource files.
    pub fn folders(&self) -> &[PathBuf] {
        match &*self.resources_path {
            [] => self.components_path.as_slice(),
            folders => folders,
        }
    }

    /// The option that names them.
    pub fn option(&self) -> &'static str {
        match (&*self.resources_path, &self.components_path) {
            ([], Some(_)) => "--components-path",
            _ => "--resources-path",
        }
    }
}

/// What is logged, and in which form.
#[derive(Args, Debug)]
pub struct Log {
    /// Lowest level that is logged, to stderr [default: info for serve, error for locks --watch, else warn]
    #[arg(long, value_name = "LEVEL", value_enum, ignore_case = true)]
    pub log_level: Option<LogLevel>,
    /// Log JSON, one object per line; also the error that ends the command
    #[arg(long, value_name = BOOL, action = ArgAction::Set, default_value_t = false)]
    pub log_as_json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum LogLevel {
    Debug,
    Info,
    Warn,
    Error,
    /// The same as error
    Fatal,
}

/// The limits of the lock component and of calls. The defaults are the library's.
#[derive(Args, Debug)]
#[command(next_help_heading = "Limits")]
pub struct Limits {
    /// Maximum number of instances of the lock component, from 1 to 1000 [default: 4 per CPU, from 16 to 1000]
    #[arg(long, value_name = "COUNT", env = "HOLDFAST_GUEST_INSTANCES", value_parser = values::whole(1..=1000_usize))]
    pub guest_instances: Option<usize>,
    /// Number of idle instances to keep ready, from 1 to --guest-instances [default: one per CPU]
    #[arg(long, value_name = "COUNT", env = "HOLDFAST_GUEST_WARM_INSTANCES", value_parser = values::whole(1..=1000_usize))]
    pub guest_warm_instances: Option<usize>,
    /// Maximum memory of an instance in MiB, from 2 to 4096 [default: 64]
    #[arg(long, value_name = "MIB", env = "HOLDFAST_GUEST_MEMORY", value_parser = values::whole(2..=4096_usize))]
    pub guest_memory: Option<usize>,
    /// How long an instance may compute before it is stopped, in milliseconds, from 100 to 3600000 [default: 1000]
    #[arg(long, value_name = "MILLISECONDS", env = "HOLDFAST_GUEST_STEP_DEADLINE", value_parser = values::whole(100..=3_600_000_u64))]
    pub guest_step_deadline: Option<u64>,
    /// Maximum number of calls that are at their stores at a time [default: 1024]
    #[arg(long, value_name = "COUNT", env = "HOLDFAST_MAX_IN_FLIGHT", value_parser = values::whole(1..=Semaphore::MAX_PERMITS))]
    pub max_in_flight: Option<usize>,
    /// Maximum number of further calls, which wait for their turn; any beyond them are refused [default: 4096]
    #[arg(long, value_name = "COUNT", env = "HOLDFAST_MAX_WAITING", value_parser = values::whole(usize::MIN..=usize::MAX))]
    pub max_waiting: Option<usize>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        command().debug_assert();
    }

    #[test]
    fn the_help_shows_the_librarys_limits() {
        let limits = holdfast::Limits::default();
        let serve = command().find_subcommand("serve").unwrap().clone();
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        assert_eq!(limits.warm_instances, processors.min(1000));
        assert_eq!(limits.instances, (4 * processors).clamp(16, 1000));
        for (id, default) in [
            ("guest_instances", "4 per CPU, from 16 to 1000".to_owned()),
            ("guest_warm_instances", "one per CPU".to_owned()),
            ("guest_memory", (limits.instance_memory >> 20).to_string()),
            ("guest_step_deadline", limits.step_deadline.as_millis().to_string()),
            ("max_in_flight", limits.in_flight.to_string()),
            ("max_waiting", limits.waiting.to_string()),
        ] {
            let arg = serve.get_arguments().find(|arg| arg.get_id() == id).unwrap();
            let help = arg.get_help().unwrap().to_string();
            assert!(help.ends_with(&format!("[default: {default}]")), "{help}");
        }
    }
}
