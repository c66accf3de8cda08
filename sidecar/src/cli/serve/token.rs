//! The tokens that callers must send, from the environment.

use std::env::{self, VarError};

use anyhow::{Result, bail};

/// The variable with the token of the operator API.
pub const ADMIN_TOKEN: &str = "HOLDFAST_ADMIN_TOKEN";

/// The variable with the token of the other APIs.
pub const API_TOKEN: &str = "DAPR_API_TOKEN";

/// The token in an environment variable, if it is set. One that cannot be sent is not a token, and must not count as
/// none.
pub fn token(variable: &str) -> Result<Option<String>> {
    match env::var(variable) {
        Ok(token) => Ok(Some(token).filter(|token| !token.is_empty())),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => bail!("{variable}: the token is not UTF-8"),
    }
}
