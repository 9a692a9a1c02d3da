//! What touches the world. Adapters do not know each other; they meet in [`run`](crate::run).

pub mod app;
pub mod control_plane;
pub mod pace;
pub mod park;
pub mod record;
