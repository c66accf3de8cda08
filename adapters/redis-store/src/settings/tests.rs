use alloc::{
    string::{String, ToString},
    vec::Vec,
};

use super::*;

fn parse(set: &[(&str, &str)]) -> Result<Settings, String> {
    let owned = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
    let all: Vec<_> = set.iter().map(owned).collect();
    Settings::parse(&Variables::new(&all, "")).map_err(|error| error.to_string())
}

fn with(name: &str, value: &str) -> Result<Settings, String> {
    parse(&[("REDIS_HOST", "h:1"), (name, value)])
}

#[test]
fn only_the_host_is_required() {
    for set in [&[][..], &[("REDIS_HOST", "")], &[("REDIS_PORT", "1")]] {
        assert_eq!(parse(set).err().as_deref(), Some("REDIS_HOST is not set"));
    }
}

#[test]
fn defaults_are_the_component_files() {
    let s = parse(&[("REDIS_HOST", "h")]).unwrap();
    assert_eq!(s.address(), "h:6379");
    assert_eq!((s.db, s.retries), (0, 3));
    assert_eq!(s.backoff.min, Duration::from_secs(2));
    assert_eq!(s.backoff.max, Duration::from_millis(512));
    assert_eq!(s.dial_timeout, Some(Duration::from_secs(5)));
    assert_eq!(s.read_timeout, Some(Duration::from_secs(3)));
    assert_eq!(s.write_timeout, Some(Duration::from_secs(3)));
    assert_eq!(s.pool_timeout, Some(Duration::from_secs(4)));
    assert_eq!(s.max_age, None);
    assert_eq!(s.idle_timeout, Some(Duration::from_secs(300)));
    assert!(s.username.is_none() && s.password.is_none());
}

#[test]
fn reads_addresses() {
    for (host, port, expected) in [
        ("h", "", "h:6379"),
        ("h:1", "", "h:1"),
        ("h", "2", "h:2"),
        ("h:2", "2", "h:2"),
        ("[::1]:6379", "", "[::1]:6379"),
        ("[::1]", "7", "[::1]:7"),
        ("::1", "", "[::1]:6379"),
    ] {
        let s = parse(&[("REDIS_HOST", host), ("REDIS_PORT", port)]).unwrap();
        assert_eq!(s.address(), expected);
    }
}

#[test]
fn refuses_with_the_variables_name() {
    let tls = "asks for TLS, which this component does not speak";
    let sentinel = "asks for Redis Sentinel, which this component does not know";
    let cloud = "asks for a cloud identity provider, which cannot be reached from here";
    let kind = "is not node, the only type that this component knows";
    let duration = "is not a duration, such as 5s or 1m30s, or a number of milliseconds";
    let retries = "is not a whole number, or -1 for no retries";
    let port = "has a port that is not from 1 to 65535";
    for (name, value, problem) in [
        ("REDIS_PORT", "2", "differs from the port in REDIS_HOST"),
        ("REDIS_PORT", "x", port),
        ("REDIS_DB", "-1", "is not a whole number"),
        ("REDIS_TYPE", "cluster", kind),
        ("REDIS_TYPE", "sentinel", kind),
        ("FAILOVER", "true", sentinel),
        ("FAILOVER", "yes", "is not true or false"),
        ("SENTINEL_MASTER_NAME", "m", sentinel),
        ("REDIS_SENTINEL_MASTER_NAME", "m", sentinel),
        ("ENABLE_TLS", "true", tls),
        ("REDIS_ENABLE_TLS", "1", tls),
        ("ENABLE_TLS", "yes", "is not true or false"),
        ("INSECURE_SKIP_TLS_VERIFY", "T", tls),
        ("CLIENT_CERT", "x", tls),
        ("CLIENT_KEY", "x", tls),
        ("USE_ENTRA_ID", "true", cloud),
        ("USE_OIDC", "1", cloud),
        ("OIDC_CLIENT_ID", "x", cloud),
        ("MAX_RETRIES", "-2", retries),
        ("REDIS_MAX_RETRIES", "few", retries),
        ("READ_TIMEOUT", "soon", duration),
        ("REDIS_DIAL_TIMEOUT", "-5s", duration),
    ] {
        assert_eq!(with(name, value).err(), Some(format!("{name} {problem}")));
    }
    let not_an_address = "is not host or host:port";
    for (host, problem) in [
        ("h:0", port),
        (":1", not_an_address),
        ("[::1", not_an_address),
        ("redis://h", port),
        ("a:1,b:2", "is a list, which is for Redis Sentinel: this component does not know it"),
    ] {
        assert_eq!(with("REDIS_HOST", "h").map(drop), Ok(()));
        let refused = parse(&[("REDIS_HOST", host)]).err();
        assert_eq!(refused, Some(format!("REDIS_HOST {problem}")));
    }
}

#[test]
fn takes_every_setting_at_its_word() {
    let s = parse(&[
        ("REDIS_HOST", "h"),
        ("REDIS_TYPE", "Node"),
        ("REDIS_USERNAME", "u"),
        ("REDIS_PASSWORD", "p"),
        ("REDIS_DB", "7"),
        ("REDIS_MAX_RETRIES", "5"),
        ("REDIS_MIN_RETRY_INTERVAL", "10"),
        ("REDIS_MAX_RETRY_INTERVAL", "1s"),
        ("DIAL_TIMEOUT", "1m30s"),
        ("REDIS_READ_TIMEOUT", "700"),
        ("MAX_CONN_AGE", "1h"),
        ("IDLE_TIMEOUT", "-1"),
        ("ENABLE_TLS", "false"),
    ])
    .unwrap();
    assert_eq!((s.username.as_deref(), s.password.as_deref()), (Some("u"), Some("p")));
    assert_eq!((s.db, s.retries), (7, 5));
    assert_eq!(s.backoff.min, Duration::from_millis(10));
    assert_eq!(s.backoff.max, Duration::from_secs(1));
    assert_eq!(s.dial_timeout, Some(Duration::from_secs(90)));
    assert_eq!(s.write_timeout, Some(Duration::from_millis(700)));
    assert_eq!(s.pool_timeout, Some(Duration::from_millis(1700)));
    assert_eq!(s.max_age, Some(Duration::from_secs(3600)));
    assert_eq!(s.idle_timeout, None);
}

#[test]
fn minus_one_takes_the_bound_away() {
    for name in ["REDIS_MAX_RETRIES", "MAX_RETRIES"] {
        assert_eq!(with(name, "-1").unwrap().retries, 0);
    }
    assert_eq!(with("READ_TIMEOUT", "-1").unwrap().pool_timeout, None);
    assert_eq!(with("DIAL_TIMEOUT", "-1").unwrap().dial_timeout, None);
}

#[test]
fn a_duration_of_nothing_is_the_default() {
    assert_eq!(with("READ_TIMEOUT", "0").unwrap().read_timeout, Some(Duration::from_secs(3)));
}
