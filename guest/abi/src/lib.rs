//! An allocator, a panic handler that traps, and `cabi_realloc`, for components without the standard
//! library.
//!
//! Such a component gets all three with `extern crate holdfast_abi as _`. On targets other than wasm
//! this crate is empty.

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

/// Allocates memory for values that the host writes into the instance. Traps if no memory is left.
///
/// # Safety
///
/// The canonical ABI guarantees that `old` is null and `old_size` 0, or that `old` is a block of that
/// size and alignment from an earlier call, and that `align` is a power of two.
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
    // SAFETY: `new_size` is not 0, `layout` was checked for the larger of both sizes, and `old` is a block
    // of `old_size` bytes by this function's contract.
    let block = unsafe {
        if old_size == 0 {
            alloc(layout)
        } else {
            realloc(old, Layout::from_size_align_unchecked(old_size, align), new_size)
        }
    };
    // Returning null would make the host write to address 0.
    if block.is_null() {
        unreachable()
    }
    block
}
