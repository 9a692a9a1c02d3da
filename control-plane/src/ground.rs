//! The pure floor: what is decided, from values to values. Nothing here does I/O, reads a clock or knows a client.

pub mod annotations;

pub mod injection;
pub mod plan;
pub mod pod;

pub mod resources;
pub mod target;

