//! The response to a refused request.

use alloc::string::String;

use crate::{fields::Field, flaw::Flaw};

/// The response to a refused request: it did not get the lock, or the holder of the lock is unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status, from 400 to 599. Default: 503.
    pub status: u16,
    /// The header `retry-after`, in whole seconds; `None` without the header. Default: 1.
    pub retry_after: Option<u64>,
    /// The header `content-type`. Default: `text/plain`.
    pub content_type: String,
    /// The body. Default: a line that says that the lock is not free.
    pub body: String,
}

impl Refusal {
    pub(crate) fn read(field: Field) -> Result<Self, Flaw> {
        let mut fields = field.fields(&["status", "retryAfter", "contentType", "body"])?;
        let status = fields.take("status");
        let flaw = status.flaw("must be from 400 to 599");
        let status = u16::try_from(status.number_or(503)?).ok();
        let status = status.filter(|status| (400..600).contains(status)).ok_or(flaw)?;
        let content_type = fields.take("contentType");
        let flaw = content_type.flaw("must be printable ASCII");
        let content_type = content_type.text_or("text/plain")?;
        if !content_type.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            return Err(flaw);
        }
        let retry_after = fields.take("retryAfter").time_or(1_000)?.div_ceil(1_000);
        Ok(Self {
            status,
            retry_after: Some(retry_after).filter(|seconds| *seconds > 0),
            content_type,
            body: fields.take("body").text_or("the lock is not free: try again later\n")?,
        })
    }
}
