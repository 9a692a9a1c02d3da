//! The app: asked whether it is there and what it serves, then sent requests.

mod call;
mod connection;
mod dial;
pub mod probe;
pub mod reflection;
mod response;
pub mod send;
