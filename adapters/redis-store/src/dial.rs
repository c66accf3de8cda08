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
    facts::{Facts, QUESTIONS},
    fitness::{self, Expected, Role},
    login::{Login, closed_on, knows_no_users},
    refusal,
    reply::Reply,
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
    connection::{Batch, Connection},
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
    fn refused(line: String) -> Self {
        Self { may_pass: refusal::may_pass(&line), cause: line }
    }
}

/// Opens a connection, logs it in, selects its database and checks the server. The error is `None` if
/// the deadline has passed.
///
/// Sets `terse` for a server that closes connections on what it does not know. Such a server is asked nothing.
pub(crate) fn dial(
    address: &Address,
    settings: &Settings,
    terse: &mut bool,
    deadline: Deadline,
) -> Result<Connection, Option<DialError>> {
    let connect = || connect(address, deadline);
    let known = *terse;
    if !known && let Some(connection) = log_in(connect()?, settings, deadline)? {
        return Ok(connection);
    }
    let silent = log_in_tersely(connect()?, settings, deadline)?;
    // Once may be a coincidence.
    if !known && let Some(connection) = log_in(connect()?, settings, deadline)? {
        return Ok(connection);
    }
    *terse = true;
    Ok(silent)
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
    // No lookup for an address: a runtime may allow connections but no name lookup.
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![match address {
            IpAddr::V4(address) => IpAddress::Ipv4(address.octets().into()),
            IpAddr::V6(address) => IpAddress::Ipv6(address.segments().into()),
        }]);
    }
    let failed = |code| match code {
        // wasmtime answers the second where it should answer the first.
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

/// Logs in, and then sends all other commands at once: one round trip. Returns `None` if the server closed the
/// connection.
fn log_in(
    mut connection: Connection,
    settings: &Settings,
    deadline: Deadline,
) -> Result<Option<Connection>, Option<DialError>> {
    let login = Login::new(settings);
    let mut ask =
        |commands: &[&[&str]]| match exchange(&mut connection, commands, settings, deadline) {
            Err(Some(_)) => Ok(None),
            replies => replies.map(Some),
        };
    if let Some(words) = login.authentication() {
        let Some(mut replies) = ask(&[&words])? else { return Ok(None) };
        if let ([Reply::Error(line)], Some(words)) =
            (replies.as_slice(), login.older_authentication())
            && knows_no_users(line)
        {
            let Some(others) = ask(&[&words])? else { return Ok(None) };
            replies = others;
        }
        accepted(&replies)?;
    }

    let commands = login.commands();
    let mut all: Vec<&[&str]> = commands.iter().map(Vec::as_slice).collect();
    all.extend(QUESTIONS);
    let asked = now();
    let Some(mut replies) = ask(&all)? else { return Ok(None) };
    let answers = replies.split_off(commands.len());
    accepted(&replies)?;
    let Ok(answers) = answers.try_into() else { return Ok(None) };
    let unfit = |unfit: fitness::Unfit| Some(DialError::new(unfit.to_string(), false));
    let facts =
        Facts::read(answers, Expected { role: Role::Alone, db: settings.db }).map_err(unfit)?;
    connection.script = facts.script;
    connection.clock = facts.clock.ok().map(|time| Reading::new(time, asked, now()));
    Ok(Some(connection))
}

/// Logs in to a server that closes connections on what it does not know, and asks nothing.
fn log_in_tersely(
    mut connection: Connection,
    settings: &Settings,
    deadline: Deadline,
) -> Result<Connection, Option<DialError>> {
    let login = Login::new(settings);
    let (older, with_user) = (login.older_authentication(), login.authentication());
    let password = match (&older, &with_user) {
        (Some(words), _) => Some(&words[..]),
        (None, words) => words.as_ref().map(|words| &words[..]),
    };
    let commands = login.commands();
    let all: Vec<_> = password.into_iter().chain(commands.iter().map(Vec::as_slice)).collect();
    accepted(&exchange(&mut connection, &all, settings, deadline)?)?;
    Ok(connection)
}

/// Sends commands at once, and waits for the reply to each.
fn exchange(
    connection: &mut Connection,
    commands: &[&[&str]],
    settings: &Settings,
    deadline: Deadline,
) -> Result<Vec<Reply>, Option<DialError>> {
    let failed = |cause| Some(DialError::new(cause, true));
    let mut batch = Batch::default();
    commands.iter().for_each(|words| batch.push(words));
    connection.send(&batch, settings).map_err(|broken| failed(broken.cause()))?;
    let reply = |words: &&[&str]| {
        let reply = connection.reply(deadline);
        let hinted = |cause: String| match closed_on(words) {
            Some(hint) => cause + "; " + hint,
            None => cause,
        };
        reply.map_err(|cause| cause.and_then(|cause| failed(hinted(cause))))
    };
    commands.iter().map(reply).collect()
}

/// Fails if a command was refused.
fn accepted(replies: &[Reply]) -> Result<(), Option<DialError>> {
    let refused = |reply: &Reply| match reply {
        Reply::Error(line) => Some(DialError::refused(line.clone())),
        _ => None,
    };
    replies.iter().find_map(refused).map_or(Ok(()), |error| Err(Some(error)))
}
