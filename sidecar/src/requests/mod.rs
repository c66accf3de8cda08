//! Requests of both APIs, before they are calls on locks.
//!
//! | module | what lives there |
//! |---|---|
//! | `intake` | reading bodies within a budget |
//! | `long_requests` | calls that compute for a long time, run beside the others |
//! | `trace_context` | the caller's trace, from the headers of a request |

pub(crate) mod intake;
pub(crate) mod long_requests;
pub(crate) mod trace_context;
