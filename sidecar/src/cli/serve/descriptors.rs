//! Open files: how many this process may have, and how they are divided among the ports.

use std::num::NonZeroUsize;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::server::Limits;

/// Raises the limit of open files to the highest that is allowed, as programs in Go do at their start.
///
/// Returns the limit, or `None` if there is none.
pub fn raise() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return current;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => maximum,
        Err(error) => {
            tracing::warn!("cannot raise the limit of open files: {error}");
            current
        }
    }
}

/// Divides the open files: a part is kept for stores, traces and the process itself, a small part is for each
/// of the auxiliary ports, and the rest is for the two APIs.
pub fn divide(
    open_files: Option<u64>,
    max_connections: Option<NonZeroUsize>,
    auxiliary_ports: usize,
) -> Limits {
    let limits = Limits::default();
    let most = max_connections.map_or(limits.connections, NonZeroUsize::get);
    let Some(open_files) = open_files.and_then(|files| usize::try_from(files).ok()) else {
        return limits.connections(most);
    };
    let auxiliary = limits.auxiliary_connections.min(open_files / 16).max(1);
    let kept = (open_files / 8).clamp(32, 512);
    let each = open_files.saturating_sub(kept + auxiliary_ports * auxiliary) / 2;
    limits.connections(most.min(each).max(1)).auxiliary_connections(auxiliary)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ports_together_leave_files_for_the_stores() {
        for (open_files, connections, auxiliary) in [
            (Some(1024), 384, 64),
            (Some(20_000), 9616, 128),
            (Some(1 << 20), 10_000, 128),
            (Some(64), 12, 4),
            (Some(0), 1, 1),
            (None, 10_000, 128),
        ] {
            let limits = divide(open_files, None, 2);
            let divided = (limits.connections, limits.auxiliary_connections);
            assert_eq!(divided, (connections, auxiliary), "{open_files:?}");
        }
        assert_eq!(divide(Some(1024), NonZeroUsize::new(100), 2).connections, 100);
        assert_eq!(divide(Some(1024), NonZeroUsize::new(1000), 2).connections, 384);
    }
}
