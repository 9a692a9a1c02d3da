//! The processor time of a request, of variants that take turns: what disturbs the machine disturbs all of them.

use tests::{
    measure::{figures::Figures, latencies::Latencies},
    usage::threads_time,
};

use super::{
    driver::Driver,
    reviews,
    server::{Handler, Server, Setting},
    sizes::Sizes,
};

/// Connections that an API server keeps to a webhook.
const CONNECTIONS: usize = 16;
/// Slots of the variants, so that none of them queues.
const SLOTS: usize = 64;
/// Names, bytes, and how many times fewer requests make a turn as long.
const PODS: [(&str, usize, usize); 3] = [("2k", 2 << 10, 1), ("8k", 8_500, 1), ("100k", 100 << 10, 5)];

/// One of those that take turns.
pub(crate) struct Variant {
    name: String,
    server: Server,
    driver: Driver,
    request: &'static [u8],
    processor: Vec<f64>,
    rates: Vec<f64>,
    latencies: Vec<Latencies>,
}

impl Variant {
    pub(crate) async fn start(
        name: &str,
        setting: Setting,
        request: &'static [u8],
        connections: usize,
    ) -> anyhow::Result<Self> {
        let server = Server::start(setting).await?;
        let driver = Driver::connect(&server.caller, connections).await?;
        let (processor, rates, latencies) = Default::default();
        Ok(Self { name: name.to_owned(), server, driver, request, processor, rates, latencies })
    }

    #[expect(clippy::cast_precision_loss)]
    async fn take_turn(&mut self, requests: usize) -> anyhow::Result<()> {
        let before = threads_time(self.server.pid)?;
        let turn = self.driver.send(self.request, requests).await?;
        let used = threads_time(self.server.pid)?.saturating_sub(before);
        let sent = turn.latencies.len() as f64;
        self.processor.push(used.as_secs_f64() / sent);
        self.rates.push(sent / turn.lasted.as_secs_f64());
        self.latencies.push(turn.latencies.into_iter().collect());
        Ok(())
    }

    fn note(&self, figures: &mut Figures) {
        let name = &self.name;
        let quantile = |share| median(self.latencies.iter().map(|turn| turn.quantile(share)));
        figures.set(format!("{name}_cpu_seconds"), median(self.processor.iter().copied()));
        figures.set(format!("{name}_rate"), median(self.rates.iter().copied()));
        figures.set(format!("{name}_p50_seconds"), quantile(0.5));
        figures.set(format!("{name}_p99_seconds"), quantile(0.99));
    }
}

/// Lets all `variants` take turns, in another order each round, and notes what they came to.
pub(crate) async fn race(
    figures: &mut Figures,
    variants: &mut [Variant],
    rounds: usize,
    requests: usize,
) -> anyhow::Result<()> {
    for variant in &mut *variants {
        // Code, caches and connections are warm when it counts.
        variant.driver.send(variant.request, requests).await?;
    }
    for round in 0..rounds {
        variants.rotate_left(1);
        if round % 2 == 1 {
            variants.reverse();
        }
        for variant in &mut *variants {
            variant.take_turn(requests).await?;
        }
    }
    for variant in &*variants {
        variant.note(figures);
    }
    Ok(())
}

/// All handlers with pods of all sizes.
pub(crate) async fn measure(figures: &mut Figures, sizes: Sizes) -> anyhow::Result<()> {
    for (size, bytes, fewer) in PODS {
        let mut variants = Vec::new();
        for (name, handler, asks) in [
            ("constant", Handler::Constant, true),
            ("untracked", Handler::Webhook, true),
            ("admission", Handler::Tracked, true),
            ("unannotated", Handler::Tracked, false),
        ] {
            let request = reviews::of_size(bytes, asks).leak();
            let setting = Setting { handler, slots: SLOTS, gc_threshold: 0 };
            let name = format!("{name}_{size}");
            variants.push(Variant::start(&name, setting, request, CONNECTIONS).await?);
        }
        race(figures, &mut variants, sizes.rounds, sizes.requests / fewer).await?;
        if size == "8k" {
            compare(figures, &variants);
        }
    }
    Ok(())
}

/// What the tracker costs: the median over rounds, in each of which both had a turn.
fn compare(figures: &mut Figures, variants: &[Variant]) {
    let of = |name: &str| variants.iter().find(|variant| variant.name == name);
    let (Some(with), Some(without)) = (of("admission_8k"), of("untracked_8k")) else { return };
    let ratio = |with: &[f64], without: &[f64]| {
        median(with.iter().zip(without).map(|(with, without)| with / without - 1.0))
    };
    figures.set("tracker_overhead_ratio", ratio(&with.processor, &without.processor));
    figures.set("tracker_rate_loss_ratio", -ratio(&with.rates, &without.rates));
}

fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.into_iter().collect();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}
