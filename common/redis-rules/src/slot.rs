//! Which slot of a Redis Cluster a key is in.

/// How many slots a cluster has.
pub const SLOTS: u16 = 16_384;

/// The slot of a key.
pub fn slot(key: &str) -> u16 {
    slot_of(tag(key).unwrap_or(key).as_bytes())
}

/// The part of a key that decides about its slot, if it is not the whole key: the text between the first `{` and the
/// next `}`, unless it is empty.
pub(crate) fn tag(key: &str) -> Option<&str> {
    let (_, rest) = key.split_once('{')?;
    let (tag, _) = rest.split_once('}')?;
    (!tag.is_empty()).then_some(tag)
}

/// The slot of these bytes, by CRC16 in its XMODEM form.
pub(crate) fn slot_of(bytes: &[u8]) -> u16 {
    let crc = bytes.iter().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
        })
    });
    crc % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_a_cluster() {
        // As `CLUSTER KEYSLOT` of Redis 7 returns them.
        for (key, expected) in [("123456789", 12_739), ("foo", 12_182), ("{foo}bar", 12_182)] {
            assert_eq!(slot(key), expected, "{key}");
        }
    }
}
