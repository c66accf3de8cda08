//! What the standard library would bring along: an allocator, a panic that traps, and the
//! canonical ABI's way to ask for memory.

#![allow(unsafe_code)]

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

/// Compares memory. The one function of C's library that compiled code calls and this target's
/// prebuilt `core` leaves to wasi-libc, which is not linked.
///
/// # Safety
///
/// As C's `memcmp`: both pointers are good for `length` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(left: *const u8, right: *const u8, length: usize) -> i32 {
    for index in 0..length {
        // SAFETY: `index` is below `length`, for which the caller vouches.
        let (left, right) = unsafe { (*left.add(index), *right.add(index)) };
        if left != right {
            return i32::from(left) - i32::from(right);
        }
    }
    0
}
