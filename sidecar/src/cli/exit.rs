//! Exit codes.

/// A command that answers yes or no answers yes.
pub const YES: u8 = 0;
/// It answers no.
pub const NO: u8 = 1;
/// It cannot answer.
pub const TROUBLE: u8 = 2;
