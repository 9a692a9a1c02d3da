//! The floor that talks: each module speaks with one outside party, and none imports another.

pub mod admin;
pub mod certificates;
pub mod conditions;
pub mod events;
pub mod exchanges;
pub mod logs;
pub mod metrics;
pub mod pods;
pub mod reports;
pub mod server;
pub mod webhook;
