//! The sidecar of a warmed pod: it waits for the app, sends the planned requests, reports what came of them and parks.
//!
//! [`ground`] decides, [`adapters`] act, [`run`] brings them together. On no path does the program end by itself:
//! a sidecar that exits takes the pod's readiness with it.

pub mod adapters;
mod descriptor;
pub mod ground;
mod log;
mod random;
pub mod run;
pub mod signals;
