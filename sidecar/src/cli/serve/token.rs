//! The tokens that callers must send, from the environment.

use std::env::{self, VarError};

use anyhow::{Result, bail};
use hyper::header::HeaderValue;

use super::super::{argument_error::ArgumentError, arguments::Serve};

/// The variable with the token of the operator API.
pub const ADMIN_TOKEN: &str = "HOLDFAST_ADMIN_TOKEN";

/// The variable with the token of the other APIs.
pub const API_TOKEN: &str = "DAPR_API_TOKEN";

/// The token in an environment variable, if it is set. A token that cannot be sent is an error: it must not count as
/// none.
pub fn token(variable: &str) -> Result<Option<String>> {
    match env::var(variable) {
        Ok(token) if HeaderValue::from_bytes(token.as_bytes()).is_err() => {
            bail!(ArgumentError(format!(
                "{variable}: no request can carry this token: it has a line break or another control character"
            )))
        }
        Ok(token) => Ok(Some(token).filter(|token| !token.is_empty())),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => {
            bail!(ArgumentError(format!("{variable}: the token is not UTF-8")))
        }
    }
}

/// Whether all tokens that callers must send can be sent.
pub fn check(args: &Serve) -> Result<()> {
    for variable in [API_TOKEN].into_iter().chain(args.enable_admin.then_some(ADMIN_TOKEN)) {
        if token(variable)?.is_some_and(|token| token.trim_matches([' ', '\t']) != token) {
            // Over HTTP/2 it can be sent.
            tracing::warn!(
                "{variable}: the token begins or ends with a blank, which HTTP/1.1 takes off a \
                 header: no request over HTTP/1.1 can carry this token"
            );
        }
    }
    Ok(())
}
