//! Lower case as in daprd: Go's `strings.ToLower`, which maps each character to one other character.
//!
//! Own code: `str::to_lowercase` follows a newer Unicode and maps some characters to two.

/// The text in lower case. It is a part of keys, so Holdfast and daprd must write the same text.
pub(crate) fn lowercase(text: &str) -> String {
    text.chars().map(lower).collect()
}

fn lower(c: char) -> char {
    match c {
        'İ' => 'i',
        c if is_newer(c) => c,
        c => c.to_lowercase().next().unwrap_or(c),
    }
}

/// Whether the character has a lower case in Rust's tables (Unicode 17) and none in Go's (Unicode 15.0, as of
/// Go 1.26).
fn is_newer(c: char) -> bool {
    matches!(
        u32::from(c),
        0x1C89
            | 0xA7CB
            | 0xA7CC
            | 0xA7CE
            | 0xA7D2
            | 0xA7D4
            | 0xA7DA
            | 0xA7DC
            | 0x10D50..=0x10D65
            | 0x16EA0..=0x16EB8
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_mapped_one_by_one() {
        for (text, lower) in [
            ("AppID", "appid"),
            ("İSTANBUL", "istanbul"),
            // A final sigma counts as an ordinary one.
            ("ΟΔΟΣ", "οδοσ"),
            ("ÄÖẞ", "äöß"),
            ("K", "k"),
            ("\u{16EA0}", "\u{16EA0}"),
        ] {
            assert_eq!(lowercase(text), lower, "{text}");
        }
    }

    /// The FNV-1a hash of all characters that `unicode.ToLower` of Go 1.26 changes, in order: the number of each, then
    /// the number of its lower case, both in 4 bytes, the lowest byte first.
    #[test]
    fn every_character_has_gos_lower_case() {
        let changed = (char::MIN..=char::MAX).filter(|c| lower(*c) != *c);
        let (mut count, mut hash) = (0, 0xcbf2_9ce4_8422_2325_u64);
        for c in changed {
            count += 1;
            for byte in [c, lower(c)].into_iter().flat_map(|c| u32::from(c).to_le_bytes()) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
        assert_eq!((count, hash), (1433, 0x7d0c_429f_29de_bbca));
    }
}
