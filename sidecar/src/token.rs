//! The API token: who may call at all.

use std::fmt;

use subtle::ConstantTimeEq;

/// What each request must show. Never shown itself, not in debug output either.
pub(crate) struct Token(Vec<u8>);

impl Token {
    pub(crate) fn new(token: &str) -> Self {
        Self(token.as_bytes().to_owned())
    }

    /// Whether this is the token; how long it takes to tell says nothing about it.
    pub(crate) fn is(&self, shown: &[u8]) -> bool {
        self.0.ct_eq(shown).into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}
