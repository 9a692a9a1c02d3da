//! Records how long an app takes for each request from its start on, as the sidecar sends and times them:
//! `cargo run --release --example record -- PORT COUNT PATH…`, in microseconds, one line for each.
//!
//! `tests/recorded` holds such series, on which the stop rule is tested.

use std::{
    env,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use proto::plan::Request;
use sidecar::{
    adapters::app::{probe, send::Sender},
    ground::{message::Message, outcome::Outcome, question::Question},
};
use tokio::time::{Instant, sleep};

const LIMIT: Duration = Duration::from_secs(10);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), String> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [port, count, paths @ ..] = arguments.as_slice() else { return Err("PORT COUNT PATH…".to_owned()) };
    let address = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port.parse().map_err(|_| "PORT is no port")?);
    let count: usize = count.parse().map_err(|_| "COUNT is no number")?;
    let message =
        |path| Message::of_warmup(&Request::get(path), &"0".repeat(32)).map_err(|error| error.to_string());
    let messages = paths.iter().map(message).collect::<Result<Vec<_>, _>>()?;
    while probe::ask(&Question::of_port(address.port()), address, LIMIT).await.is_err() {
        sleep(Duration::from_millis(20)).await;
    }
    let sender = Sender::to(address, 1);
    for message in messages.iter().cycle().take(count) {
        let start = Instant::now();
        let outcome = sender.send(message.protocol(), message.to(address, 1), LIMIT).await.outcome;
        if !matches!(outcome, Outcome::Status(200)) {
            return Err(format!("a request failed: {outcome}"));
        }
        println!("{}", start.elapsed().as_micros());
    }
    Ok(())
}
