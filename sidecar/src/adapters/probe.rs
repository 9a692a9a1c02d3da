//! Asks the app whether it is there.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    time::{Instant, sleep, timeout},
};

use crate::ground::{
    outcome::{Failure, Outcome},
    patience::pause,
    question::Question,
    tried::Tried,
};

/// How long one try may take.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Asks at `addresses` in turn until one answers; what came of the tries before is noted in `tried`.
pub async fn first_answer(question: &Question, addresses: &[IpAddr], tried: &Tried) -> IpAddr {
    let start = Instant::now();
    let mut turn = addresses.iter().cycle();
    loop {
        for address in turn.by_ref().take(addresses.len()) {
            let address = SocketAddr::new(*address, question.port);
            let outcome = match ask(question, address).await {
                Ok(()) => return address.ip(),
                Err(outcome) => outcome,
            };
            tried.note(address, outcome);
            // An app that is silent at one address would be so at the others: it is asked once per pause.
            if outcome == Outcome::Failed(Failure::TimedOut) {
                break;
            }
        }
        sleep(pause(start.elapsed())).await;
    }
}

/// Asks once, for a second at most.
pub async fn ask(question: &Question, address: SocketAddr) -> Result<(), Outcome> {
    let answer = timeout(TIMEOUT, answer(question, address)).await;
    answer.unwrap_or(Err(Outcome::Failed(Failure::TimedOut)))
}

async fn answer(question: &Question, address: SocketAddr) -> Result<(), Outcome> {
    let stream =
        TcpStream::connect(address).await.map_err(|error| Outcome::Failed(Failure::to_connect(&error)))?;
    let Some(message) = &question.message else { return Ok(()) };
    let status = exchange(stream, message.to(address, 0)).await.map_err(Outcome::Failed)?;
    let outcome = Outcome::Status(status);
    if outcome.is_success() { Ok(()) } else { Err(outcome) }
}

async fn exchange(stream: TcpStream, request: Request<Bytes>) -> Result<u16, Failure> {
    let failure = |error: hyper::Error| if error.is_parse() { Failure::Malformed } else { Failure::Closed };
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failure)?;
    // Ends by itself once the sender and the response are dropped.
    tokio::spawn(connection);
    let response = sender.send_request(request.map(Full::new)).await.map_err(failure)?;
    Ok(response.status().as_u16())
}
