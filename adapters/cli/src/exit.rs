//! The exit codes.

/// The exit code of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// The lock was taken or freed.
    Done = 0,
    /// The lock is held already, or the owner did not hold it.
    NotDone = 1,
    /// An error.
    Failed = 2,
}
