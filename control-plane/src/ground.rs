//! The pure floor: what is decided, from values to values. Nothing here does I/O, reads a clock or knows a client.

pub mod annotations;
pub mod condition;
pub mod identity;
pub mod injection;
pub mod memory;
pub mod observed;
pub mod pace;
pub mod plan;
pub mod pod;
pub mod readiness;
pub mod resources;
pub mod seen;
pub mod target;
pub mod token;
pub mod warmups;
