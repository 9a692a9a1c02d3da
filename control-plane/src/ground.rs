//! The pure floor: what is decided, from values to values. Nothing here does I/O, reads a clock or knows a client.

pub mod annotations;
pub mod backlog;
pub mod condition;
pub mod fallbacks;
pub mod holding;
pub mod identity;
pub mod injection;
pub mod lease;
pub mod limits;
pub mod memory;
pub mod mesh;
pub mod observed;
pub mod pace;
pub mod pauses;
pub mod performance;
pub mod plan;
pub mod pod;
pub mod readiness;
pub mod resources;
pub mod rotation;
pub mod scan;
pub mod seen;
pub mod steadiness;
pub mod target;
pub mod token;
pub mod warmups;
