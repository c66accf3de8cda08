//! The module's imports, exports and size.

use std::{collections::BTreeSet, fs};

use crate::proxy::module;

/// The largest size, in bytes.
const LARGEST: u64 = 191_000;

#[test]
fn it_imports_what_proxies_have_and_exports_what_they_call() {
    let imports: BTreeSet<_> =
        module().imports().map(|import| format!("{}.{}", import.module(), import.name())).collect();
    let expected = [
        "env.proxy_continue_stream",
        "env.proxy_done",
        "env.proxy_get_buffer_bytes",
        "env.proxy_get_header_map_pairs",
        "env.proxy_get_header_map_value",
        "env.proxy_get_property",
        "env.proxy_http_call",
        "env.proxy_log",
        "env.proxy_remove_header_map_value",
        "env.proxy_replace_header_map_value",
        "env.proxy_send_local_response",
        "env.proxy_set_effective_context",
        "env.proxy_set_tick_period_milliseconds",
        "wasi_snapshot_preview1.clock_time_get",
        "wasi_snapshot_preview1.random_get",
    ];
    assert_eq!(imports, expected.map(str::to_owned).into());

    let exports: BTreeSet<_> = module().exports().map(|export| export.name().to_owned()).collect();
    let expected = [
        "cabi_realloc",
        "memory",
        "proxy_abi_version_0_2_1",
        "proxy_on_configure",
        "proxy_on_context_create",
        "proxy_on_delete",
        "proxy_on_done",
        "proxy_on_http_call_response",
        "proxy_on_memory_allocate",
        "proxy_on_request_body",
        "proxy_on_request_headers",
        "proxy_on_request_trailers",
        "proxy_on_response_body",
        "proxy_on_response_headers",
        "proxy_on_response_trailers",
        "proxy_on_tick",
        "proxy_on_vm_start",
    ];
    assert_eq!(exports, expected.map(str::to_owned).into());
}

#[test]
fn the_filter_does_not_exceed_its_size_limit() {
    let size = fs::metadata(env!("HOLDFAST_FILTER")).unwrap().len();
    assert!(size <= LARGEST, "it has {size} bytes");
}
