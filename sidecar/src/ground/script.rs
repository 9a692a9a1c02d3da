//! All requests of a plan, in the order in which they leave.

use proto::plan::{Plan, Protocol};

use super::message::{Message, Unsendable};

/// The messages of a plan.
#[derive(Debug)]
pub struct Script {
    steps: Vec<Step>,
}

#[derive(Debug)]
struct Step {
    /// Number of its first message.
    first: usize,
    messages: Vec<Message>,
    count: u32,
}

/// Why a plan cannot be carried out.
#[derive(Debug, thiserror::Error)]
pub enum Unplayable {
    /// A protocol that this sidecar does not know yet.
    #[error("the protocol {0:?} is not built yet")]
    Protocol(Protocol),
    /// A request that is none.
    #[error(transparent)]
    Unsendable(#[from] Unsendable),
}

impl Script {
    /// The messages of `plan`, all of them checked.
    pub fn of(plan: &Plan) -> Result<Self, Unplayable> {
        let message = |request: &proto::plan::Request| match request.protocol {
            Protocol::Http | Protocol::Https | Protocol::H2c => {
                Ok(Message::of_warmup(request, &plan.trace_id)?)
            }
            Protocol::Grpc => Err(Unplayable::Protocol(Protocol::Grpc)),
        };
        let mut first = 0;
        let step = |step: &proto::plan::Step| {
            let messages = step.requests.iter().map(message).collect::<Result<Vec<_>, _>>()?;
            first += messages.len();
            Ok(Step { first: first - messages.len(), messages, count: step.count })
        };
        Ok(Self { steps: plan.steps.iter().map(step).collect::<Result<_, Unplayable>>()? })
    }

    /// The message that is sent as number `index`, from 0, with its own number among the plan's: steps follow one
    /// another, and each cycles through its messages. `None` past the last.
    #[must_use]
    pub fn get(&self, index: u32) -> Option<(usize, &Message)> {
        let mut index = index;
        for step in &self.steps {
            if index < step.count {
                let turn = (index as usize).checked_rem(step.messages.len())?;
                return Some((step.first + turn, &step.messages[turn]));
            }
            index -= step.count;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proto::plan::{Limits, Probe, Request, Shape, Step, Until, VERSION};

    use super::*;

    fn plan(steps: Vec<Step>) -> Plan {
        Plan {
            version: VERSION,
            trace_id: "0".repeat(32),
            port: 80,
            steps,
            shape: Shape::Paced { duration_ms: 1, ramp_ms: 0 },
            until: Until::Count,
            limits: Limits { concurrency: 1, ..Limits::default() },
            wait: Probe::TcpSocket { port: 80 },
        }
    }

    fn step(paths: &[&str], count: u32) -> Step {
        Step { requests: paths.iter().copied().map(Request::get).collect(), count }
    }

    #[test]
    fn steps_follow_one_another_and_each_cycles_through_its_requests() {
        let script = Script::of(&plan(vec![step(&["/a", "/b"], 3), step(&["/c"], 2)])).unwrap();
        let address = "127.0.0.1:80".parse().unwrap();
        let path = |message: &Message| message.to(address, 1).uri().path().to_owned();
        let sent: Vec<_> = (0..)
            .map_while(|i| script.get(i))
            .map(|(kind, message)| format!("{kind} {}", path(message)))
            .collect();
        assert_eq!(sent, ["0 /a", "1 /b", "0 /a", "2 /c", "2 /c"]);
    }

    #[test]
    fn a_plan_that_asks_for_what_is_not_built_is_refused() {
        let mut grpc = plan(vec![step(&["/"], 1)]);
        grpc.steps[0].requests[0].protocol = Protocol::Grpc;
        assert!(matches!(Script::of(&grpc), Err(Unplayable::Protocol(Protocol::Grpc))));
    }
}
