//! Problems in resource files, and their places.
//!
//! No problem contains the value of a setting, because it may be a secret. The exception is the path of a secrets
//! file.

use std::{fmt, io, path::PathBuf};

use super::source::Source;

/// A problem at one place in the resource files.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub struct Problem {
    /// The file with the problem.
    pub file: PathBuf,
    /// The document within the file, from 1; `None` for a problem of the whole file.
    pub document: Option<usize>,
    /// The name of the component, if it is known.
    pub component: Option<String>,
    /// The name of the resiliency resource, if it is known.
    pub resiliency: Option<String>,
    /// The name of the edge lock, if it is known.
    pub edge_lock: Option<String>,
    /// The path of the field, as in `spec.metadata[2].secretKeyRef`; `None` if the problem is not about a field.
    pub field: Option<String>,
    /// A readable description of the problem.
    pub message: String,
}

impl Problem {
    pub(super) fn of_file(file: impl Into<PathBuf>, message: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            document: None,
            component: None,
            resiliency: None,
            edge_lock: None,
            field: None,
            message: message.into(),
        }
    }

    pub(super) fn of_document(source: &Source, flaw: Flaw) -> Self {
        Self {
            file: source.file.clone(),
            document: Some(source.document),
            component: None,
            resiliency: None,
            edge_lock: None,
            field: flaw.field,
            message: flaw.message,
        }
    }

    pub(super) fn of_component(source: &Source, name: &str, flaw: Flaw) -> Self {
        Self { component: Some(name.to_owned()), ..Self::of_document(source, flaw) }
    }

    pub(super) fn of_resiliency(source: &Source, name: &str, flaw: Flaw) -> Self {
        let name = (!name.is_empty()).then(|| name.to_owned());
        Self { resiliency: name, ..Self::of_document(source, flaw) }
    }

    pub(super) fn of_edge_lock(source: &Source, name: &str, flaw: Flaw) -> Self {
        Self { edge_lock: Some(name.to_owned()), ..Self::of_document(source, flaw) }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(document) = self.document {
            write!(f, ", document {document}")?;
        }
        if let Some(component) = &self.component {
            write!(f, ", component {component}")?;
        }
        if let Some(resiliency) = &self.resiliency {
            write!(f, ", resiliency {resiliency}")?;
        }
        if let Some(edge_lock) = &self.edge_lock {
            write!(f, ", edge lock {edge_lock}")?;
        }
        if let Some(field) = &self.field {
            write!(f, ", {field}")?;
        }
        write!(f, ": {}", self.message)
    }
}

/// A problem within a document. The caller knows the place of the document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    pub(super) field: Option<String>,
    pub(super) message: String,
    /// Whether the document must not be skipped: it is ambiguous, or an edge lock's.
    pub(super) stops_the_start: bool,
}

impl Flaw {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { field: None, message: message.into(), stops_the_start: false }
    }

    pub(super) fn at(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: Some(field.into()), ..Self::new(message) }
    }

    pub(super) fn ambiguous(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { stops_the_start: true, ..Self::at(field, message) }
    }
}

/// A problem that did not stop the loading, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Notice {
    /// How serious the problem is.
    pub level: Level,
    /// The problem, and its place.
    pub problem: Problem,
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.problem.fmt(f)
    }
}

/// How serious a [`Notice`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Not a mistake: a component for another application, or a resource that has nothing to do with locks.
    Info,
    /// Probably a mistake: a part of a document was ignored.
    Warning,
    /// A mistake: a file or a document cannot be read, and was ignored. As in daprd, a server starts without it.
    Error,
}

/// Why the resource files cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// A folder is missing or cannot be read.
    #[error("cannot read the resources folder {}: {cause}", folder.display())]
    Folder {
        /// The folder, as the caller named it.
        folder: PathBuf,
        /// The cause.
        #[source]
        cause: io::Error,
    },
    /// Two components have the same name.
    #[error("duplicate component name {name}: {first} and {second}")]
    Duplicate {
        /// The name.
        name: String,
        /// The place of the first component.
        first: Source,
        /// The place of the second component.
        second: Source,
    },
    /// A folder was given twice, perhaps under two names, so that each of its components would be there twice.
    #[error("a resources folder is given twice: {} and {}", first.display(), second.display())]
    SameFolder {
        /// The folder, as the caller named it first.
        first: PathBuf,
        /// The folder, as the caller named it later.
        second: PathBuf,
    },
    /// Documents are ambiguous, types are unknown, components without `ignoreErrors: true` cannot be resolved,
    /// or edge locks have mistakes or cannot be read.
    #[error("{}", join(.0))]
    Components(
        /// The problems, at least one, in the order of the files.
        Vec<Problem>,
    ),
}

fn join(problems: &[Problem]) -> String {
    let lines: Vec<_> = problems.iter().map(Problem::to_string).collect();
    lines.join("\n")
}
