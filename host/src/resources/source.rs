//! Places in the resource files.

use std::{fmt, path::PathBuf};

/// A place in the resource files.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Source {
    /// The path of the file, below the folder as the caller named it.
    pub file: PathBuf,
    /// The number of the document among those that `---` separates, from 1.
    pub document: usize,
    /// The number of the item in a document of kind `List`, from 0; `None` outside a list.
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
