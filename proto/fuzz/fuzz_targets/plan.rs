//! Plans, as a container's environment may hold them.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| proto_fuzz::plan(data));
