//! The functions of the proxy, as a [`Host`].
//!
//! Each call that is about a context sets the effective context first, because an event of a configuration may be about
//! a request, and the other way round.

#![allow(unsafe_code)]

use alloc::{string::ToString, vec::Vec};
use core::ptr;

use holdfast_dapr_api::TOKEN_HEADER;
use holdfast_edge_lock::Refusal;

use crate::{
    host::{CallOut, ContextId, Host, Level, Token},
    pairs,
};

const OK: u32 = 0;
const REQUEST_STREAM: u32 = 0;
const REQUEST_HEADERS: u32 = 0;
const CALL_HEADERS: u32 = 6;
const CALL_BODY: u32 = 4;
const CONFIGURATION: u32 = 7;
const MONOTONIC: u32 = 1;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_log(level: u32, text: *const u8, length: usize) -> u32;
    fn proxy_set_effective_context(context: u32) -> u32;
    fn proxy_get_header_map_pairs(map: u32, bytes: *mut *mut u8, length: *mut usize) -> u32;
    fn proxy_get_header_map_value(
        map: u32,
        name: *const u8,
        name_length: usize,
        value: *mut *mut u8,
        value_length: *mut usize,
    ) -> u32;
    fn proxy_replace_header_map_value(
        map: u32,
        name: *const u8,
        name_length: usize,
        value: *const u8,
        value_length: usize,
    ) -> u32;
    fn proxy_remove_header_map_value(map: u32, name: *const u8, name_length: usize) -> u32;
    fn proxy_get_buffer_bytes(
        buffer: u32,
        start: usize,
        most: usize,
        bytes: *mut *mut u8,
        length: *mut usize,
    ) -> u32;
    fn proxy_get_property(
        path: *const u8,
        path_length: usize,
        value: *mut *mut u8,
        value_length: *mut usize,
    ) -> u32;
    fn proxy_continue_stream(stream: u32) -> u32;
    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_length: usize,
        body: *const u8,
        body_length: usize,
        headers: *const u8,
        headers_length: usize,
        grpc_status: i32,
    ) -> u32;
    fn proxy_http_call(
        cluster: *const u8,
        cluster_length: usize,
        headers: *const u8,
        headers_length: usize,
        body: *const u8,
        body_length: usize,
        trailers: *const u8,
        trailers_length: usize,
        timeout: u32,
        token: *mut u32,
    ) -> u32;
    fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
    fn proxy_done() -> u32;
}

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    fn random_get(bytes: *mut u8, length: usize) -> u32;
    fn clock_time_get(clock: u32, precision: u64, time: *mut u64) -> u32;
}

/// The proxy that runs this VM.
#[derive(Debug)]
pub(crate) struct Proxy;

impl Host for Proxy {
    fn log(&mut self, level: Level, line: &str) {
        // SAFETY: the pointer and the length are those of a text.
        unsafe { proxy_log(level as u32, line.as_ptr(), line.len()) };
    }

    fn now(&mut self) -> u64 {
        let mut time = 0;
        // SAFETY: the pointer is that of a number of 64 bits.
        unsafe { clock_time_get(MONOTONIC, 1_000_000, &raw mut time) };
        time / 1_000_000
    }

    fn random(&mut self) -> Option<[u8; 16]> {
        let mut random = [0; 16];
        // SAFETY: the pointer and the length are those of an array.
        let status = unsafe { random_get(random.as_mut_ptr(), random.len()) };
        (status == OK).then_some(random)
    }

    fn request_headers(&mut self) -> Vec<u8> {
        given(|bytes, length| {
            // SAFETY: both pointers are those of variables for what the proxy gives.
            unsafe { proxy_get_header_map_pairs(REQUEST_HEADERS, bytes, length) }
        })
    }

    fn response_details(&mut self, request: ContextId) -> Vec<u8> {
        act_for(request);
        let path = "response\0code_details";
        given(|value, length| {
            // SAFETY: the pointer and the length of a text, and the pointers of variables for what the proxy gives.
            unsafe { proxy_get_property(path.as_ptr(), path.len(), value, length) }
        })
    }

    fn set_header(&mut self, request: ContextId, name: &str, value: &str) {
        act_for(request);
        let (name, length) = (name.as_ptr(), name.len());
        // SAFETY: the pointers and the lengths are those of texts.
        unsafe {
            proxy_replace_header_map_value(
                REQUEST_HEADERS,
                name,
                length,
                value.as_ptr(),
                value.len(),
            )
        };
    }

    fn remove_header(&mut self, request: ContextId, name: &str) {
        act_for(request);
        // SAFETY: the pointer and the length are those of a text.
        unsafe { proxy_remove_header_map_value(REQUEST_HEADERS, name.as_ptr(), name.len()) };
    }

    fn go_on(&mut self, request: ContextId) {
        act_for(request);
        // SAFETY: no pointers.
        unsafe { proxy_continue_stream(REQUEST_STREAM) };
    }

    fn refuse(&mut self, request: ContextId, refusal: &Refusal, details: &str) {
        act_for(request);
        let seconds = refusal.retry_after.map(|seconds| seconds.to_string());
        let mut headers = Vec::from([("content-type", refusal.content_type.as_str())]);
        headers.extend(seconds.as_deref().map(|seconds| ("retry-after", seconds)));
        let headers = pairs::write(&headers);
        let (body, length) = (refusal.body.as_ptr(), refusal.body.len());
        // SAFETY: the pointers and the lengths are those of texts and of a vector.
        unsafe {
            proxy_send_local_response(
                refusal.status.into(),
                details.as_ptr(),
                details.len(),
                body,
                length,
                headers.as_ptr(),
                headers.len(),
                -1,
            )
        };
    }

    fn call(&mut self, root: ContextId, call: &CallOut<'_>) -> Option<Token> {
        act_for(root);
        let mut headers = Vec::from([
            (":method", "POST"),
            (":path", call.path),
            (":authority", call.authority),
            ("content-type", "application/json"),
        ]);
        headers.extend(call.token.map(|token| (TOKEN_HEADER, token)));
        let (headers, trailers) = (pairs::write(&headers), pairs::write(&[]));
        let mut token = 0;
        // SAFETY: the pointers and the lengths are those of texts and vectors; the last is that of a number.
        let status = unsafe {
            proxy_http_call(
                call.cluster.as_ptr(),
                call.cluster.len(),
                headers.as_ptr(),
                headers.len(),
                call.body.as_ptr(),
                call.body.len(),
                trailers.as_ptr(),
                trailers.len(),
                call.timeout,
                &raw mut token,
            )
        };
        (status == OK).then_some(token)
    }

    fn tick(&mut self, root: ContextId, period: u32) {
        act_for(root);
        // SAFETY: no pointers.
        unsafe { proxy_set_tick_period_milliseconds(period) };
    }

    fn done(&mut self, root: ContextId) {
        act_for(root);
        // SAFETY: no pointers.
        unsafe { proxy_done() };
    }
}

/// The configuration of the context whose event this is, which has this many bytes.
pub(crate) fn configuration(length: usize) -> Vec<u8> {
    buffer(CONFIGURATION, length)
}

/// The status of the answer whose event this is. `None` if there is no answer.
pub(crate) fn answer_status() -> Option<u16> {
    let name = ":status";
    let status = given(|value, length| {
        // SAFETY: the pointer and the length of a text, and the pointers of variables for what the proxy gives.
        unsafe {
            proxy_get_header_map_value(CALL_HEADERS, name.as_ptr(), name.len(), value, length)
        }
    });
    core::str::from_utf8(&status).ok()?.parse().ok()
}

/// The body of the answer whose event this is, which has this many bytes.
pub(crate) fn answer_body(length: usize) -> Vec<u8> {
    buffer(CALL_BODY, length)
}

fn buffer(buffer: u32, length: usize) -> Vec<u8> {
    given(|bytes, given| {
        // SAFETY: both pointers are those of variables for what the proxy gives.
        unsafe { proxy_get_buffer_bytes(buffer, 0, length, bytes, given) }
    })
}

fn act_for(context: ContextId) {
    // SAFETY: no pointers.
    unsafe { proxy_set_effective_context(context) };
}

/// The bytes that a function of the proxy gives; none if the function fails.
fn given(function: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Vec<u8> {
    let (mut bytes, mut length) = (ptr::null_mut::<u8>(), 0_usize);
    let status = function(&raw mut bytes, &raw mut length);
    if status != OK || bytes.is_null() || length == 0 {
        return Vec::new();
    }
    // SAFETY: the proxy writes into a block of exactly this length that it got from `proxy_on_memory_allocate`. That
    // function allocates as vectors do, and the proxy leaves the block to us.
    unsafe { Vec::from_raw_parts(bytes, length, length) }
}
