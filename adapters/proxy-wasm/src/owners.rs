//! Owners of locks, new for each try.

use alloc::{format, string::String};

/// Makes owners. Makers with different random bytes never make the same owner.
#[derive(Debug)]
pub struct Owners {
    maker: u128,
    made: u64,
}

impl Owners {
    /// A maker with these random bytes.
    pub fn new(random: [u8; 16]) -> Self {
        Self { maker: u128::from_be_bytes(random), made: 0 }
    }

    /// A new owner.
    pub fn make(&mut self) -> String {
        self.made += 1;
        format!("{:032x}{:016x}", self.maker, self.made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_differ() {
        let mut owners = Owners::new([0xab; 16]);
        let first = owners.make();
        assert_eq!(first, format!("{}0000000000000001", "ab".repeat(16)));
        assert_ne!(owners.make(), first);
    }
}
