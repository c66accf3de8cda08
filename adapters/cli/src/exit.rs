//! How a command ends.

/// The exit code of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// The lock was taken, or released.
    Yes = 0,
    /// The lock is held, or was not the owner's.
    No = 1,
    /// The command failed, or the outcome is unknown.
    Trouble = 2,
}
