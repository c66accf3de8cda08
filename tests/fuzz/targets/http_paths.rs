//! The program of the target `http_paths`: paths of requests.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| holdfast_fuzz::http_paths::run(input));
