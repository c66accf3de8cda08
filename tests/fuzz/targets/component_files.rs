//! The program of the target `component_files`: resource files.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| holdfast_fuzz::component_files::run(input));
