//! Headers in the form in which they cross the ABI: their number, the lengths of each name and value, and then each
//! name and value with a zero byte after it. Numbers have 32 bits, the lowest first.

use alloc::vec::Vec;

/// Writes headers.
pub fn write(headers: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut number = |number: usize| {
        // Addresses of a VM have 32 bits.
        bytes.extend_from_slice(&u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes());
    };
    number(headers.len());
    for (name, value) in headers {
        number(name.len());
        number(value.len());
    }
    for (name, value) in headers {
        for text in [name, value] {
            bytes.extend_from_slice(text.as_bytes());
            bytes.push(0);
        }
    }
    bytes
}

/// Reads headers, as far as they have this form.
pub fn read(bytes: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let count = number(bytes, 0).unwrap_or(0);
    let mut at = count.saturating_mul(8).saturating_add(4);
    (0..count).map_while(move |index| {
        let mut text = |length: usize| {
            let text = bytes.get(at..)?.get(..length)?;
            at += length + 1;
            Some(text)
        };
        let lengths = index * 8 + 4;
        Some((text(number(bytes, lengths)?)?, text(number(bytes, lengths + 4)?)?))
    })
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let number = bytes.get(at..)?.first_chunk()?;
    usize::try_from(u32::from_le_bytes(*number)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: &[u8] = b"\x02\0\0\0\x01\0\0\0\x02\0\0\0\x01\0\0\0\0\0\0\0a\0bc\0d\0\0";

    #[test]
    fn headers_are_written_and_read() {
        assert_eq!(write(&[("a", "bc"), ("d", "")]), BYTES);
        let read: Vec<_> = read(BYTES).collect();
        assert_eq!(read, [(&b"a"[..], &b"bc"[..]), (b"d", b"")]);
    }

    #[test]
    fn what_is_cut_off_is_left_out() {
        for length in 0..BYTES.len() {
            assert!(read(&BYTES[..length]).count() <= 2, "{length}");
        }
        assert_eq!(read(&BYTES[..24]).count(), 1);
        assert_eq!(read(b"\xff\xff\xff\xff").count(), 0);
        assert_eq!(read(b"\x01\0\0\0\xff\xff\xff\xff\0\0\0\0a").count(), 0);
    }
}
