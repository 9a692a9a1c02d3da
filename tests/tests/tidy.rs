//! What is written twice is held together here, and the floors stay floors.

#[path = "tidy/dependencies.rs"]
mod dependencies;
#[path = "tidy/documents.rs"]
mod documents;
#[path = "tidy/floors.rs"]
mod floors;
#[path = "tidy/images.rs"]
mod images;
#[path = "tidy/metrics.rs"]
mod metrics;
#[path = "tidy/modules.rs"]
mod modules;
#[path = "tidy/monitoring.rs"]
mod monitoring;
#[path = "tidy/policies.rs"]
mod policies;
