//! Whether a command that the server refused is worth sending again. The native store and the component
//! for stock runtimes go by this one list.

/// Whether a refused command is worth sending again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    No,
    /// At once, with the script itself in place of its digest.
    InFull,
    /// After a wait, on any connection.
    Later,
    /// After a wait, on a new connection: this one leads to a server that was demoted, or is no
    /// longer logged in.
    Elsewhere,
}

impl Again {
    /// What an error's code, its first word, says.
    pub(crate) fn after(code: &str) -> Self {
        match code {
            "LOADING" | "TRYAGAIN" | "CLUSTERDOWN" | "MASTERDOWN" => Self::Later,
            "NOSCRIPT" => Self::InFull,
            "READONLY" | "NOAUTH" => Self::Elsewhere,
            _ => Self::No,
        }
    }
}
