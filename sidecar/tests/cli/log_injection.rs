//! Text that callers send, in the log of `serve`.

use holdfast_tests::{
    holdfast::{Holdfast, serve},
    http_client::{get, post},
    redis_server::RedisServer,
    resources::Resources,
};

use crate::HOLDFAST;

#[tokio::test]
async fn callers_cannot_forge_log_lines() {
    let redis = RedisServer::start();
    let resources =
        Resources::in_redis(&redis, &[("readTimeout", "1s"), ("redisMaxRetries", "-1")]);
    let mut command = serve(HOLDFAST);
    command.args(["--resources-path", resources.path()]);
    let holdfast = Holdfast::start_ready(command);
    let address = holdfast.http().parse().unwrap();

    redis.suspend();
    let body = r#"{"resourceId":"r","lockOwner":"own\n2026-01-01T00:00:00Z ERROR forged\u001b[31m\u202e","ttl":"30s"}"#;
    let reply = post(address, "/v1.0/leases/lockstore/acquire", body.to_owned()).await;
    assert!(reply.status >= 500 && reply.body.contains(r"own\n2026"), "{reply:?}");
    redis.resume();
    get(address, "/v1.0/invoke/\u{202e}end").await;

    let failed = holdfast.wait_for(r"(the owner is own\n2026-01-01T00:00:00Z ERROR forged");
    assert!(failed.contains(r"[31m\u{202e}"), "{failed}");
    holdfast.wait_for(r"/v1.0/invoke/\u{202e}end is not served");
    let log = holdfast.log();
    assert!(!log.contains(['\u{1b}', '\u{202e}']), "{log:?}");
    assert!(log.lines().all(|line| line.contains("holdfast")), "{log}");
}
