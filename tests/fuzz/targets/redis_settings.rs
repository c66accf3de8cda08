//! The program of the target `redis_settings`: settings of Redis.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| holdfast_fuzz::redis_settings::run(input));
