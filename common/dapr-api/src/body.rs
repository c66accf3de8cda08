//! How much of a request's body a server reads.

/// The longest body that a server accepts, in bytes: 4 MiB, Dapr's default.
pub const MAX_BODY_BYTES: usize = 4 << 20;

/// The longest body of a call about a lease, in bytes: 8 KiB. A waiting call keeps its body in memory.
pub const MAX_LEASE_BODY_BYTES: usize = 8 << 10;

/// Whether a server refuses a body of this length, in bytes, unread: it is longer than twice [`MAX_BODY_BYTES`].
///
/// A server reads a shorter body to its end even if it is too long, because some clients look for the reply only once
/// they have sent everything.
pub fn is_refused_unread(length: u64) -> bool {
    length > 2 * MAX_BODY_BYTES as u64
}
