//! Wrong arguments that only their command finds.

/// The error about an argument, or about a variable that stands for one or for a setting.
///
/// It does not depend on the system, and another try would not help, so a command ends with the same code as if the
/// argument could not be read. The code differs from that of a failure.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ArgumentError(pub String);
