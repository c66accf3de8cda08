//! All faults, one family a file.
//!
//! | module | what lives there |
//! |---|---|
//! | `server`, `process`, `clock` | faults of the server's process, of a worker's process, of clocks |
//! | `network`, `partition` | the network, by a proxy or below TCP |
//! | `refusals`, `commands` | refusals by the server, and commands of other clients |
//! | `sentinel`, `cluster`, `quorum` | several servers |

mod clock;
mod cluster;
mod commands;
mod network;
mod partition;
mod process;
mod quorum;
mod refusals;
mod sentinel;
mod server;

use crate::fault::Fault;

/// All faults, in the order in which they are run. The long ones come first, so that a run that does several
/// at once ends soon.
pub fn all() -> Vec<Fault> {
    [
        server::FAULTS,
        sentinel::FAULTS,
        cluster::FAULTS,
        quorum::FAULTS,
        network::FAULTS,
        partition::FAULTS,
        process::FAULTS,
        clock::FAULTS,
        refusals::FAULTS,
        commands::FAULTS,
    ]
    .concat()
}
