//! Asks the app whether it is there.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use http_body_util::Full;
use tokio::time::{Instant, sleep, timeout};

use super::{
    connection::{Connection, failure},
    dial,
};
use crate::ground::{
    outcome::{Failure, Outcome},
    patience::{SHORTEST_TRY, pause, try_after},
    question::Question,
    tried::Tried,
};

/// Asks at `addresses` in turn until one answers; what came of the tries before is noted in `tried`.
pub async fn first_answer(question: &Question, addresses: &[IpAddr], tried: &Tried) -> IpAddr {
    let (start, mut limit) = (Instant::now(), SHORTEST_TRY);
    let mut turn = addresses.iter().cycle();
    loop {
        for address in turn.by_ref().take(addresses.len()) {
            let address = SocketAddr::new(*address, question.port);
            let outcome = match ask(question, address, limit).await {
                Ok(()) => return address.ip(),
                Err(outcome) => outcome,
            };
            tried.note(address, outcome);
            limit = try_after(limit, outcome);
            // An app that is silent at one address would be so at the others: it is asked once per pause.
            if outcome == Outcome::Failed(Failure::TimedOut) {
                break;
            }
        }
        sleep(pause(start.elapsed())).await;
    }
}

/// Asks once, for `limit` at most.
pub async fn ask(question: &Question, address: SocketAddr, limit: Duration) -> Result<(), Outcome> {
    let answer = timeout(limit, answer(question, address)).await;
    answer.unwrap_or(Err(Outcome::Failed(Failure::TimedOut)))
}

async fn answer(question: &Question, address: SocketAddr) -> Result<(), Outcome> {
    let connection = if question.is_tls {
        // The kubelet's probes speak HTTP/1.1 over TLS, too.
        Connection::http1(dial::tls(address, false).await.map_err(Outcome::Failed)?).await
    } else {
        let stream = dial::tcp(address).await.map_err(Outcome::Failed)?;
        if question.message.is_none() {
            return Ok(());
        }
        Connection::http1(stream).await
    };
    let (mut connection, Some(message)) = (connection.map_err(Outcome::Failed)?, &question.message) else {
        return Ok(());
    };
    let response = connection.send(message.to(address, 0).map(Full::new)).await;
    let outcome = response.map_or_else(
        |error| Outcome::Failed(failure(&error)),
        |response| Outcome::Status(response.status().as_u16()),
    );
    if outcome.is_success() { Ok(()) } else { Err(outcome) }
}
