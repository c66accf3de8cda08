//! Open files: how many this process may have, and how they are divided among the ports.

use std::num::NonZeroUsize;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::server::Limits;

/// The limit of open files of this process, which it has raised for itself. `None` stands for no limit.
#[derive(Clone, Copy, Debug)]
pub struct OpenFiles {
    /// The limit at the start, which is also that of the application.
    before: Rlimit,
    now: Option<u64>,
}

impl OpenFiles {
    /// Raises the limit to the highest that is allowed, as programs in Go do at their start.
    pub fn raise() -> Self {
        let before = getrlimit(Resource::Nofile);
        let Rlimit { current, maximum } = before;
        let now = match set(Rlimit { current: maximum, maximum }) {
            true => maximum,
            false => current,
        };
        Self { before, now }
    }

    /// The limit now.
    pub fn limit(self) -> Option<u64> {
        self.now
    }

    /// Starts a process, with the limit of before, as programs in Go do: a process that calls `select` cannot use more
    /// than 1,024 files. While it starts, nothing else may need many files.
    pub fn restore_for<T>(self, start: impl FnOnce() -> T) -> T {
        let Rlimit { current, maximum } = self.before;
        if self.now == current {
            return start();
        }
        set(self.before);
        let started = start();
        set(Rlimit { current: self.now, maximum });
        started
    }
}

/// Sets the limit, and says whether that worked.
fn set(limit: Rlimit) -> bool {
    let set = setrlimit(Resource::Nofile, limit);
    if let Err(error) = &set {
        tracing::warn!("cannot set the limit of open files: {error}");
    }
    set.is_ok()
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
