//! The memory of one call, which a component may spread over many memories and tables.

use wasmtime::{ResourceLimiter, Result};

/// Lets memories and tables grow until nothing is left.
pub struct Memory {
    left: usize,
}

impl Memory {
    /// A bound in bytes, for all of them together.
    pub fn new(bytes: usize) -> Self {
        Self { left: bytes }
    }

    fn take(&mut self, bytes: usize) -> bool {
        let left = self.left.checked_sub(bytes);
        self.left = left.unwrap_or(self.left);
        left.is_some()
    }
}

impl ResourceLimiter for Memory {
    fn memory_growing(&mut self, current: usize, wanted: usize, _: Option<usize>) -> Result<bool> {
        Ok(self.take(wanted.saturating_sub(current)))
    }

    fn table_growing(&mut self, current: usize, wanted: usize, _: Option<usize>) -> Result<bool> {
        let elements = wanted.saturating_sub(current);
        Ok(self.take(elements.saturating_mul(size_of::<usize>())))
    }
}
