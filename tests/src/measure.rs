//! What benchmarks have in common: figures by name, quantiles, tables.

pub mod figures;
pub mod latencies;
pub mod table;
