//! Why parts cannot be linked.

use std::error::Error as StdError;

/// Why parts cannot be linked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A part is not a component.
    #[error("{part} is not a component: {problem}")]
    Part {
        /// The name of the part.
        part: &'static str,
        /// The reason.
        problem: String,
    },
    /// A part lacks an export that another imports.
    #[error("{part} does not export {interface}")]
    NoExport {
        /// The name of the part.
        part: &'static str,
        /// The missing export.
        interface: &'static str,
    },
    /// A part does not import an interface that another part exports for it.
    #[error("{part} does not import {interface}")]
    NoImport {
        /// The name of the part.
        part: &'static str,
        /// The missing import.
        interface: &'static str,
    },
    /// A plugin imports an interface of the contract that is not for plugins.
    #[error("{part} imports {import}, which the lock component does not export")]
    NotExported {
        /// The name of the part.
        part: &'static str,
        /// The full name of the import.
        import: String,
    },
    /// A plugin imports another version of the contract.
    #[error("{part} imports {import}, and the lock component exports {export}")]
    Version {
        /// The name of the part.
        part: &'static str,
        /// The full name of the import.
        import: String,
        /// The full name of the export.
        export: String,
    },
    /// Two parts define one interface differently.
    #[error("{part} cannot be composed: {problem}")]
    Mismatch {
        /// The name of the part.
        part: &'static str,
        /// The reason.
        problem: String,
    },
}

impl Error {
    pub(crate) fn mismatch(part: &'static str, problem: &dyn StdError) -> Self {
        Self::Mismatch { part, problem: describe(problem) }
    }
}

/// The message of an error and of its causes.
fn describe(problem: &dyn StdError) -> String {
    match problem.source() {
        Some(cause) => format!("{problem}: {}", describe(cause)),
        None => problem.to_string(),
    }
}
