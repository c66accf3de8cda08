//! How much of a request's body is read.

/// The longest body that is taken, in bytes: 4 MiB, as Dapr's default.
pub const MAX: usize = 4 << 20;

/// Of a body that cannot be meant nothing is read: one that says it is longer than twice what is
/// taken. Of others so much is read, so that a client that looks for the answer only when all is sent
/// finds it.
pub fn is_absurd(announced: u64) -> bool {
    announced > 2 * MAX as u64
}
