//! The app: asked whether it is there, then sent requests.

mod connection;
mod dial;
pub mod probe;
pub mod send;
