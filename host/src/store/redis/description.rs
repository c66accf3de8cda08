//! A one-line description of a server, by its reply to `INFO`.

use holdfast_redis_rules::{fitness::field, reply::Reply};

/// The server's name for itself, from its start to its end. No other server has the same name.
pub(super) fn run_id(info: &Reply) -> Option<&str> {
    let Reply::Text(info) = info else { return None };
    field(info, "run_id").filter(|id| !id.is_empty())
}

/// The server's version, replicas and persistence, as far as it reports them. `policy` is when it writes its
/// append-only file.
pub(super) fn describe(info: &Reply, policy: Option<&str>) -> Option<String> {
    let Reply::Text(info) = info else { return None };
    let field = |name| field(info, name);
    let version = match (field("valkey_version"), field("redis_version")) {
        (Some(version), _) => Some(format!("Valkey {version}")),
        (None, version) => version.map(|version| format!("Redis {version}")),
    };
    let replicas = field("connected_slaves").map(|count| match count {
        "0" => "no replicas".to_owned(),
        "1" => "1 replica".to_owned(),
        count => format!("{count} replicas"),
    });
    let persistence = field("aof_enabled").map(|enabled| match enabled {
        "0" => "no append-only file".to_owned(),
        _ => match policy {
            Some(policy) => format!("an append-only file, appendfsync {policy}"),
            None => "an append-only file".to_owned(),
        },
    });
    let eviction = field("maxmemory_policy").map(|policy| format!("maxmemory-policy {policy}"));
    let parts: Vec<_> = [version, replicas, persistence, eviction].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_described_by_what_it_tells() {
        let about = |info: &str| describe(&Reply::Text(info.to_owned()), None);
        let redis = "redis_version:7.0.15\r\nconnected_slaves:0\r\naof_enabled:1\r\n\
                     maxmemory_policy:noeviction\r\n";
        let expected =
            "Redis 7.0.15, no replicas, an append-only file, maxmemory-policy noeviction";
        assert_eq!(about(redis).as_deref(), Some(expected));
        let expected = "an append-only file, appendfsync always, maxmemory-policy noeviction";
        let told = describe(&Reply::Text(redis.to_owned()), Some("always"));
        assert!(told.is_some_and(|told| told.ends_with(expected)));
        let valkey = "redis_version:7.2.4\r\nvalkey_version:8.0.1\r\naof_enabled:0\r\n";
        assert_eq!(about(valkey).as_deref(), Some("Valkey 8.0.1, no append-only file"));
        assert_eq!(run_id(&Reply::Text("run_id:4f\r\n".to_owned())), Some("4f"));
        assert_eq!(run_id(&Reply::Text("run_id:\r\n".to_owned())), None);
        assert_eq!(about("nothing"), None);
        assert_eq!(describe(&Reply::Okay, None), None);
    }
}
