//! Wrong arguments that only their command finds.

/// What is wrong with an argument, or with a variable that stands for one or for a setting.
///
/// It does not depend on the system, and trying again is no use, so a command ends with the same code as if the
/// argument could not be read. The code differs from that of a failure.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct WrongArgument(pub String);
