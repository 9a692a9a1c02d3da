//! The contract of kube-booster: what its two programs, and its users, agree on.
//!
//! The domain types ([`plan`], [`report`], [`method`]) know nothing of gRPC; [`wire`] is the only file that knows both.

pub mod method;
pub mod names;
pub mod plan;
pub mod report;
pub mod wire;

/// Bindings of `kube_booster/v1/*.proto`, committed; `tests/bindings.rs` makes them again and compares.
#[allow(clippy::all, clippy::pedantic, missing_docs, unreachable_pub)]
pub mod v1 {
    include!("generated/kube_booster.v1.rs");

    /// The services' descriptors, for server reflection.
    pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!("generated/descriptors.bin");
}
