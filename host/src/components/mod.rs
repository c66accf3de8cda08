//! Component files: which stores there are, as Dapr's component YAML says it.

pub mod properties;
