//! The sidecar against a real app and a real control plane, over loopback.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail where it stands")]

mod app;
mod back_to_back;
mod calls;
mod connections;
mod control_plane;
mod frames;
mod hostile;
mod logs;
mod process;
mod protocols;
mod refusing;
mod reporting;
mod sending;
mod services;
mod setting;
mod stable;
mod versions;
mod waiting;
