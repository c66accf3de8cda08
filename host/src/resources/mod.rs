//! Dapr's resource files: the lock stores, the policies of their calls, and the locks that requests of a proxy take.
//!
//! [`open`] goes the whole way, from folders of files to [`Locks`](crate::Locks). Its steps are public too: [`load`]
//! reads the files, and [`open_each`] opens the stores that they define. Each store decides what its settings mean.
//!
//! | module | what lives there |
//! |---|---|
//! | `options` | which files to read, and for which application |
//! | `files`, `yaml`, `white_space` | from a folder to YAML documents |
//! | `document` | a document by its kind |
//! | `field`, `metadata` | reading a document field by field, and the fields that several kinds of documents share |
//! | `component` | a component as a document defines it |
//! | `known` | the settings and fields that have a meaning |
//! | `resolve`, `secrets`, `templates`, `unquote` | the values of a component's settings |
//! | `environment` | the environment variables that these values refer to |
//! | `definition` | a lock store with its resolved settings |
//! | `resiliency` | policies as documents define them |
//! | `edge_locks` | locks that the requests of a proxy take |
//! | `load` | all of this together: from folders to definitions and policies |
//! | `open`, `opened`, `unopened` | from definitions to open stores, and to locks |
//! | `metrics` | the metrics of opening stores |
//! | `error`, `open_error`, `source` | problems, and their places |

mod component;
mod definition;
mod document;
mod edge_locks;
mod environment;
mod error;
mod field;
mod files;
mod known;
mod load;
mod metadata;
mod metrics;
mod open;
mod open_error;
mod opened;
mod options;
mod resiliency;
mod resolve;
mod secrets;
mod source;
mod templates;
mod unopened;
mod unquote;
mod white_space;
mod yaml;

pub use holdfast_edge_lock::EdgeLock;

pub use self::{
    definition::StoreDefinition,
    error::{Level, LoadError, Notice, Problem},
    load::{Resources, load},
    open::{in_memory, open, open_each},
    open_error::{OpenCause, OpenError, StoreError},
    opened::{OpenResult, OpenResults, OpenedLocks, OpenedStore},
    options::Options,
    source::Source,
};
