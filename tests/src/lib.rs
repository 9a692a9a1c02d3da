//! The harness: a real API server on loopback, a real node where the machine permits one, and our programs as they ship.
//!
//! Everything is started by whoever needs it, on free ports, and stopped when its handle is dropped; should the test
//! program itself be killed, the kernel ends what it started.

pub mod api_server;
pub mod app;
pub mod authority;
pub mod cluster;
pub mod control_plane;
pub mod creations;
pub mod daemon;
pub mod forwarder;
pub mod monitoring;
pub mod patience;
pub mod pods;
pub mod ports;
pub mod programs;
pub mod prometheus;
pub mod replica;
pub mod reports;
pub mod shipped;
pub mod sidecar;
pub mod signer;
pub mod trials;
pub mod usage;
pub mod warnings;
pub mod webhook;
