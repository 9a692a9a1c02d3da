//! How the app is asked whether it is there.

use proto::plan::{Probe, Protocol};

use super::message::{Message, Unsendable};

/// A probe, checked.
#[derive(Debug)]
pub struct Question {
    /// Port to ask.
    pub port: u16,
    /// What to ask; without it an accepted connection is the answer.
    pub message: Option<Message>,
    /// Whether it is asked over TLS.
    pub is_tls: bool,
}

impl Question {
    /// The question of `probe`. A gRPC probe becomes a TCP connect: that the port takes connections is all that is asked
    /// of it so far.
    pub fn of(probe: &Probe) -> Result<Self, Unsendable> {
        Ok(match probe {
            Probe::HttpGet { port, path, protocol, headers } => Self {
                port: *port,
                message: Some(Message::of_probe(path, headers)?),
                is_tls: *protocol == Protocol::Https,
            },
            Probe::TcpSocket { port } | Probe::Grpc { port, .. } => Self::of_port(*port),
        })
    }

    /// Whether `port` takes connections.
    #[must_use]
    pub fn of_port(port: u16) -> Self {
        Self { port, message: None, is_tls: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_http_probe_sends_its_request_and_the_others_connect() {
        let http = |protocol| Probe::HttpGet { port: 80, path: "/up".to_owned(), protocol, headers: vec![] };
        for (probe, is_http, is_tls) in [
            (http(Protocol::Http), true, false),
            (http(Protocol::Https), true, true),
            (Probe::TcpSocket { port: 80 }, false, false),
            (Probe::Grpc { port: 80, service: String::new() }, false, false),
        ] {
            let question = Question::of(&probe).unwrap();
            let found = (question.port, question.message.is_some(), question.is_tls);
            assert_eq!(found, (80, is_http, is_tls), "{probe:?}");
        }
    }
}
