//! What the standard library would bring along: an allocator, a panic that traps, and the canonical
//! ABI's way to ask for memory.
//!
//! A component without the standard library names this crate (`extern crate holdfast_abi as _`) and
//! has all three. Built for anything but wasm it is empty.

#![no_std]
#![cfg(target_family = "wasm")]
#![allow(unsafe_code)]

extern crate alloc;

use alloc::alloc::{Layout, alloc, realloc};
use core::arch::wasm32::unreachable;

#[global_allocator]
static ALLOCATOR: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    unreachable()
}

/// Allocates memory for what the host writes into the instance.
///
/// # Safety
///
/// As the canonical ABI promises: `old` is null with `old_size` 0, or a block of that size and
/// alignment from an earlier call; `align` is a power of two.
#[unsafe(no_mangle)]
unsafe extern "C" fn cabi_realloc(
    old: *mut u8,
    old_size: usize,
    align: usize,
    new_size: usize,
) -> *mut u8 {
    if new_size == 0 {
        return core::ptr::without_provenance_mut(align);
    }
    let Ok(layout) = Layout::from_size_align(old_size.max(new_size), align) else { unreachable() };
    // SAFETY: the sizes are not zero here, the layout was just checked for the larger of them,
    // and `old` is a block of `old_size` bytes by this function's contract.
    let block = unsafe {
        if old_size == 0 {
            alloc(layout)
        } else {
            realloc(old, Layout::from_size_align_unchecked(old_size, align), new_size)
        }
    };
    // The host would write to address 0 if it were given null.
    if block.is_null() {
        unreachable()
    }
    block
}
