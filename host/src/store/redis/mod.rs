//! Locks in Redis: the store of `lock.redis` components.
//!
//! A lock is a key whose value is the owner and whose time to live is the lock's, as in daprd, so both exclude each
//! other on one server. Commands, settings and retries come from `holdfast-redis-rules`; this module adds sockets,
//! tasks and time. Keys arrive complete.
//!
//! | module | what lives there |
//! |---|---|
//! | `store` | [`RedisStore`] |
//! | `survey` | what an operator sees of the servers |
//! | `connecting` | [`connect`], for one store or a quorum of several |
//! | `check`, `connect_error` | the check of a server before it keeps locks, and why a store cannot be used |
//! | `client` | a command and its tries |
//! | `outcome` | the end of a command, after all tries |
//! | `connections` | the pool |
//! | `nodes`, `cluster`, `topology` | the servers of a store, and which of them has a key |
//! | `ask_all`, `epoch` | asking many servers the same question, and which answers count |
//! | `one_question` | one question at a time, whose answer all waiting callers share |
//! | `connect_budget` | how long a command waits for connections on its route |
//! | `endpoint`, `sentinel` | where a client finds its server |
//! | `stream` | opening a stream of bytes |
//! | `dial`, `dial_error` | opening a connection |
//! | `connection` | one connection, as its callers see it |
//! | `driver` | the task of a connection, which moves bytes |
//! | `queue` | the commands of a connection that are not answered yet |
//! | `session` | a connection that one task uses alone |
//! | `watch` | a connection on which the server notifies of changes of locks |
//! | `answer` | the answer to a command on one connection |
//! | `absence` | a server that takes no locks for a while |
//! | `description` | a one-line description of a server |
//! | `membership` | the node of a quorum that a store is |
//! | `time_limit` | waiting for a limited time |
//! | `settings`, `url`, `tls` | [`RedisSettings`] |
//! | `host_advice` | a host in another form, such as a URL |
//! | `metrics` | metrics of connections |
//!
//! The connection is Holdfast's own, because the client libraries know no expiry at a time of the server's clock, and
//! no command that goes on without its caller. The crate `redis` reads URLs, the messages that the server sends
//! unasked, and the answers of sentinels: its own client of Sentinel asks one after another, and does not listen to
//! them.

mod absence;
mod answer;
mod ask_all;
mod check;
mod client;
mod cluster;
mod connect_budget;
mod connect_error;
mod connecting;
mod connection;
mod connections;
mod description;
mod dial;
mod dial_error;
mod driver;
mod endpoint;
mod epoch;
mod host_advice;
mod membership;
mod metrics;
mod nodes;
mod one_question;
mod outcome;
mod queue;
mod sentinel;
mod session;
mod settings;
mod store;
mod stream;
mod survey;
mod time_limit;
mod tls;
mod topology;
mod url;
mod watch;

pub use holdfast_redis_rules::refusal::RefusedLogin;

#[cfg(feature = "resources")]
pub(crate) use self::settings::default_pool_size;
pub use self::{
    connect_error::ConnectError,
    connecting::{connect, connect_within},
    settings::{RedisSetterError, RedisSettings},
    store::RedisStore,
    url::{RedisUrlError, RedisUrlPart},
};
