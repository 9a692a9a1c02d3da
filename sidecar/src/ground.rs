//! What the sidecar decides, without I/O: values in, values out.

pub mod answer;
pub mod backoff;
pub mod call;
pub mod chain;
pub mod course;
pub mod descriptors;
pub mod goal;
pub mod grpc;
pub mod health;
pub mod message;
pub mod outcome;
pub mod patience;
pub mod payload;
pub mod question;
pub mod reflection;
pub mod restraint;
pub mod schedule;
pub mod script;
pub mod settings;
pub mod spoken;
pub mod stability;
pub mod tally;
pub mod tried;
