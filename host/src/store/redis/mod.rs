//! Locks in Redis: the store of `lock.redis` components.
//!
//! A lock is a key whose value is its owner and whose time to live is the lock's, as daprd keeps
//! it, so both exclude each other on one server. Commands, settings and retries are those of
//! `holdfast-redis-rules`; here are the sockets, the tasks and the time. How a key is built is not
//! known here.
//!
//! | module | what lives there |
//! |---|---|
//! | `store` | [`RedisStore`]: what an outcome is to a lock |
//! | `check` | what a server is asked before locks are trusted to it |
//! | `client` | one command until its reply has come, also after its caller has gone |
//! | `commands` | the two commands of a lock, handed to a connection |
//! | `pending` | a command that was sent and not answered |
//! | `abandoned` | acquires that nobody waits for |
//! | `connections` | the pool |
//! | `dial` | opening a connection |
//! | `connection` | one socket |
//! | `failure` | what an error of the client library means |
//! | `settings`, `url`, `tls` | [`RedisSettings`] |

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
