//! Asks the app which gRPC services it has.

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use http::uri::Scheme;
use tokio::time::timeout;

use super::{
    call,
    connection::Connection,
    dial::{self, Versions},
};
use crate::ground::{
    descriptors::Descriptors,
    grpc::Code,
    message::Message,
    outcome::{Failure, Outcome},
    reflection::{Files, METHODS, Query, Untold},
    spoken::Spoken,
};

/// How long finding out may take, and how long all questions to one version of the service together: an app's first
/// answers may load half of the program.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What is known of an app's gRPC.
#[derive(Debug)]
pub struct Described {
    /// How it is spoken.
    pub spoken: Spoken,
    /// The services that were asked for, as far as the app has them.
    pub services: Result<Descriptors, Untold>,
}

/// Finds out how gRPC is spoken at `address`, and what `services` are there.
pub async fn describe(address: SocketAddr, services: &BTreeSet<String>) -> Result<Described, Failure> {
    let (spoken, mut connection) = timeout(TIMEOUT, open(address)).await.unwrap_or(Err(Failure::TimedOut))?;
    let services = tell(&mut connection, address, services).await;
    Ok(Described { spoken, services })
}

/// Clear text where the app speaks HTTP/2 in it, else TLS.
async fn open(address: SocketAddr) -> Result<(Spoken, Connection), Failure> {
    if dial::speaks_clear_http2(address).await? {
        let stream = dial::tcp(address).await?;
        return Ok((Spoken::Grpc, Connection::http2(stream, Scheme::HTTP).await?));
    }
    match dial::tls(address, Versions::Http2).await {
        Ok(stream) => Ok((Spoken::GrpcOverTls, Connection::http2(stream, Scheme::HTTPS).await?)),
        Err(Failure::Tls) => Err(Failure::NotGrpc),
        Err(failure) => Err(failure),
    }
}

async fn tell(
    connection: &mut Connection,
    address: SocketAddr,
    services: &BTreeSet<String>,
) -> Result<Descriptors, Untold> {
    let mut untold = Untold::Unreadable;
    for method in METHODS {
        let mut teller = Teller { connection: &mut *connection, address, method };
        let silent = Err(Untold::Silent(Outcome::Failed(Failure::TimedOut)));
        match timeout(TIMEOUT, teller.tell(services)).await.unwrap_or(silent) {
            Err(silent @ Untold::Silent(_)) => untold = silent,
            told => return told,
        }
    }
    Err(untold)
}

/// One version of the reflection service.
struct Teller<'c> {
    connection: &'c mut Connection,
    address: SocketAddr,
    method: &'static str,
}

impl Teller<'_> {
    /// The files of `services` with all that they need.
    async fn tell(&mut self, services: &BTreeSet<String>) -> Result<Descriptors, Untold> {
        let mut files = Files::default();
        for service in services {
            self.ask(Query::Service(service), &mut files).await?;
        }
        while let Some(name) = files.missing()? {
            self.ask(Query::File(&name), &mut files).await?;
        }
        Ok(files.into_descriptors())
    }

    async fn ask(&mut self, query: Query<'_>, files: &mut Files) -> Result<(), Untold> {
        let call = Message::of_call(self.method, query.request()).map_err(|_| Untold::Unreadable)?;
        match call::answer(self.connection, &call, self.address).await {
            Ok(answer) => files.add(&answer),
            // Some say so in the answer, and some end the call with it.
            Err(Outcome::Called(Code::NOT_FOUND)) => Ok(()),
            Err(outcome) => Err(Untold::Silent(outcome)),
        }
    }
}
