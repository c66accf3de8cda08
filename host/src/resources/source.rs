//! Places in the resource files.

use std::{fmt, path::PathBuf};

/// A place in the resource files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The file, below the folder as it was given.
    pub file: PathBuf,
    /// Which of the documents that `---` separates, from 1.
    pub document: usize,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, document {}", self.file.display(), self.document)
    }
}
