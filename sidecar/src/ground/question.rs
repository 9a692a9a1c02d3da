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
}

impl Question {
    /// The question of `probe`. An https or gRPC probe becomes a TCP connect: that the port takes connections is all that
    /// is asked of it so far.
    pub fn of(probe: &Probe) -> Result<Self, Unsendable> {
        Ok(match probe {
            Probe::HttpGet { port, path, protocol: Protocol::Http, headers } => {
                Self { port: *port, message: Some(Message::of_probe(path, headers)?) }
            }
            Probe::HttpGet { port, .. } | Probe::TcpSocket { port } | Probe::Grpc { port, .. } => {
                Self { port: *port, message: None }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_http_probe_sends_a_request() {
        let http = |protocol| Probe::HttpGet { port: 80, path: "/up".to_owned(), protocol, headers: vec![] };
        for (probe, is_http) in [
            (http(Protocol::Http), true),
            (http(Protocol::Https), false),
            (Probe::TcpSocket { port: 80 }, false),
            (Probe::Grpc { port: 80, service: String::new() }, false),
        ] {
            let question = Question::of(&probe).unwrap();
            assert_eq!((question.port, question.message.is_some()), (80, is_http), "{probe:?}");
        }
    }
}
