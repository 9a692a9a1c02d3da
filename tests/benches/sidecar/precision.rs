//! How far requests arrive from when they were due.

use std::time::Duration;

use super::{
    Bench,
    app::App,
    generators::{Load, attack, done, ohayou},
    latencies::Latencies,
};

/// Who sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Sidecar,
    Vegeta,
    Oha,
}

impl Who {
    /// What the names of its figures begin with.
    fn prefix(self) -> &'static str {
        match self {
            Self::Sidecar => "",
            Self::Vegeta => "vegeta_",
            Self::Oha => "oha_",
        }
    }
}

/// Deviations of all rounds, against the earliest arrival and against the median one.
#[derive(Debug, Clone, Default)]
struct Deviations {
    from_earliest: Latencies,
    from_median: Latencies,
    /// Requests for which time did not suffice: they are counted nowhere else.
    unsent: usize,
}

/// Measures all generators at all rates, each in turn in each round.
pub(crate) async fn measure(bench: &mut Bench) -> anyhow::Result<()> {
    let who = [
        (Who::Sidecar, true),
        (Who::Vegeta, bench.generators.vegeta.is_some()),
        (Who::Oha, bench.generators.oha.is_some()),
    ];
    let who: Vec<Who> = who.into_iter().filter(|(_, is_there)| *is_there).map(|(who, _)| who).collect();
    for rate in bench.sizes.rates.clone() {
        let mut deviations = vec![Deviations::default(); who.len()];
        for round in 0..bench.sizes.rounds {
            eprintln!("precision at {rate}/s, round {} of {}", round + 1, bench.sizes.rounds);
            for (who, deviations) in who.iter().zip(&mut deviations) {
                let arrivals = arrivals(bench, *who, rate).await?;
                deviations.add(&arrivals, rate);
                deviations.unsent += (count(rate, bench.sizes.lasts) as usize).saturating_sub(arrivals.len());
            }
        }
        for (who, deviations) in who.iter().zip(&deviations) {
            let unsent = format!("{}schedule_unsent_{rate}", who.prefix());
            #[expect(clippy::cast_precision_loss)]
            bench.figures.set(unsent, deviations.unsent as f64);
            for (quantile, share) in [("p50", 0.5), ("p99", 0.99)] {
                let name = |what: &str| format!("{}schedule_{what}_{quantile}_seconds_{rate}", who.prefix());
                bench.figures.set(name("error"), deviations.from_earliest.quantile(share));
                bench.figures.set(name("spread"), deviations.from_median.quantile(share));
            }
        }
    }
    Ok(())
}

/// When the requests of one run arrived.
async fn arrivals(bench: &mut Bench, who: Who, rate: u32) -> anyhow::Result<Vec<u64>> {
    let app = App::start(Duration::ZERO).await?;
    let load = Load { port: app.port, rate, count: count(rate, bench.sizes.lasts) };
    let folder = tempfile::tempdir()?;
    match (who, &bench.generators.vegeta, &bench.generators.oha) {
        (Who::Vegeta, Some(vegeta), _) => done(attack(vegeta, load, folder.path())?).await?,
        (Who::Oha, _, Some(oha)) => done(ohayou(oha, load)).await?,
        _ => drop(bench.generators.warm(load, &mut bench.desk).await?),
    }
    let arrivals = app.finish().await?.requests;
    Ok(arrivals)
}

/// As many as the duration holds and a plan may ask for.
fn count(rate: u32, lasts: Duration) -> u32 {
    let millis = u32::try_from(lasts.as_millis()).unwrap_or(u32::MAX);
    (rate * millis / 1_000).min(proto::plan::MAX_REQUESTS / 1_000 * 1_000)
}

impl Deviations {
    /// Adds what `arrivals`, in order, deviate from the schedule that fits them best. When the generator began is not
    /// known: nobody sends early, so that the earliest against its place in the schedule tells; the median, as a check,
    /// forgives whoever is always late by the same.
    fn add(&mut self, arrivals: &[u64], rate: u32) {
        let Some(first) = arrivals.first() else { return };
        let due = (0_u64..).map(|index| index * 1_000_000_000 / u64::from(rate));
        let late = |(arrival, due): (&u64, u64)| i128::from(*arrival) - i128::from(first + due);
        let mut late: Vec<i128> = arrivals.iter().zip(due).map(late).collect();
        late.sort_unstable();
        for (list, origin) in
            [(&mut self.from_earliest, late[0]), (&mut self.from_median, late[late.len() / 2])]
        {
            for nanos in late.iter().map(|nanos| nanos.abs_diff(origin)) {
                list.push(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)));
            }
        }
    }
}
