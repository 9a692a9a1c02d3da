//! Records, as a pod's annotation may hold them.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| proto_fuzz::record(data));
