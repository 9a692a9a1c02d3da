//! The floor that talks: each module speaks with one outside party, and none imports another.

pub mod admin;
pub mod caller;
pub mod census;
pub mod certificates;
pub mod changes;
pub mod conditions;
pub mod events;
pub mod evictions;
pub mod exchanges;
pub mod lease;
pub mod limits;
pub mod logs;
pub mod metrics;
pub mod pods;
pub mod reach;
pub mod report_service;
pub mod reports;
pub mod server;
pub mod webhook;
