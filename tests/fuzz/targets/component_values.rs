//! The program of the target `component_values`: the values of resource files.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| holdfast_fuzz::component_values::run(input));
