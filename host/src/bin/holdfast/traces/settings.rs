//! OpenTelemetry's environment variables, checked: the libraries that read them too pass over what they
//! cannot use (OpenTelemetry specification, "Environment Variable Specification" and "OpenTelemetry
//! Protocol Exporter").

use std::{env::VarError, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use hyper::{
    Uri,
    header::{HeaderName, HeaderValue},
};
use opentelemetry_otlp::Protocol;
use rustls::RootCertStore;

use super::tls;

const ENDPOINT: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
const PROTOCOL: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
const TIMEOUT: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"];
const HEADERS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"];
const CERTIFICATE: [&str; 2] =
    ["OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE"];
const COMPRESSION: [&str; 2] =
    ["OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION"];
const NUMBERS: [&str; 4] = [
    "OTEL_BSP_SCHEDULE_DELAY",
    "OTEL_BSP_EXPORT_TIMEOUT",
    "OTEL_BSP_MAX_QUEUE_SIZE",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
];
const SAMPLERS: [&str; 6] = [
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
];

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// Where spans go, and how.
#[derive(Debug)]
pub struct Settings {
    pub endpoint: String,
    pub protocol: Protocol,
    pub timeout: Duration,
    /// Whose certificates are trusted, where there is TLS.
    pub tls: Option<RootCertStore>,
}

/// A variable's value, and the variable.
type Found = (String, &'static str);

impl Settings {
    /// `None` where no endpoint is set, or no traces are asked for.
    pub fn read(var: impl Fn(&str) -> Result<String, VarError>) -> Result<Option<Self>> {
        let first = |names: &[&'static str]| first(&var, names);
        let Some((endpoint, endpoint_var)) = first(&ENDPOINT)? else { return Ok(None) };
        let is = |name, wanted: &str| {
            let found = first(&[name])?;
            Ok::<_, anyhow::Error>(found.is_some_and(|(it, _)| it.eq_ignore_ascii_case(wanted)))
        };
        if is("OTEL_SDK_DISABLED", "true")? || is("OTEL_TRACES_EXPORTER", "none")? {
            return Ok(None);
        }
        if let Some((exporter, var)) = first(&["OTEL_TRACES_EXPORTER"])? {
            ensure!(exporter == "otlp", "{var}: {exporter} is none of otlp and none");
        }

        let protocol = match first(&PROTOCOL)? {
            Some((protocol, var)) => parse_protocol(&protocol).context(var)?,
            None => Protocol::HttpBinary,
        };
        let timeout = match first(&TIMEOUT)? {
            Some((timeout, var)) => Duration::from_millis(parse_number(&timeout).context(var)?),
            None => DEFAULT_TIMEOUT,
        };
        let endpoint = parse_endpoint(&endpoint).context(endpoint_var)?;
        let signal_path = protocol == Protocol::HttpBinary && endpoint_var == ENDPOINT[1];
        let endpoint = if signal_path {
            format!("{}/v1/traces", endpoint.trim_end_matches('/'))
        } else {
            endpoint
        };

        if let Some((headers, var)) = first(&HEADERS)? {
            check_headers(&headers).context(var)?;
        }
        if let Some((compression, var)) = first(&COMPRESSION)? {
            ensure!(compression == "none", "{var}: {compression} is not supported (there is none)");
        }
        for name in NUMBERS {
            if let Some((number, var)) = first(&[name])? {
                parse_number(&number).context(var)?;
            }
        }
        check_sampler(first(&["OTEL_TRACES_SAMPLER"])?, first(&["OTEL_TRACES_SAMPLER_ARG"])?)?;
        let tls = if endpoint.starts_with("https:") {
            let certificate = first(&CERTIFICATE)?;
            let file = certificate.as_ref().map(|(file, _)| file.as_str());
            let var = certificate.as_ref().map_or(endpoint_var, |(_, var)| var);
            Some(tls::trusted(file).context(var)?)
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

/// The first variable that is set and not empty.
fn first(
    var: impl Fn(&str) -> Result<String, VarError>,
    names: &[&'static str],
) -> Result<Option<Found>> {
    for name in names {
        match var(name) {
            Ok(value) if !value.trim().is_empty() => {
                return Ok(Some((value.trim().to_owned(), name)));
            }
            Ok(_) | Err(VarError::NotPresent) => {}
            Err(VarError::NotUnicode(_)) => bail!("{name} is not UTF-8"),
        }
    }
    Ok(None)
}

fn parse_protocol(protocol: &str) -> Result<Protocol> {
    match protocol {
        "grpc" => Ok(Protocol::Grpc),
        "http/protobuf" => Ok(Protocol::HttpBinary),
        other => bail!("{other} is not supported (there are grpc and http/protobuf)"),
    }
}

fn parse_endpoint(endpoint: &str) -> Result<String> {
    // Not to be shown: it may have a password in it.
    ensure!(!endpoint.contains('@'), "credentials belong into {}", HEADERS[1]);
    let uri: Uri = endpoint.parse().with_context(|| format!("{endpoint} is no URL"))?;
    ensure!(uri.host().is_some(), "{endpoint} names no host");
    match uri.scheme_str() {
        Some("http" | "https") => Ok(endpoint.to_owned()),
        _ => bail!("{endpoint} must start with http:// or https://"),
    }
}

fn parse_number(number: &str) -> Result<u64> {
    number.parse().with_context(|| format!("{number} is no whole number"))
}

/// A header's value may be a secret, and is not shown.
fn check_headers(headers: &str) -> Result<()> {
    for (place, header) in headers.split_terminator(',').enumerate() {
        let number = place + 1;
        let (name, value) = header
            .split_once('=')
            .with_context(|| format!("header {number} is not of the form name=value"))?;
        let (name, value) = (name.trim(), value.trim());
        ensure!(name.parse::<HeaderName>().is_ok(), "the name of header {number} cannot be one");
        ensure!(value.parse::<HeaderValue>().is_ok(), "the value of {name} cannot be one");
    }
    Ok(())
}

fn check_sampler(sampler: Option<Found>, argument: Option<Found>) -> Result<()> {
    let Some((sampler, var)) = sampler else { return Ok(()) };
    let known = SAMPLERS.join(", ");
    ensure!(SAMPLERS.contains(&&*sampler), "{var}: {sampler} is none of {known}");
    if let Some((ratio, var)) = argument
        && sampler.ends_with("traceidratio")
    {
        let parsed = ratio.parse::<f64>().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
        ensure!(parsed.is_some(), "{var}: {ratio} is no number from 0 to 1");
    }
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

    #[test]
    fn without_an_endpoint_there_are_no_traces() {
        for set in [
            &[][..],
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", "")],
            &[("OTEL_EXPORTER_OTLP_PROTOCOL", "nonsense")],
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://h:4318"), ("OTEL_SDK_DISABLED", "True")],
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://h:4318"), ("OTEL_TRACES_EXPORTER", "none")],
        ] {
            assert!(read(set).unwrap().is_none(), "{set:?}");
        }
    }

    #[test]
    fn what_is_for_traces_alone_comes_first() {
        let settings = |endpoint: &str, protocol, seconds| {
            (endpoint.to_owned(), protocol, Duration::from_secs(seconds))
        };
        for (set, expected) in [
            (
                &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://h:4318/")][..],
                settings("http://h:4318/v1/traces", Protocol::HttpBinary, 10),
            ),
            (
                &[
                    ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://h:4317"),
                    ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
                    ("OTEL_EXPORTER_OTLP_TIMEOUT", "2000"),
                ],
                settings("http://h:4317", Protocol::Grpc, 2),
            ),
            (
                &[
                    ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://h:4317"),
                    ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://t/own"),
                    ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
                    ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf"),
                ],
                settings("http://t/own", Protocol::HttpBinary, 10),
            ),
        ] {
            let read = read(set).unwrap().unwrap();
            assert!(read.tls.is_none());
            assert_eq!((read.endpoint, read.protocol, read.timeout), expected, "{set:?}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_named_with_its_variable() {
        for (name, value, error) in [
            (
                "OTEL_EXPORTER_OTLP_PROTOCOL",
                "http/json",
                "http/json is not supported (there are grpc and http/protobuf)",
            ),
            (
                "OTEL_EXPORTER_OTLP_TIMEOUT",
                "10s",
                "10s is no whole number: invalid digit found in string",
            ),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=b,secret", "header 2 is not of the form name=value"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a b=secret", "the name of header 1 cannot be one"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip", "gzip is not supported (there is none)"),
            (
                "OTEL_BSP_SCHEDULE_DELAY",
                "-1",
                "-1 is no whole number: invalid digit found in string",
            ),
            ("OTEL_TRACES_EXPORTER", "zipkin", "zipkin is none of otlp and none"),
            (
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
                "collector:4317",
                "collector:4317 must start with http:// or https://",
            ),
            (
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
                "http://user:secret@c",
                "credentials belong into OTEL_EXPORTER_OTLP_HEADERS",
            ),
        ] {
            let set = [(name, value), ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://h:4318")];
            let refused = format!("{:#}", read(&set).unwrap_err());
            assert_eq!(refused, format!("{name}: {error}"));
        }
        let nowhere = read(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://h:4318"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/no/such/file"),
        ]);
        let refused = format!("{:#}", nowhere.unwrap_err());
        let expected = "OTEL_EXPORTER_OTLP_CERTIFICATE: cannot read /no/such/file: ";
        assert!(refused.starts_with(expected), "{refused}");
        let sampler = |name, argument| {
            let refused = read(&[
                ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://h:4318"),
                ("OTEL_TRACES_SAMPLER", name),
                ("OTEL_TRACES_SAMPLER_ARG", argument),
            ]);
            format!("{:#}", refused.unwrap_err())
        };
        assert!(
            sampler("xray", "").starts_with("OTEL_TRACES_SAMPLER: xray is none of always_on, ")
        );
        let ratio = "OTEL_TRACES_SAMPLER_ARG: 2 is no number from 0 to 1";
        assert_eq!(sampler("traceidratio", "2"), ratio);
    }
}
