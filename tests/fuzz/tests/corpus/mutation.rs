//! Changes of an input, the same for the same seed.

use fastrand::Rng;

/// Bytes that mean something to one of the targets.
const BYTES: &[u8] = b"\0\t\n\r \"#$%&'*+,-./0:;=?@AZ[\\]_`az{|}~\x7f\x80\xc3\xff";

/// The most changes that are made to one input.
const MOST: usize = 4;

/// Makes changes of inputs.
pub struct Mutator<'a> {
    random: Rng,
    /// The inputs that parts are taken from.
    others: &'a [&'a [u8]],
}

impl<'a> Mutator<'a> {
    pub fn new(seed: u64, others: &'a [&'a [u8]]) -> Self {
        Self { random: Rng::with_seed(seed), others }
    }

    /// The input with one to [`MOST`] changes.
    pub fn change(&mut self, input: &[u8]) -> Vec<u8> {
        let mut bytes = input.to_vec();
        for _ in 0..self.random.usize(1..=MOST) {
            self.change_once(&mut bytes);
        }
        bytes
    }

    fn change_once(&mut self, bytes: &mut Vec<u8>) {
        let (start, end) = self.range(bytes.len());
        match self.random.u8(0..8) {
            0 => bytes.truncate(start),
            1 => drop(bytes.drain(start..end)),
            2 => {
                let copy = bytes[start..end].to_vec();
                let at = self.random.usize(0..=bytes.len());
                bytes.splice(at..at, copy);
            }
            3 => {
                let other = self.random.choice(self.others).copied().unwrap_or_default();
                let (from, to) = self.range(other.len());
                bytes.splice(start..end, other[from..to].iter().copied());
            }
            4 if start < bytes.len() => bytes[start] ^= 1 << self.random.u8(0..8),
            5 if start < bytes.len() => bytes[start] = self.random.u8(..),
            _ => {
                let byte = self.random.choice(BYTES).copied().unwrap_or_default();
                let replaced = self.random.usize(0..=1).min(bytes.len() - start);
                bytes.splice(start..start + replaced, [byte]);
            }
        }
    }

    /// A part of so many bytes, mostly a short one.
    fn range(&mut self, length: usize) -> (usize, usize) {
        let start = self.random.usize(0..=length);
        let longest = if self.random.bool() { length - start } else { (length - start).min(8) };
        (start, start + self.random.usize(0..=longest))
    }
}
