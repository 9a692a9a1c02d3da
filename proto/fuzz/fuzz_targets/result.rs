//! Results, as a sidecar may send them.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| proto_fuzz::result(data));
