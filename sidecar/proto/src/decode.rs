//! Decodes messages as Go does: a known field that has the wire form of another type is skipped as an unknown
//! field, where `prost` alone would refuse the message.

use prost::{
    DecodeError, Message,
    bytes::Bytes,
    encoding::{DecodeContext, WireType, decode_key, encode_key, skip_field},
};

/// Decodes a message.
///
/// # Errors
///
/// The message is malformed.
pub fn decode<U: Message + Default>(bytes: &Bytes) -> Result<U, DecodeError> {
    let refusal = match U::decode(bytes.clone()) {
        Ok(message) => return Ok(message),
        Err(refusal) => refusal,
    };
    match without_foreign_fields::<U>(bytes) {
        Some(known) if known.len() < bytes.len() => U::decode(&known[..]),
        _ => Err(refusal),
    }
}

/// The message without the fields that are in the form of another type; `None` if it is malformed.
fn without_foreign_fields<U: Message + Default>(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut known = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while !rest.is_empty() {
        let field = rest;
        let (tag, wire_type) = decode_key(&mut rest).ok()?;
        skip_field(wire_type, tag, &mut rest, DecodeContext::default()).ok()?;
        if fits::<U>(tag, wire_type) {
            known.extend_from_slice(&field[..field.len() - rest.len()]);
        }
    }
    Some(known)
}

/// Whether the field may have this wire type: whether its zero value decodes.
fn fits<U: Message + Default>(tag: u32, wire_type: WireType) -> bool {
    let mut zero = Vec::new();
    encode_key(tag, wire_type, &mut zero);
    match wire_type {
        WireType::Varint | WireType::LengthDelimited => zero.push(0),
        WireType::SixtyFourBit => zero.extend([0; 8]),
        WireType::ThirtyTwoBit => zero.extend([0; 4]),
        WireType::StartGroup => encode_key(tag, WireType::EndGroup, &mut zero),
        WireType::EndGroup => {}
    }
    U::decode(&zero[..]).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::TryLockRequest;

    fn read(bytes: &'static [u8]) -> Result<TryLockRequest, DecodeError> {
        decode(&Bytes::from_static(bytes))
    }

    #[test]
    fn fields_of_another_type_are_skipped() {
        let expected = TryLockRequest {
            resource_id: "r".to_owned(),
            expiry_in_seconds: 60,
            ..TryLockRequest::default()
        };
        for bytes in [
            // The store's name as a varint, as 8 bytes, as 4 bytes and as a group.
            &b"\x08\x05\x12\x01r\x20\x3c"[..],
            b"\x09\x01\x02\x03\x04\x05\x06\x07\x08\x12\x01r\x20\x3c",
            b"\x12\x01r\x20\x3c\x0d\x01\x02\x03\x04",
            b"\x12\x01r\x0b\x10\x01\x0c\x20\x3c",
            // The expiry as a string, before it comes as a number.
            b"\x22\x02ab\x12\x01r\x20\x3c",
        ] {
            assert_eq!(read(bytes).as_ref(), Ok(&expected), "{bytes:?}");
        }
    }

    #[test]
    fn malformed_messages_are_refused() {
        for bytes in [&b"\x08\x05\x12\xff"[..], b"\x08\x05\x12\x01\xff", b"\x08", b"\x0b\x10\x01"] {
            assert!(read(bytes).is_err(), "{bytes:?}");
        }
    }
}
