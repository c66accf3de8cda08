//! The settings of a Redis store, one table for both clients.
//!
//! | module | what lives there |
//! |---|---|
//! | [`names`] | the names of each setting, in a resource file and in the environment |
//! | [`source`] | where settings are looked up |
//! | `error` | the error that names a setting |
//! | `read` | a single setting as a boolean, a number or a duration |
//! | [`servers`] | which servers keep the locks |
//! | `store` | the settings that both clients use |
//! | `cloud` | logins that neither client supports |
//! | [`pool`] | the settings of a client with several connections |
//! | `unused` | settings that have no effect beside the others |
//! | [`tls`] | the settings of TLS, and their refusal by a client without it |

pub mod names;
pub mod pool;
pub mod servers;
pub mod source;
pub mod tls;

mod cloud;
mod error;
mod read;
mod store;
mod unused;

pub use error::SettingError;
pub use read::{NOT_A_BOOLEAN, boolean};
pub use servers::{Quorum, Sentinel, Servers};
pub use source::{Found, Source};
pub use store::{Settings, default_pool_timeout, dial_timeout};
pub use unused::{Unused, unused};

#[cfg(test)]
mod tests;
