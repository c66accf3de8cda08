//! Limits the memory of a call.

use wasmtime::{ResourceLimiter, Result};

/// One limit for all memories and tables of a component together. wasmtime's `StoreLimits` limits each
/// of them separately.
pub struct MemoryLimit {
    left: usize,
}

impl MemoryLimit {
    /// A limit in bytes.
    pub fn new(bytes: usize) -> Self {
        Self { left: bytes }
    }

    fn take(&mut self, bytes: usize) -> bool {
        let left = self.left.checked_sub(bytes);
        self.left = left.unwrap_or(self.left);
        left.is_some()
    }
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(&mut self, current: usize, wanted: usize, _: Option<usize>) -> Result<bool> {
        Ok(self.take(wanted.saturating_sub(current)))
    }

    fn table_growing(&mut self, current: usize, wanted: usize, _: Option<usize>) -> Result<bool> {
        let elements = wanted.saturating_sub(current);
        Ok(self.take(elements.saturating_mul(size_of::<usize>())))
    }
}
