//! The program of the target `redis_replies`: replies of Redis.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| holdfast_fuzz::redis_replies::run(input));
