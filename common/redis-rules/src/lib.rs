//! How locks are kept in Redis: everything that needs no socket, no task and no clock.
//!
//! Two clients use this: the library's Redis store, and the component for stock runtimes. Both write
//! the same keys and values, read the same settings and retry after the same refusals.
//!
//! | module | what lives there |
//! |---|---|
//! | [`settings`] | the settings of a store: names, defaults and refusals |
//! | [`address`] | `host:port` as `redisHost` writes it |
//! | [`limit`] | durations as a settings file writes them |
//! | [`login`] | the commands that a new connection starts with |
//! | [`probes`] | the questions that follow the login, and which of them close a connection |
//! | [`facts`] | what the answers to these questions say |
//! | [`fitness`] | which servers are not safe for locks |
//! | [`disk`] | when changes are on a server's disk |
//! | [`rejoin`] | which servers may have lost locks when they started |
//! | [`acquire`], [`release`] | the words of a command, and what its reply means |
//! | [`fence`], [`extend`], [`inspect`] | the same for leases, by scripts |
//! | [`raise`] | the same for fencing tokens from another server |
//! | [`list`], [`force_release`] | the same for operators |
//! | [`replicas`] | the same for the wait for replicas |
//! | [`slot`], [`redirect`] | where a cluster keeps a key |
//! | [`expiry`] | when a lock expires, in the form that a command takes |
//! | [`clock`] | the server's clock, as far as a client knows it |
//! | [`term`] | when a lock expires by that clock, and whether a grant counts |
//! | [`reply`] | the replies of a server |
//! | [`resp`] | commands and replies as bytes |
//! | [`refusal`] | which refusals are worth another try |
//! | [`tries`] | how often a command is tried |
//! | [`backoff`] | how long to wait between tries |

#![no_std]

extern crate alloc;

pub mod acquire;
pub mod address;
pub mod backoff;
pub mod clock;
pub mod disk;
pub mod expiry;
pub mod extend;
pub mod facts;
pub mod fence;
pub mod fitness;
pub mod force_release;
pub mod inspect;
pub mod limit;
pub mod list;
pub mod login;
pub mod probes;
pub mod raise;
pub mod redirect;
pub mod refusal;
pub mod rejoin;
pub mod release;
pub mod replicas;
pub mod reply;
pub mod resp;
pub mod settings;
pub mod slot;
pub mod term;
pub mod tries;
