//! The headers of a request.

use alloc::vec::Vec;

use holdfast_edge_lock::Headers;

use crate::pairs;

/// The headers of a request, in the form of [`pairs`].
#[derive(Debug)]
pub struct Request<'a>(pub &'a [u8]);

impl Headers for Request<'_> {
    fn get(&self, name: &str) -> Option<Vec<u8>> {
        let mut joined: Option<Vec<u8>> = None;
        for (known, value) in pairs::read(self.0) {
            if !known.eq_ignore_ascii_case(name.as_bytes()) {
                continue;
            }
            match &mut joined {
                None => joined = Some(value.to_vec()),
                Some(joined) => {
                    joined.push(b',');
                    joined.extend_from_slice(value);
                }
            }
        }
        joined
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_found_and_its_values_are_joined() {
        let bytes =
            pairs::write(&[(":path", "/a"), ("X-Tag", "1"), ("x-tag", "2"), ("x-empty", "")]);
        let request = Request(&bytes);
        assert_eq!(request.get(":path").as_deref(), Some(&b"/a"[..]));
        assert_eq!(request.get("x-tag").as_deref(), Some(&b"1,2"[..]));
        assert_eq!(request.get("x-empty").as_deref(), Some(&b""[..]));
        assert_eq!(request.get("x-none"), None);
    }
}
