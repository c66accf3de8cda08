//! Locks in Redis: the store of `lock.redis` components.
//!
//! A lock is a key whose value is its owner and whose time to live is the lock's, as in daprd, so both
//! exclude each other on one server. Commands, settings and retries come from
//! `holdfast-redis-rules`; sockets, tasks and time are here. Keys arrive already built.
//!
//! | module | what lives there |
//! |---|---|
//! | `store` | [`RedisStore`] |
//! | `check` | the check of a server before locks are kept in it |
//! | `client` | a command from its first try to its reply, even after its caller has left |
//! | `commands` | the two commands of a lock |
//! | `pending` | a command that was sent and is not answered yet |
//! | `abandoned` | acquires whose callers have left |
//! | `connections` | the pool |
//! | `dial` | opening a connection |
//! | `connection` | one connection |
//! | `failure` | what an error of the client library means |
//! | `settings`, `url`, `tls` | [`RedisSettings`] |
//! | `metrics` | metrics of connections |

mod abandoned;
mod check;
mod client;
mod commands;
mod connection;
mod connections;
mod dial;
mod failure;
mod metrics;
mod pending;
mod settings;
mod store;
mod tls;
mod url;

pub use self::{
    check::ConnectError,
    settings::{RedisSetterError, RedisSettings},
    store::RedisStore,
    url::{RedisUrlError, RedisUrlPart},
};
