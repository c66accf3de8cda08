//! The functions that the proxy calls, with the names and types of ABI 0.2.1.

#![allow(unsafe_code)]

use alloc::alloc::{Layout, alloc};
use core::{arch::wasm32::unreachable, ptr};

use spin::Mutex;

use crate::{
    host::Flow,
    imports::{Proxy, answer_body, answer_status, configuration},
    vm::Vm,
};

static VM: Mutex<Vm<Proxy>> = Mutex::new(Vm::new(Proxy));

/// Passes an event to the VM. Traps if the proxy calls the VM while the VM calls the proxy, which no proxy does.
fn with<T>(event: impl FnOnce(&mut Vm<Proxy>) -> T) -> T {
    let Some(mut vm) = VM.try_lock() else { unreachable() };
    event(&mut vm)
}

// SAFETY, for every function below: only this crate exports functions with these names.

/// Declares the version of the ABI.
#[unsafe(no_mangle)]
extern "C" fn proxy_abi_version_0_2_1() {}

/// A block for the values that the proxy gives. Traps if no memory is left.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    if size == 0 {
        return ptr::null_mut();
    }
    let Ok(layout) = Layout::array::<u8>(size) else { unreachable() };
    // SAFETY: the layout has a size other than 0.
    let block = unsafe { alloc(layout) };
    if block.is_null() {
        unreachable()
    }
    block
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_context_create(context: u32, root: u32) {
    with(|vm| vm.begin(context, root));
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_vm_start(_root: u32, _size: usize) -> u32 {
    true.into()
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_configure(root: u32, size: usize) -> u32 {
    with(|vm| vm.configure(root, &configuration(size))).into()
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_headers(request: u32, _headers: u32, _last: u32) -> u32 {
    with(|vm| vm.request(request)) as u32
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_body(request: u32, _size: usize, _last: u32) -> u32 {
    with(|vm| vm.more(request)) as u32
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_trailers(request: u32, _trailers: u32) -> u32 {
    with(|vm| vm.more(request)) as u32
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_headers(request: u32, _headers: u32, last: u32) -> u32 {
    with(|vm| vm.respond(request, last != 0));
    Flow::Continue as u32
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_body(request: u32, _size: usize, last: u32) -> u32 {
    with(|vm| vm.respond(request, last != 0));
    Flow::Continue as u32
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_trailers(request: u32, _trailers: u32) -> u32 {
    with(|vm| vm.respond(request, true));
    Flow::Continue as u32
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_http_call_response(
    root: u32,
    token: u32,
    _headers: u32,
    body: usize,
    _trailers: u32,
) {
    with(|vm| vm.answer(root, token, answer_status(), &answer_body(body)));
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_tick(root: u32) {
    with(|vm| vm.tick(root));
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_done(context: u32) -> u32 {
    with(|vm| vm.done(context)).into()
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_delete(context: u32) {
    with(|vm| vm.end(context));
}
