//! The names of each setting.
//!
//! A resource file uses Dapr's names, which match without case. The environment has the same names in
//! upper case with underscores; there, `REDIS_` in front is optional.

/// One setting and its spellings.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Dapr's names. If several are set, the first counts.
    pub dapr: &'static [&'static str],
    /// The environment variable.
    pub variable: &'static str,
}

macro_rules! settings {
    ($($(#[$doc:meta])* $variable:ident: $($dapr:literal),+;)+) => {
        $(
            $(#[$doc])*
            pub const $variable: &Setting =
                &Setting { dapr: &[$($dapr),+], variable: stringify!($variable) };
        )+

        /// All of them.
        pub const ALL: &[&Setting] = &[$($variable),+];
    };
}

settings! {
    /// The server's address: `host`, `host:port` or `[IPv6]:port`. Required. For Sentinel, a cluster and a quorum: a
    /// list with commas between.
    REDIS_HOST: "redisHost";
    /// The port for a host without one. Default: 6379.
    REDIS_PORT: "redisPort";
    /// The user that each connection logs in as. Default: none.
    REDIS_USERNAME: "redisUsername";
    /// The password of each connection. Default: none.
    REDIS_PASSWORD: "redisPassword";
    /// The number of the database. Default: 0.
    REDIS_DB: "redisDB";
    /// How the servers belong together: `node`, `sentinel`, `cluster` or `quorum`. Default: `node`.
    REDIS_TYPE: "redisType";
    /// Whether `redisHost` lists sentinels of Redis Sentinel. Default: false.
    FAILOVER: "failover";
    /// The name of the master in Redis Sentinel. Required with `failover`.
    SENTINEL_MASTER_NAME: "sentinelMasterName";
    /// The user that each connection to a sentinel logs in as. Default: none.
    SENTINEL_USERNAME: "sentinelUsername";
    /// The password of each connection to a sentinel. Default: none.
    SENTINEL_PASSWORD: "sentinelPassword";
    /// How many replicas must have a lock before it counts as taken. Default: 0.
    MIN_REPLICAS: "minReplicas";
    /// Whether these replicas, and the server itself, must have it in their append-only files. Default: false.
    REPLICAS_ON_DISK: "replicasOnDisk";
    /// The longest time to live of a lock in a quorum. Default: 60 seconds.
    QUORUM_MAX_TTL: "quorumMaxTtl";
    /// Whether to log in by Microsoft Entra ID. Not supported.
    USE_ENTRA_ID: "useEntraID";
    /// Whether to log in by OpenID Connect. Not supported.
    USE_OIDC: "useOIDC";
    /// The start of further settings of OpenID Connect. Not supported.
    OIDC_: "oidc";
    /// Whether to speak TLS. Default: false.
    ENABLE_TLS: "enableTLS";
    /// Whether to accept any certificate of the server. Default: false.
    INSECURE_SKIP_TLS_VERIFY: "insecureSkipTLSVerify";
    /// The certificate that the client shows, in PEM form. Default: none.
    CLIENT_CERT: "clientCert";
    /// The key of that certificate, in PEM form. Default: none.
    CLIENT_KEY: "clientKey";
    /// How many more tries a command gets after a try that changed nothing; -1 for none. Default: 3.
    MAX_RETRIES: "redisMaxRetries", "maxRetries";
    /// The first wait before another try, doubled each time. Default: 2 seconds.
    REDIS_MIN_RETRY_INTERVAL: "redisMinRetryInterval";
    /// The longest such wait, even if the first is longer. Default: 512 milliseconds.
    REDIS_MAX_RETRY_INTERVAL: "redisMaxRetryInterval";
    /// How long opening a connection may take, login included. Default: 5 seconds.
    DIAL_TIMEOUT: "dialTimeout";
    /// How long to wait for a reply. Default: 3 seconds.
    READ_TIMEOUT: "readTimeout";
    /// How long the network may accept nothing while a command is sent. Default: `readTimeout`.
    WRITE_TIMEOUT: "writeTimeout";
    /// How long to wait for room on a connection. Default: `readTimeout` plus 1 second.
    POOL_TIMEOUT: "poolTimeout";
    /// How many connections may be open. Default: 10 per CPU.
    POOL_SIZE: "poolSize";
    /// How many connections are opened at the start, and kept. Default: 0.
    MIN_IDLE_CONNS: "minIdleConns";
    /// How old a connection may get. Default: no limit.
    MAX_CONN_AGE: "maxConnAge";
    /// How long a connection may be idle. Default: 5 minutes.
    IDLE_TIMEOUT: "idleTimeout";
    /// How often connections are checked for age and idleness; -1 for never. Default: 1 minute.
    IDLE_CHECK_FREQUENCY: "idleCheckFrequency";
}

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use super::*;

    #[test]
    fn a_variable_is_daprs_name_in_snake_case() {
        for Setting { dapr, variable } in ALL {
            let plain: String = variable.chars().filter(|c| *c != '_').collect();
            let name = dapr.last().copied().unwrap_or_default();
            assert_eq!(plain, name.to_uppercase(), "{variable}");
        }
    }
}
