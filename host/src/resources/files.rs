//! Finds the documents in the files of folders: which files are read, and in which order.

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    str,
};

use super::{
    component::ComponentDocument,
    document::{self, Document},
    error::{Flaw, Level, LoadError, Notice, Problem},
    field::Field,
    known,
    source::Source,
    yaml,
};
use crate::input_file;

/// The size of the largest file that is read, in MiB.
pub(super) const MAX_FILE_MIB: u64 = 1;

/// The documents that were found, in order.
#[derive(Default)]
pub(super) struct Found {
    pub(super) components: Vec<(Source, ComponentDocument)>,
    pub(super) resiliency: Vec<(Source, Field)>,
    pub(super) edge_locks: Vec<(Source, Field)>,
    /// Documents that are ambiguous, and those of edge locks that cannot be read.
    pub(super) stopping: Vec<Problem>,
}

/// Reads every document of the folders, in order.
pub(super) fn read_folders(
    folders: &[PathBuf],
    notify: &mut dyn FnMut(Notice),
) -> Result<Found, LoadError> {
    let mut found = Found::default();
    for folder in folders {
        let names = names_in(folder)
            .map_err(|cause| LoadError::Folder { folder: folder.clone(), cause })?;
        for name in names {
            let file = folder.join(&name);
            if is_yaml(&name) {
                read_file(&file, &mut found, notify);
            } else {
                notify(Notice {
                    level: Level::Info,
                    problem: Problem::of_file(file, "not a YAML file, so it is not read"),
                });
            }
        }
    }
    Ok(found)
}

/// The names in a folder, without those of folders, in the order of Go's `os.ReadDir`.
fn names_in(folder: &Path) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if !entry.file_type()?.is_dir() {
            names.push(entry.file_name());
        }
    }
    names.sort();
    Ok(names)
}

fn is_yaml(name: &OsString) -> bool {
    let name = name.to_string_lossy().to_ascii_lowercase();
    name.ends_with(".yaml") || name.ends_with(".yml")
}

fn read_file(file: &Path, found: &mut Found, notify: &mut dyn FnMut(Notice)) {
    let bytes = match input_file::read(file, MAX_FILE_MIB) {
        Ok(bytes) => bytes,
        Err(cause) => {
            return notify(Notice {
                level: Level::Error,
                problem: Problem::of_file(file, format!("cannot be read: {cause}")),
            });
        }
    };
    for (index, part) in yaml::split(&bytes).into_iter().enumerate() {
        for (item, document) in read_part(&part) {
            let source = Source { file: file.to_owned(), document: index + 1, item };
            found.add(&source, document, notify);
        }
    }
}

impl Found {
    fn add(
        &mut self,
        source: &Source,
        document: Result<Document, Flaw>,
        notify: &mut dyn FnMut(Notice),
    ) {
        let (level, flaw) = match document {
            Ok(Document::Component(definition)) => {
                return self.components.push((source.clone(), *definition));
            }
            Ok(Document::Resiliency(root)) => return self.resiliency.push((source.clone(), root)),
            Ok(Document::EdgeLock(root)) => return self.edge_locks.push((source.clone(), root)),
            Ok(Document::Empty) => return,
            Ok(Document::Other { kind, api_version }) => {
                let message = format!("{kind} has nothing to do with locks, so it is not read");
                match known::misspelt_kind(&kind, &api_version) {
                    Some(flaw) => (Level::Warning, flaw),
                    None => (Level::Info, Flaw::at("kind", message)),
                }
            }
            Err(flaw) if flaw.stops_the_start => {
                return self.stopping.push(Problem::of_document(source, flaw));
            }
            Err(flaw) => (Level::Error, flaw),
        };
        notify(Notice { level, problem: Problem::of_document(source, flaw) });
    }
}

/// The problem with a file for which [`is_utf16`] holds.
pub(super) const IN_UTF16: &str = "in UTF-16: save it in UTF-8";

/// Whether a file begins with the byte order mark of UTF-16.
pub(super) fn is_utf16(file: &[u8]) -> bool {
    [b"\xff\xfe", b"\xfe\xff"].iter().any(|mark| file.starts_with(*mark))
}

fn read_part(part: &yaml::RawDocument<'_>) -> Vec<(Option<usize>, Result<Document, Flaw>)> {
    let text = str::from_utf8(part.text()).map_err(|error| {
        if is_utf16(part.text()) {
            return Flaw::new(IN_UTF16);
        }
        let valid = &part.text()[..error.valid_up_to()];
        let line = part.line() + valid.iter().filter(|byte| **byte == b'\n').count();
        Flaw::new(format!("not valid UTF-8 (line {line})"))
    });
    match text.and_then(|text| yaml::parse(text, part.line())) {
        Ok(root) => document::read(root),
        Err(flaw) => {
            let stops_the_start = flaw.stops_the_start || is_probably_edge_lock(part.text());
            vec![(None, Err(Flaw { stops_the_start, ..flaw }))]
        }
    }
}

/// Whether text that cannot be read shows, outside of comments, that it is an edge lock's.
fn is_probably_edge_lock(text: &[u8]) -> bool {
    // In UTF-16, every other byte of a name in ASCII is zero.
    let text: Vec<u8> = text.iter().copied().filter(|byte| *byte != 0).collect();
    let text = String::from_utf8_lossy(&text);
    let mut lines = text.split(['\n', '\r']).filter(|line| !line.trim_start().starts_with('#'));
    lines.any(document::mentions_edge_lock)
}
