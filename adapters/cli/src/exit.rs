//! The exit codes.

/// The exit code of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// The lock was taken or freed.
    Done = 0,
    /// The lock is held by somebody, or was not the owner's.
    NotDone = 1,
    /// An error.
    Failed = 2,
}
