//! One gRPC call of our own, and the message that answers it.

use std::net::SocketAddr;

use http_body_util::Full;

use super::{
    connection::{Connection, failure},
    response::Received,
};
use crate::ground::{
    grpc,
    message::Message,
    outcome::{Failure, Outcome},
};

/// More than any answer to our own questions has, its frame included.
const LONGEST: usize = 160 << 10;

/// The first message that the app at `address` answers `call` with, 160 KiB at most.
pub(super) async fn answer(
    connection: &mut Connection,
    call: &Message,
    address: SocketAddr,
) -> Result<Vec<u8>, Outcome> {
    let sent = connection.send(call.to(address, 0).map(Full::new)).await;
    let response = sent.map_err(|error| Outcome::Failed(failure(&error)))?;
    let received = Received::read(response, LONGEST).await.map_err(Outcome::Failed)?;
    match received.called() {
        Outcome::Status(200) => {}
        outcome => return Err(outcome),
    }
    let message = grpc::first_message(&received.body).ok_or(Outcome::Failed(Failure::NotGrpc))?;
    Ok(message.to_vec())
}
