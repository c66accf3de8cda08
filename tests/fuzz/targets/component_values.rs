#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| holdfast_fuzz::component_values::run(input));
