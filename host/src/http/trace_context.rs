//! The caller's trace, as the header `traceparent` of W3C Trace Context names it.

use hyper::HeaderMap;

/// The trace id: 32 hexadecimal digits, not all zero. A header that is not well formed is as good
/// as none.
pub(super) fn trace_id(headers: &HeaderMap) -> Option<&str> {
    let header = headers.get("traceparent")?.to_str().ok()?;
    let mut fields = header.split('-');
    let (version, trace, parent) = (fields.next()?, fields.next()?, fields.next()?);
    let flags = fields.next()?;
    // A later version may add fields; 00 may not.
    let complete = version != "00" || fields.next().is_none();
    let well_formed = is_hex(version, 2)
        && version != "ff"
        && is_id(trace, 32)
        && is_id(parent, 16)
        && is_hex(flags, 2);
    (complete && well_formed).then_some(trace)
}

fn is_id(field: &str, digits: usize) -> bool {
    is_hex(field, digits) && field.bytes().any(|digit| digit != b'0')
}

fn is_hex(field: &str, digits: usize) -> bool {
    let lower_hex = |digit: u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
    field.len() == digits && field.bytes().all(lower_hex)
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn of(header: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert("traceparent", HeaderValue::from_str(header).unwrap());
        trace_id(&headers).map(str::to_owned)
    }

    #[test]
    fn only_a_well_formed_trace_is_taken_over() {
        const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
        let good = format!("00-{TRACE}-b7ad6b7169203331-01");
        assert_eq!(of(&good).as_deref(), Some(TRACE));
        assert_eq!(of(&format!("cc-{TRACE}-b7ad6b7169203331-01-more")).as_deref(), Some(TRACE));
        for bad in [
            String::new(),
            format!("{good}-more"),
            format!("ff-{TRACE}-b7ad6b7169203331-01"),
            format!("00-{TRACE}-0000000000000000-01"),
            format!("00-{}-b7ad6b7169203331-01", TRACE.to_uppercase()),
            format!("00-{}-b7ad6b7169203331-01", "0".repeat(32)),
            format!("00-{TRACE}-b7ad6b7169203331"),
        ] {
            assert_eq!(of(&bad), None, "{bad}");
        }
    }
}
