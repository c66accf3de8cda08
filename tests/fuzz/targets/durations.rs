//! The program of the target `durations`: durations.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| holdfast_fuzz::durations::run(input));
