//! Annotations, as anybody may write them.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| control_plane_fuzz::annotations(data));
