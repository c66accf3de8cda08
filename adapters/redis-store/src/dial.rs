//! Opening a connection: name lookup, TCP, login, and the check that locks are safe with the server.

use alloc::{
    format,
    string::{String, ToString},
    vec,
    vec::Vec,
};
use core::{net::IpAddr, time::Duration};

use holdfast_redis_rules::{
    address::Address,
    clock::Reading,
    facts,
    fitness::{Expected, Role, Unfit},
    login::{Login, LoginNames, knows_no_users},
    probes::{CLOSES, LostByChance, Probe, ProbeHistory},
    refusal,
    reply::{Nonsense, Reply},
    settings::Settings,
};
use wasip2::sockets::{
    instance_network::instance_network,
    ip_name_lookup::resolve_addresses,
    network::{
        ErrorCode, IpAddress, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress,
        Ipv6SocketAddress, Network,
    },
    tcp_create_socket::create_tcp_socket,
};

use crate::{
    connection::{Batch, Connection, LOST, NoReply},
    time::{Deadline, now},
};

/// How long a connection is idle before TCP probes the peer, and how long it waits between probes.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Why no connection could be opened.
pub(crate) struct DialError {
    pub(crate) cause: String,
    /// Whether a later attempt may succeed. A wrong password stays wrong.
    pub(crate) may_pass: bool,
}

impl DialError {
    fn new(cause: impl Into<String>, may_pass: bool) -> Self {
        Self { cause: cause.into(), may_pass }
    }

    /// The server refused a command with this error line.
    fn refused(line: String, login: &Login<'_>) -> Self {
        let may_pass = refusal::may_pass(&line);
        Self::new(login.with_advice(line), may_pass)
    }

    /// Locks are not safe with the server.
    fn unfit(unfit: Unfit) -> Self {
        Self::new(unfit.to_string(), unfit.may_pass())
    }
}

/// Why a connection cannot be used.
enum End {
    /// The connection was lost on this question.
    Lost(Probe),
    /// No connection, for this reason; `None` if the deadline has passed.
    Failed(Option<DialError>),
}

impl From<DialError> for End {
    fn from(error: DialError) -> Self {
        Self::Failed(Some(error))
    }
}

/// Opens a connection, logs it in, selects its database and checks the server. The error is `None` if the deadline has
/// passed. `probes` is what earlier connections have shown about the server.
pub(crate) fn dial(
    address: &Address,
    settings: &Settings,
    probes: &mut ProbeHistory,
    deadline: Deadline,
) -> Result<Connection, Option<DialError>> {
    probes.begin();
    loop {
        let connection = connect(address, deadline)?;
        match (Dialing { connection, probes, deadline, settings }).log_in() {
            Ok(connection) => return Ok(connection),
            Err(End::Failed(error)) => return Err(error),
            Err(End::Lost(probe)) => {
                probes.lost(probe).map_err(|LostByChance| Some(DialError::new(LOST, true)))?
            }
        }
    }
}

/// Tries the host's addresses in order, each for its share of the time. Returns the error of the last
/// one.
fn connect(address: &Address, deadline: Deadline) -> Result<Connection, Option<DialError>> {
    let network = instance_network();
    let addresses = addresses(&network, &address.host, deadline)?;
    let mut outcome = Err(Some(DialError::new("the host has no address", true)));
    for (index, found) in addresses.iter().enumerate() {
        let share = deadline.share(addresses.len() - index);
        outcome = open(&network, *found, address.port, share);
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}

fn addresses(
    network: &Network,
    host: &str,
    deadline: Deadline,
) -> Result<Vec<IpAddress>, Option<DialError>> {
    // An address needs no lookup: a runtime may allow connections but no name lookup.
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![match address {
            IpAddr::V4(address) => IpAddress::Ipv4(address.octets().into()),
            IpAddr::V6(address) => IpAddress::Ipv6(address.segments().into()),
        }]);
    }
    let failed = |code| match code {
        // wasmtime reports the second where it should report the first.
        ErrorCode::AccessDenied | ErrorCode::PermanentResolverFailure => DialError::new(
            "name lookup failed, or the runtime does not allow it (wasmtime: -S allow-ip-name-lookup)",
            false,
        ),
        code => DialError::new(format!("name lookup: {}", words(code)), true),
    };
    let found = resolve_addresses(network, host).map_err(failed)?;
    let mut addresses = Vec::new();
    loop {
        match found.resolve_next_address() {
            Ok(Some(address)) => addresses.push(address),
            Ok(None) => return Ok(addresses),
            Err(ErrorCode::WouldBlock) => {
                let more = found.subscribe();
                if !deadline.wait(&more) {
                    return Err(None);
                }
            }
            Err(code) => return Err(Some(failed(code))),
        }
    }
}

fn open(
    network: &Network,
    address: IpAddress,
    port: u16,
    deadline: Deadline,
) -> Result<Connection, Option<DialError>> {
    let (family, address) = match address {
        IpAddress::Ipv4(address) => {
            (IpAddressFamily::Ipv4, IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address }))
        }
        IpAddress::Ipv6(address) => (
            IpAddressFamily::Ipv6,
            IpSocketAddress::Ipv6(Ipv6SocketAddress { port, flow_info: 0, address, scope_id: 0 }),
        ),
    };
    let failed = |code| match code {
        ErrorCode::AccessDenied => DialError::new(
            "the runtime does not allow connections (wasmtime: -S inherit-network)",
            false,
        ),
        code => DialError::new(words(code), true),
    };
    let socket = create_tcp_socket(family).map_err(failed)?;
    // A runtime may not support keep-alive, and only idle connections need it.
    let _ = socket.set_keep_alive_enabled(true);
    let _ = socket.set_keep_alive_idle_time(KEEPALIVE.as_nanos() as u64);
    let _ = socket.set_keep_alive_interval(KEEPALIVE.as_nanos() as u64);
    socket.start_connect(network, address).map_err(failed)?;
    loop {
        match socket.finish_connect() {
            Ok((input, output)) => return Ok(Connection::new(socket, input, output)),
            Err(ErrorCode::WouldBlock) => {
                let connected = socket.subscribe();
                if !deadline.wait(&connected) {
                    return Err(None);
                }
            }
            Err(code) => return Err(Some(failed(code))),
        }
    }
}

/// `connection refused` for `connection-refused`.
fn words(code: ErrorCode) -> String {
    code.name().replace('-', " ")
}

/// A connection that is not logged in yet.
struct Dialing<'a> {
    connection: Connection,
    probes: &'a mut ProbeHistory,
    deadline: Deadline,
    settings: &'a Settings,
}

impl Dialing<'_> {
    /// Logs in, then sends all other commands in one round trip if it may.
    fn log_in(mut self) -> Result<Connection, End> {
        let login = Login::new(self.settings, LoginNames::ENVIRONMENT);
        self.authenticate(&login)?;
        let at_once = self.probes.at_once();
        let commands = login.commands();
        let mut all: Vec<&[&str]> = commands.iter().map(Vec::as_slice).collect();
        if at_once {
            all.extend(Probe::FACTS.map(Probe::words));
        }
        let asked = now();
        self.send(&all)?;
        for words in &commands {
            match self.connection.reply(self.deadline) {
                // One of the questions may have closed the connection.
                Err(NoReply::Lost) if at_once => return Err(End::Lost(Probe::Info)),
                reply => accepted(reply, words, &login)?,
            }
        }
        // The server's own report counts, whatever the other questions show.
        let info = self.ask(Probe::Info, at_once)?;
        let expected = Expected { role: Role::Alone, db: self.settings.db };
        facts::doubts(&info, expected).map_err(DialError::unfit)?;
        let script = self.ask(Probe::Script, at_once)?;
        let time = self.ask(Probe::Time, at_once)?;
        let mut connection = self.connection;
        connection.script = facts::script(script);
        connection.clock =
            facts::clock(&info, time).ok().map(|time| Reading::new(time, asked, now()));
        Ok(connection)
    }

    fn authenticate(&mut self, login: &Login<'_>) -> Result<(), End> {
        let Some(words) = login.authentication() else { return Ok(()) };
        let Some(older) = login.older_authentication() else { return self.run(&words, login) };
        if self.probes.asks(Probe::User) {
            self.send(&[&words])?;
            match self.connection.reply(self.deadline) {
                Err(NoReply::Lost) => return Err(End::Lost(Probe::User)),
                Ok(Reply::Error(line)) if knows_no_users(&line) => {
                    self.probes.answered(Probe::User);
                }
                reply => {
                    self.probes.answered(Probe::User);
                    return accepted(reply, &words, login);
                }
            }
        }
        self.run(&older, login)
    }

    /// Runs a command whose reply matters only if it is an error.
    fn run(&mut self, words: &[&str], login: &Login<'_>) -> Result<(), End> {
        self.send(&[words])?;
        accepted(self.connection.reply(self.deadline), words, login)
    }

    /// The reply to a question, which was `sent` already or is sent now. A question on which the server closes
    /// connections is not sent.
    fn ask(&mut self, probe: Probe, sent: bool) -> Result<Reply, End> {
        if !self.probes.asks(probe) {
            return Ok(Reply::Error(CLOSES.to_string()));
        }
        if !sent {
            self.send(&[probe.words()])?;
        }
        match self.connection.reply(self.deadline) {
            // A script blocks the server, or a proxy does not reach it: the error shows nothing about the server.
            Ok(Reply::Error(line)) if refusal::may_be_answered_later(&line) => {
                Err(DialError::new(line, true).into())
            }
            Ok(reply) => {
                self.probes.answered(probe);
                match probe.is_answered_by(&reply) {
                    true => Ok(reply),
                    false => Err(DialError::new(Nonsense.to_string(), true).into()),
                }
            }
            Err(NoReply::Lost) => Err(End::Lost(probe)),
            Err(no_reply) => Err(failed(no_reply, None)),
        }
    }

    /// Sends commands at once.
    fn send(&mut self, commands: &[&[&str]]) -> Result<(), End> {
        let mut batch = Batch::default();
        commands.iter().for_each(|words| batch.push(words));
        let sent = self.connection.send(&batch, self.settings);
        sent.map_err(|broken| DialError::new(broken.cause(), true).into())
    }
}

/// Fails if the server refused the command or sent no reply.
fn accepted(reply: Result<Reply, NoReply>, words: &[&str], login: &Login<'_>) -> Result<(), End> {
    match reply {
        Ok(Reply::Error(line)) => Err(DialError::refused(line, login).into()),
        Ok(_) => Ok(()),
        Err(no_reply) => Err(failed(no_reply, login.closed_on(words))),
    }
}

/// The error for a command without a reply, with a hint at the reason.
fn failed(no_reply: NoReply, hint: Option<String>) -> End {
    End::Failed(no_reply.cause().map(|cause| {
        let cause = match &hint {
            Some(hint) => format!("{cause}; {hint}"),
            None => cause.to_string(),
        };
        DialError::new(cause, true)
    }))
}
