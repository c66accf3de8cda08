//! Places in the resource files.

use std::{fmt, path::PathBuf};

/// A place in the resource files.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Source {
    /// The file, below the folder as it was given.
    pub file: PathBuf,
    /// Which of the documents that `---` separates, from 1.
    pub document: usize,
    /// Which of the `items` of a document of kind `List`, from 0.
    pub item: Option<usize>,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, document {}", self.file.display(), self.document)?;
        match self.item {
            Some(item) => write!(f, ", items[{item}]"),
            None => Ok(()),
        }
    }
}
