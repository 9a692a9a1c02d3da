//! How many reviews to decide at once: the same load on webhooks with different numbers of slots, in turn.

use std::{num::NonZero, thread};

use tests::measure::figures::Figures;

use super::{
    reviews,
    rounds::{Variant, race},
    server::{Handler, Setting},
    sizes::Sizes,
};

/// More than there are slots, so that reviews queue.
const CONNECTIONS: usize = 128;

/// Numbers of slots that are tried: around that of the cores.
pub(crate) fn tried() -> Vec<usize> {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let mut tried = vec![1, cores.saturating_sub(1).max(1), cores, 2 * cores, 8 * cores];
    tried.dedup();
    tried
}

/// Rate and latencies for each number of slots.
pub(crate) async fn measure(figures: &mut Figures, sizes: Sizes) -> anyhow::Result<()> {
    let request: &'static [u8] = reviews::of_size(8_500, true).leak();
    let mut variants = Vec::new();
    for slots in tried() {
        let setting = Setting { handler: Handler::Webhook, slots, gc_threshold: 0 };
        variants.push(Variant::start(&format!("slots_{slots}"), setting, request, CONNECTIONS).await?);
    }
    race(figures, &mut variants, sizes.rounds / 2, sizes.requests.max(CONNECTIONS)).await
}
