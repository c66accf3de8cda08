//! The driver's view: the values of keys at the servers that decide now.
//!
//! | module | what lives there |
//! |---|---|
//! | [`one`], [`sentinel`], [`cluster`], [`quorum`] | looking into each kind of servers |
//! | `link` | a connection of the driver to one server |

pub mod cluster;
mod link;
pub mod one;
pub mod quorum;
pub mod sentinel;

use redis::RedisResult;

use crate::history::Observation;

/// Looks into the servers of a run.
pub trait View: Send {
    /// The values of the keys, without those that cannot be known now.
    fn look(&mut self, keys: &[String]) -> RedisResult<Vec<Observation>>;
}
