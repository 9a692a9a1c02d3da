//! Reviews, as anybody may send them.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| control_plane_fuzz::review(data));
