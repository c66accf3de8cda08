//! The headers of a request that a proxy serves.

use holdfast_edge_lock::Headers;
use holdfast_proto::ext_proc::HttpHeaders;
use hyper::{
    HeaderMap,
    header::{HeaderName, HeaderValue},
};

/// The headers of a request.
pub(super) struct Proxied(pub(super) HttpHeaders);

impl Proxied {
    fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let headers = self.0.headers.iter().flat_map(|map| &map.headers);
        headers.filter(move |header| header.key.eq_ignore_ascii_case(name)).map(|header| {
            match header.raw_value.as_slice() {
                [] => header.value.as_bytes(),
                raw => raw,
            }
        })
    }

    /// The headers that say which trace the request belongs to.
    pub(super) fn trace(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for name in ["traceparent", "tracestate"] {
            for value in self.values(name) {
                if let Ok(value) = HeaderValue::from_bytes(value) {
                    headers.append(HeaderName::from_static(name), value);
                }
            }
        }
        headers
    }
}

impl Headers for Proxied {
    fn get(&self, name: &str) -> Option<Vec<u8>> {
        let mut values = self.values(name);
        let first = values.next()?.to_vec();
        Some(values.fold(first, |mut joined, value| {
            joined.extend_from_slice(b",");
            joined.extend_from_slice(value);
            joined
        }))
    }
}

#[cfg(test)]
mod tests {
    use holdfast_proto::ext_proc::{HeaderMap as ProtoMap, HeaderValue as ProtoValue};

    use super::*;

    #[test]
    fn a_value_may_come_in_either_field_and_several_are_joined() {
        let header = |key: &str, value: &str, raw: &[u8]| ProtoValue {
            key: key.to_owned(),
            value: value.to_owned(),
            raw_value: raw.to_vec(),
        };
        let headers = vec![
            header(":path", "", b"/a"),
            header("x-a", "1", b""),
            header("x-a", "", b"\xff"),
            header("traceparent", "", b"t"),
        ];
        let proxied =
            Proxied(HttpHeaders { headers: Some(ProtoMap { headers }), ..HttpHeaders::default() });
        assert_eq!(proxied.get(":path").as_deref(), Some(&b"/a"[..]));
        assert_eq!(proxied.get("x-a").as_deref(), Some(&b"1,\xff"[..]));
        assert_eq!(proxied.get("x-b"), None);
        assert_eq!(proxied.trace()["traceparent"], "t");
    }
}
