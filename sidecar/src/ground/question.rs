//! How the app is asked whether it is there.

use proto::plan::{Probe, Protocol};

use super::{
    health,
    message::{Message, Unsendable},
};

/// A probe, checked.
#[derive(Debug)]
pub struct Question {
    /// Port to ask.
    pub port: u16,
    /// What to ask.
    pub ask: Ask,
}

/// What the app is asked.
#[derive(Debug)]
pub enum Ask {
    /// Whether the port takes connections.
    Connection,
    /// A request in clear text, which is answered with 200–399.
    Http(Message),
    /// The same over TLS.
    Https(Message),
    /// A call of the gRPC health service, which is answered with `SERVING`. In clear text, as the kubelet asks it.
    Health(Message),
}

impl Question {
    /// The question of `probe`.
    pub fn of(probe: &Probe) -> Result<Self, Unsendable> {
        Ok(match probe {
            Probe::HttpGet { port, path, protocol, headers } => {
                let message = Message::of_probe(path, headers)?;
                let ask = if *protocol == Protocol::Https { Ask::Https(message) } else { Ask::Http(message) };
                Self { port: *port, ask }
            }
            Probe::TcpSocket { port } => Self::of_port(*port),
            Probe::Grpc { port, service } => {
                let message = Message::of_call(health::CHECK, health::request(service))?;
                Self { port: *port, ask: Ask::Health(message) }
            }
        })
    }

    /// Whether `port` takes connections.
    #[must_use]
    pub fn of_port(port: u16) -> Self {
        Self { port, ask: Ask::Connection }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_probe_asks_its_own_question() {
        let http = |protocol| Probe::HttpGet { port: 80, path: "/up".to_owned(), protocol, headers: vec![] };
        for (probe, ask) in [
            (http(Protocol::Http), "Http"),
            (http(Protocol::Https), "Https"),
            (Probe::TcpSocket { port: 80 }, "Connection"),
            (Probe::Grpc { port: 80, service: String::new() }, "Health"),
        ] {
            let question = Question::of(&probe).unwrap();
            assert_eq!(question.port, 80);
            let asked = format!("{:?}", question.ask);
            assert_eq!(asked.split('(').next(), Some(ask), "{probe:?}");
        }
    }
}
