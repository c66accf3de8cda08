//! The settings of one Redis store.
//!
//! Names, defaults and meanings are those of the component file's settings (the library's
//! `store::redis::RedisSettings`), the names in upper snake case. No connection is made here.

use alloc::{borrow::ToOwned, format, string::String};
use core::{fmt, time::Duration};

use crate::{
    environment::{Variable, Variables},
    redis::Backoff,
    span::{self, Span},
};

const DEFAULT_PORT: u16 = 6379;

/// What `REDIS_HOST` and the others say.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) db: u32,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) retries: u32,
    pub(crate) backoff: Backoff,
    pub(crate) dial_timeout: Option<Duration>,
    pub(crate) read_timeout: Option<Duration>,
    pub(crate) write_timeout: Option<Duration>,
    pub(crate) pool_timeout: Option<Duration>,
    pub(crate) max_age: Option<Duration>,
    pub(crate) idle_timeout: Option<Duration>,
}

/// A variable that cannot be used. Says which and why, never its value: that may be a secret.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SettingError {
    variable: String,
    problem: String,
}

impl SettingError {
    pub(crate) fn new(variable: &str, problem: impl Into<String>) -> Self {
        Self { variable: variable.to_owned(), problem: problem.into() }
    }
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.variable, self.problem)
    }
}

impl Settings {
    /// Reads the settings; variables of other names are left to others.
    pub(crate) fn parse(variables: &Variables) -> Result<Self, SettingError> {
        let read = Reader(variables);
        refuse_what_is_not_supported(&read)?;
        let (host, port) = address(variables)?;
        let read_timeout = read.bound("READ_TIMEOUT", Some(Duration::from_secs(3)))?;
        let second_more = |limit: Duration| limit.saturating_add(Duration::from_secs(1));
        Ok(Self {
            host,
            port,
            db: read.db()?,
            username: read.text("REDIS_USERNAME"),
            password: read.text("REDIS_PASSWORD"),
            retries: read.retries()?,
            backoff: Backoff {
                // daprd gives locks two seconds here, which the longest interval then bounds.
                min: read
                    .bound("REDIS_MIN_RETRY_INTERVAL", Some(Duration::from_secs(2)))?
                    .unwrap_or_default(),
                max: read
                    .bound("REDIS_MAX_RETRY_INTERVAL", Some(Duration::from_millis(512)))?
                    .unwrap_or_default(),
            },
            dial_timeout: read.bound("DIAL_TIMEOUT", Some(Duration::from_secs(5)))?,
            read_timeout,
            write_timeout: read.bound("WRITE_TIMEOUT", read_timeout)?,
            pool_timeout: read.bound("POOL_TIMEOUT", read_timeout.map(second_more))?,
            max_age: read.bound("MAX_CONN_AGE", None)?,
            idle_timeout: read.bound("IDLE_TIMEOUT", Some(Duration::from_secs(300)))?,
        })
    }

    /// The server's `host:port`, an IPv6 host in brackets.
    pub(crate) fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

/// What a lock's safety or the user's intent hangs on must not be passed over in silence.
fn refuse_what_is_not_supported(read: &Reader) -> Result<(), SettingError> {
    let refuse = |variable: Variable, problem| Err(SettingError::new(variable.name, problem));
    let tls = "asks for TLS, which this component does not speak";
    for setting in ["ENABLE_TLS", "INSECURE_SKIP_TLS_VERIFY"] {
        if let Some(variable) = read.flag(setting)? {
            return refuse(variable, tls);
        }
    }
    for setting in ["CLIENT_CERT", "CLIENT_KEY"] {
        if let Some(variable) = read.0.get(setting) {
            return refuse(variable, tls);
        }
    }
    if let Some(variable) = read.0.get("REDIS_TYPE")
        && !variable.value.eq_ignore_ascii_case("node")
    {
        return refuse(variable, "is not node, the only type that this component knows");
    }
    let sentinel = "asks for Redis Sentinel, which this component does not know";
    if let Some(variable) = read.flag("FAILOVER")? {
        return refuse(variable, sentinel);
    }
    if let Some(variable) = read.0.get("SENTINEL_MASTER_NAME") {
        return refuse(variable, sentinel);
    }
    let cloud = "asks for a cloud identity provider, which cannot be reached from here";
    for setting in ["USE_ENTRA_ID", "USE_OIDC"] {
        if let Some(variable) = read.flag(setting)? {
            return refuse(variable, cloud);
        }
    }
    read.0.starting_with("OIDC_").map_or(Ok(()), |variable| refuse(variable, cloud))
}

fn address(variables: &Variables) -> Result<(String, u16), SettingError> {
    let Some(Variable { name, value: written }) = variables.get("REDIS_HOST") else {
        return Err(SettingError::new(&variables.name("REDIS_HOST"), "is not set"));
    };
    if written.contains(',') {
        return Err(SettingError::new(
            name,
            "is a list, which is for Redis Sentinel: this component does not know it",
        ));
    }
    let not_an_address = || SettingError::new(name, "is not host or host:port");
    let (host, own_port) = match written.strip_prefix('[') {
        Some(bracketed) => match bracketed.split_once(']').ok_or_else(not_an_address)? {
            (host, "") => (host, None),
            (host, rest) => (host, Some(rest.strip_prefix(':').ok_or_else(not_an_address)?)),
        },
        // More than one colon without brackets can only be an IPv6 address without a port.
        None if written.matches(':').count() > 1 => (written, None),
        None => match written.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (written, None),
        },
    };
    if host.is_empty() || host.contains(['/', '@', ' ']) {
        return Err(not_an_address());
    }
    let own_port = own_port.map(|text| port(name, text)).transpose()?;
    let Some(other) = variables.get("REDIS_PORT") else {
        return Ok((host.to_owned(), own_port.unwrap_or(DEFAULT_PORT)));
    };
    let other_port = port(other.name, other.value)?;
    match own_port {
        Some(own) if own != other_port => {
            Err(SettingError::new(other.name, format!("differs from the port in {name}")))
        }
        _ => Ok((host.to_owned(), other_port)),
    }
}

fn port(variable: &str, text: &str) -> Result<u16, SettingError> {
    text.parse::<u16>()
        .ok()
        .filter(|port| *port != 0)
        .ok_or_else(|| SettingError::new(variable, "has a port that is not from 1 to 65535"))
}

/// Reads single settings.
struct Reader<'a>(&'a Variables<'a>);

impl<'a> Reader<'a> {
    fn text(&self, setting: &str) -> Option<String> {
        self.0.get(setting).map(|variable| variable.value.to_owned())
    }

    /// The variable, where it is a boolean as Go's `ParseBool` reads it and true.
    fn flag(&self, setting: &str) -> Result<Option<Variable<'a>>, SettingError> {
        let Some(variable) = self.0.get(setting) else { return Ok(None) };
        match variable.value {
            "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(None),
            "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(Some(variable)),
            _ => Err(SettingError::new(variable.name, "is not true or false")),
        }
    }

    fn bound(
        &self,
        setting: &str,
        default: Option<Duration>,
    ) -> Result<Option<Duration>, SettingError> {
        let Some(variable) = self.0.get(setting) else { return Ok(default) };
        match span::parse(variable.value) {
            Some(Span::Of(Duration::ZERO)) => Ok(default),
            Some(Span::Of(bound)) => Ok(Some(bound)),
            Some(Span::Off) => Ok(None),
            None => Err(SettingError::new(
                variable.name,
                "is not a duration, such as 5s or 1m30s, or a number of milliseconds",
            )),
        }
    }

    fn db(&self) -> Result<u32, SettingError> {
        let Some(variable) = self.0.get("REDIS_DB") else { return Ok(0) };
        variable
            .value
            .parse()
            .map_err(|_| SettingError::new(variable.name, "is not a whole number"))
    }

    fn retries(&self) -> Result<u32, SettingError> {
        let Some(variable) = self.0.get("MAX_RETRIES") else { return Ok(3) };
        match variable.value.parse::<i32>() {
            Ok(0) => Ok(3),
            Ok(-1) => Ok(0),
            Ok(retries) if retries > 0 => Ok(retries.unsigned_abs()),
            _ => {
                Err(SettingError::new(variable.name, "is not a whole number, or -1 for no retries"))
            }
        }
    }
}

#[cfg(test)]
mod tests;
