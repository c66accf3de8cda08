//! The API token.

use std::fmt;

use subtle::ConstantTimeEq;

/// The token that requests must carry. It is never printed, not even by `Debug`.
pub(crate) struct Token(Vec<u8>);

impl Token {
    pub(crate) fn new(token: &str) -> Self {
        Self(token.as_bytes().to_owned())
    }

    /// Whether `sent` is the token. The time that this takes does not depend on the token.
    pub(crate) fn is(&self, sent: &[u8]) -> bool {
        self.0.ct_eq(sent).into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}
