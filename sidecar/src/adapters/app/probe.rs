//! Asks the app whether it is there.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use http::uri::Scheme;
use http_body_util::Full;
use tokio::time::{Instant, sleep, timeout};

use super::{
    call,
    connection::{Connection, failure},
    dial::{self, Versions},
};
use crate::ground::{
    health,
    message::Message,
    outcome::{Failure, Outcome},
    patience::{SHORTEST_TRY, pause, try_after},
    question::{Ask, Question},
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
    match &question.ask {
        Ask::Connection => dial::tcp(address).await.map(drop).map_err(Outcome::Failed),
        Ask::Http(message) => {
            let stream = dial::tcp(address).await.map_err(Outcome::Failed)?;
            get(Connection::http1(stream).await, message, address).await
        }
        Ask::Https(message) => {
            // The kubelet's probes speak HTTP/1.1 over TLS, too.
            let stream = dial::tls(address, Versions::Http1).await.map_err(Outcome::Failed)?;
            get(Connection::http1(stream).await, message, address).await
        }
        Ask::Health(message) => {
            let stream = dial::tcp(address).await.map_err(Outcome::Failed)?;
            let mut connection = Connection::http2(stream, Scheme::HTTP).await.map_err(Outcome::Failed)?;
            let answer = call::answer(&mut connection, message, address).await?;
            health::judge(&answer).map_err(Outcome::Failed)
        }
    }
}

async fn get(
    connection: Result<Connection, Failure>,
    message: &Message,
    address: SocketAddr,
) -> Result<(), Outcome> {
    let mut connection = connection.map_err(Outcome::Failed)?;
    let response = connection.send(message.to(address, 0).map(Full::new)).await;
    let outcome = response.map_or_else(
        |error| Outcome::Failed(failure(&error)),
        |response| Outcome::Status(response.status().as_u16()),
    );
    if outcome.is_success() { Ok(()) } else { Err(outcome) }
}
