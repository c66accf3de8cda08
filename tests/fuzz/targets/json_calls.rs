//! The program of the target `json_calls`: bodies of calls.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| holdfast_fuzz::json_calls::run(input));
