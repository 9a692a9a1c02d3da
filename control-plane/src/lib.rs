//! The control plane of kube-booster: it marks pods at admission, takes the sidecars' reports and opens the gates.
//!
//! Floors, each of which knows only those below it: `main` → [`runtime`] → [`adapters`] → [`ground`].

pub mod adapters;
pub mod ground;
pub mod runtime;
