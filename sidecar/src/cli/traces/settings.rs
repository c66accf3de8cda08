//! OpenTelemetry's environment variables. The libraries read them, and pass over values that they
//! cannot use; here such a value stops the start, with the name of its variable (OpenTelemetry
//! specification, "Environment Variable Specification" and "OpenTelemetry Protocol Exporter").

use std::{env::VarError, path::Path, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use holdfast::authorities;
use hyper::{
    Uri,
    header::{HeaderName, HeaderValue},
};
use opentelemetry_otlp::{OTEL_EXPORTER_OTLP_TIMEOUT_DEFAULT, Protocol};
use rustls::RootCertStore;

use super::super::argument_error::ArgumentError;

/// Refuses a value that the libraries would ignore.
type Check = fn(&str) -> Result<()>;

/// The variables of the exporter, without `OTEL_EXPORTER_OTLP_` or `OTEL_EXPORTER_OTLP_TRACES_`.
const EXPORTER: [(&str, Check); 7] = [
    ("ENDPOINT", check_endpoint),
    ("PROTOCOL", |value| parse_protocol(value).map(drop)),
    ("TIMEOUT", |value| parse_number(value).map(drop)),
    ("HEADERS", check_headers),
    ("COMPRESSION", |value| check_choice(value, &["none"])),
    ("CLIENT_CERTIFICATE", |_| bail!("{NO_IDENTITY}")),
    ("CLIENT_KEY", |_| bail!("{NO_IDENTITY}")),
];

const NO_IDENTITY: &str = "Holdfast shows a collector no certificate of its own";

/// The other variables.
const SDK: [(&str, Check); 7] = [
    ("OTEL_TRACES_EXPORTER", |value| check_choice(value, &["otlp", "none"])),
    ("OTEL_TRACES_SAMPLER", |value| check_choice(value, &SAMPLERS)),
    ("OTEL_TRACES_SAMPLER_ARG", check_ratio),
    ("OTEL_BSP_SCHEDULE_DELAY", |value| parse_number(value).map(drop)),
    ("OTEL_BSP_EXPORT_TIMEOUT", |value| parse_number(value).map(drop)),
    ("OTEL_BSP_MAX_QUEUE_SIZE", |value| parse_number(value).map(drop)),
    ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", |value| parse_number(value).map(drop)),
];

const SAMPLERS: [&str; 6] = [
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
];

/// The settings that an exporter is built with. It reads the rest itself.
#[derive(Debug)]
pub struct Settings {
    /// The collector's address, as it was written.
    pub endpoint: String,
    pub protocol: Protocol,
    /// How long sending may take.
    pub timeout: Duration,
    /// The trusted authorities, if there is TLS.
    pub tls: Option<RootCertStore>,
}

impl Settings {
    /// `None` where no endpoint is set, or traces are turned off.
    pub fn read(var: impl Fn(&str) -> Result<String, VarError>) -> Result<Option<Self>> {
        let get = |name: &str| match var(name) {
            Ok(value) => Ok(Some(value).filter(|value| !value.is_empty())),
            Err(VarError::NotPresent) => Ok(None),
            Err(VarError::NotUnicode(_)) => bail!(ArgumentError(format!("{name} is not UTF-8"))),
        };
        // The variables for traces alone take precedence.
        let first = |kind: &str| {
            for name in exporter_names(kind) {
                if let Some(value) = get(&name)? {
                    return Ok(Some((value, name)));
                }
            }
            Ok::<_, anyhow::Error>(None)
        };
        let is = |name: &str, off: &str| {
            Ok::<_, anyhow::Error>(get(name)?.is_some_and(|value| value.eq_ignore_ascii_case(off)))
        };

        let Some((endpoint, endpoint_name)) = first("ENDPOINT")? else { return Ok(None) };
        if is("OTEL_SDK_DISABLED", "true")? || is("OTEL_TRACES_EXPORTER", "none")? {
            return Ok(None);
        }
        let exporter = EXPORTER
            .into_iter()
            .flat_map(|(kind, check)| exporter_names(kind).map(|name| (name, check)));
        let sdk = SDK.into_iter().map(|(name, check)| (name.to_owned(), check));
        for (name, check) in exporter.chain(sdk) {
            if let Some(value) = get(&name)? {
                check(&value).map_err(|error| ArgumentError(format!("{name}: {error:#}")))?;
            }
        }

        let protocol = match first("PROTOCOL")? {
            Some((protocol, _)) => parse_protocol(&protocol)?,
            None => Protocol::default(),
        };
        let timeout = match first("TIMEOUT")? {
            Some((milliseconds, _)) => Duration::from_millis(parse_number(&milliseconds)?),
            None => OTEL_EXPORTER_OTLP_TIMEOUT_DEFAULT,
        };
        let tls = if endpoint.starts_with("https:") {
            Some(match first("CERTIFICATE")? {
                Some((file, name)) => authorities::in_file(Path::new(&file)).context(name)?,
                None => authorities::trusted().context(endpoint_name)?,
            })
        } else {
            None
        };
        Ok(Some(Self { endpoint, protocol, timeout, tls }))
    }
}

pub fn name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Grpc => "grpc",
        _ => "http/protobuf",
    }
}

fn exporter_names(kind: &str) -> [String; 2] {
    ["TRACES_", ""].map(|signal| format!("OTEL_EXPORTER_OTLP_{signal}{kind}"))
}

fn parse_protocol(protocol: &str) -> Result<Protocol> {
    match protocol {
        "grpc" => Ok(Protocol::Grpc),
        "http/protobuf" => Ok(Protocol::HttpBinary),
        _ => bail!("{protocol} is not one of grpc, http/protobuf"),
    }
}

fn check_endpoint(endpoint: &str) -> Result<()> {
    // Not shown: it may have a password in it.
    ensure!(!endpoint.contains('@'), "credentials belong in OTEL_EXPORTER_OTLP_HEADERS");
    let uri: Uri = endpoint.parse().with_context(|| format!("{endpoint} is not a URL"))?;
    let scheme = uri.scheme_str().unwrap_or_default();
    ensure!(["http", "https"].contains(&scheme), "{endpoint} must start with http:// or https://");
    Ok(())
}

/// A header's value may be a secret, and is not shown.
fn check_headers(headers: &str) -> Result<()> {
    for (place, header) in headers.split_terminator(',').enumerate() {
        let number = place + 1;
        let (name, value) = header
            .split_once('=')
            .with_context(|| format!("header {number} is not of the form name=value"))?;
        let (name, value) = (name.trim(), value.trim());
        ensure!(name.parse::<HeaderName>().is_ok(), "the name of header {number} is not valid");
        ensure!(value.parse::<HeaderValue>().is_ok(), "the value of {name} is not valid");
    }
    Ok(())
}

fn parse_number(number: &str) -> Result<u64> {
    number.parse().ok().with_context(|| format!("{number} is not a whole number"))
}

fn check_ratio(ratio: &str) -> Result<()> {
    let parsed = ratio.parse::<f64>().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
    ensure!(parsed.is_some(), "{ratio} is not a number from 0 to 1");
    Ok(())
}

fn check_choice(value: &str, choices: &[&str]) -> Result<()> {
    ensure!(choices.contains(&value), "{value} is not one of {}", choices.join(", "));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(set: &[(&str, &str)]) -> Result<Option<Settings>> {
        Settings::read(|name| {
            let found = set.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned()).ok_or(VarError::NotPresent)
        })
    }

    const COLLECTOR: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://h:4318");

    #[test]
    fn without_an_endpoint_there_are_no_traces() {
        for set in [
            &[][..],
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", "")],
            &[("OTEL_EXPORTER_OTLP_PROTOCOL", "nonsense")],
            &[COLLECTOR, ("OTEL_SDK_DISABLED", "True")],
            &[COLLECTOR, ("OTEL_TRACES_EXPORTER", "none")],
        ] {
            assert!(read(set).unwrap().is_none(), "{set:?}");
        }
    }

    #[test]
    fn what_is_for_traces_alone_comes_first() {
        let settings = read(&[COLLECTOR]).unwrap().unwrap();
        assert_eq!((&*settings.endpoint, settings.protocol), (COLLECTOR.1, Protocol::HttpBinary));
        let settings = read(&[
            COLLECTOR,
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://t/own"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc"),
        ]);
        let settings = settings.unwrap().unwrap();
        assert_eq!((&*settings.endpoint, settings.protocol), ("http://t/own", Protocol::Grpc));
    }

    #[test]
    fn a_value_that_cannot_be_used_is_named_with_its_variable() {
        let samplers = "always_on, always_off, traceidratio, parentbased_always_on, \
                        parentbased_always_off, parentbased_traceidratio";
        for (name, value, error) in [
            (
                "OTEL_EXPORTER_OTLP_PROTOCOL",
                "http/json",
                "http/json is not one of grpc, http/protobuf",
            ),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s", "10s is not a whole number"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=b,secret", "header 2 is not of the form name=value"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a b=secret", "the name of header 1 is not valid"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=b\nc", "the value of a is not valid"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip", "gzip is not one of none"),
            ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/dev/zero", NO_IDENTITY),
            ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE", "/dev/zero", NO_IDENTITY),
            ("OTEL_BSP_SCHEDULE_DELAY", "-1", "-1 is not a whole number"),
            ("OTEL_TRACES_EXPORTER", "zipkin", "zipkin is not one of otlp, none"),
            ("OTEL_TRACES_SAMPLER", "xray", &format!("xray is not one of {samplers}")),
            ("OTEL_TRACES_SAMPLER_ARG", "2", "2 is not a number from 0 to 1"),
            (
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
                "collector:4317",
                "collector:4317 must start with http:// or https://",
            ),
            (
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
                "http://user:secret@c",
                "credentials belong in OTEL_EXPORTER_OTLP_HEADERS",
            ),
        ] {
            let refused = format!("{:#}", read(&[(name, value), COLLECTOR]).unwrap_err());
            assert_eq!(refused, format!("{name}: {error}"));
        }
        for variable in ["OTEL_EXPORTER_OTLP_CERTIFICATE", "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE"]
        {
            for (file, problem) in [
                ("/no/such/file", "No such file or directory (os error 2)"),
                ("/", "it is not a regular file"),
                ("/dev/zero", "it is not a regular file"),
            ] {
                let secure = ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://h:4318");
                let refused = format!("{:#}", read(&[secure, (variable, file)]).unwrap_err());
                assert_eq!(refused, format!("{variable}: cannot read {file}: {problem}"));
            }
        }
    }
}
