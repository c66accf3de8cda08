//! Options that have no effect without others.

use std::env;

use super::{
    super::arguments::{Serve, parse::Given},
    token::ADMIN_TOKEN,
};

const WITHOUT_ADMIN: &str = "without --enable-admin";

/// The id of an option, whether it has an effect, and the message if it has none.
type Condition = (&'static str, fn(&Serve) -> bool, &'static str);

const CONDITIONS: [Condition; 10] = [
    ("admin_port", |args| args.enable_admin, WITHOUT_ADMIN),
    ("admin_listen_address", |args| args.enable_admin, WITHOUT_ADMIN),
    ("dapr_public_listen_address", |args| args.dapr_public_port.is_some(), {
        "without --dapr-public-port"
    }),
    ("metrics_port", |args| args.enable_metrics, "with --enable-metrics=false"),
    ("metrics_listen_address", |args| args.enable_metrics, "with --enable-metrics=false"),
    ("dapr_http_port", |args| args.unix_domain_socket.is_none(), "with --unix-domain-socket"),
    ("dapr_grpc_port", |args| args.unix_domain_socket.is_none(), "with --unix-domain-socket"),
    ("dapr_listen_addresses", |args| args.unix_domain_socket.is_none(), {
        "with --unix-domain-socket"
    }),
    ("dapr_block_shutdown_duration", |args| args.command.is_empty(), {
        "with a command after --, whose end begins the shutdown"
    }),
    ("components_path", |args| args.stores.resources_path.is_empty(), "with --resources-path"),
];

/// A line about each option, or variable, that was set and has no effect.
pub fn warnings(args: &Serve, given: &Given) -> Vec<String> {
    let unused = CONDITIONS.iter().filter(|(_, has_effect, _)| !has_effect(args));
    let names = unused.filter_map(|(id, _, why)| Some((given.set(id)?, *why)));
    // The variable of the token stands for no option.
    let has_token = env::var_os(ADMIN_TOKEN).is_some_and(|token| !token.is_empty());
    let token = (has_token && !args.enable_admin).then_some((ADMIN_TOKEN, WITHOUT_ADMIN));
    names.chain(token).map(|(name, why)| format!("{name} has no effect {why}")).collect()
}
