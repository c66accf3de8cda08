//! Requests that are refused before they are read.

/// Why a request is refused before it is read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Refusal {
    /// The token is missing or wrong.
    Token,
    /// There is no token, and the request may be that of a web page.
    Foreign,
}

impl Refusal {
    /// In words.
    pub(super) fn message(self) -> &'static str {
        match self {
            Self::Token => {
                "holdfast-admin-token is missing, or is not the token of HOLDFAST_ADMIN_TOKEN"
            }
            Self::Foreign => {
                "without HOLDFAST_ADMIN_TOKEN, operators are served at localhost or a loopback address, and not to other web pages"
            }
        }
    }
}
