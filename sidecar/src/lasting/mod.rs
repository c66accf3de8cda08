//! Calls whose responses last: as long as a lock is held, until it is lost, or as long as somebody reads them.
//!
//! | module | what lives there |
//! |---|---|
//! | `hold` | leases that last as long as the response that reports them |
//! | `loss` | waiting until a lock is lost |
//! | `watch` | the locks that are taken and freed |
//! | `unread_stream` | streams that end when their reader stops reading |

pub(crate) mod hold;
pub(crate) mod loss;
pub(crate) mod unread_stream;
pub(crate) mod watch;
