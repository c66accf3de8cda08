//! Dapr's resource files: which lock stores there are, which policies apply to their calls, and which requests of a
//! proxy take which lock.
//!
//! [`open`] goes the whole way, from folders of files to [`Locks`](crate::Locks). Its steps are
//! public too: [`load`] reads the files, and [`open_each`] opens the stores that they define.
//! What a setting means is the store's own business.
//!
//! | module | what lives there |
//! |---|---|
//! | `options` | which files to read, and for whom |
//! | `files`, `yaml` | from a folder to YAML documents |
//! | `document` | a document by its kind |
//! | `field`, `metadata` | reading a document field by field, and what documents of several kinds have |
//! | `component` | a component as a document defines it |
//! | `known` | the settings and fields that have a meaning |
//! | `resolve`, `secrets`, `templates` | the values of a component's settings |
//! | `resiliency` | policies as documents define them |
//! | `edge_locks` | locks that the requests of a proxy take |
//! | `load` | all of this together: from folders to definitions and policies |
//! | `open`, `opened` | from definitions to open stores, and to locks |
//! | `metrics` | the metrics of opening stores |
//! | `error`, `open_error`, `source` | what is wrong, and where |

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
mod yaml;

pub use holdfast_edge_lock::EdgeLock;

pub use self::{
    definition::StoreDefinition,
    error::{Level, LoadError, Notice, Problem},
    load::{Resources, load},
    open::{in_memory, open, open_each},
    open_error::{OpenCause, OpenError, StoreError},
    opened::{OpenStore, Opened, Opening, Openings},
    options::Options,
    source::Source,
};
