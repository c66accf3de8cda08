//! The headers of a request, as a proxy shows them.

use alloc::vec::Vec;

/// The headers of a request.
pub trait Headers {
    /// The value of the header of this name, which is in lower case. Commas join several values (RFC 9110, section
    /// 5.3). The pseudo-headers of HTTP/2 (`:method`, `:scheme`, `:authority`, `:path`) are among the headers, whatever
    /// version of HTTP the client speaks.
    fn get(&self, name: &str) -> Option<Vec<u8>>;
}
