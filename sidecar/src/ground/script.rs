//! All requests of a plan, in the order in which they leave.

use std::collections::BTreeSet;

use proto::plan::Plan;

use super::{
    call::Uncallable,
    descriptors::Descriptors,
    message::{Message, Unsendable},
    reflection::Untold,
    spoken::Spoken,
};

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

impl Script {
    /// The messages of `plan`, all of them checked.
    pub fn of(plan: &Plan) -> Result<Self, Unsendable> {
        let message = |request: &_| Message::of_warmup(request, &plan.trace_id);
        let mut first = 0;
        let step = |step: &proto::plan::Step| {
            let messages = step.requests.iter().map(message).collect::<Result<Vec<_>, _>>()?;
            first += messages.len();
            Ok(Step { first: first - messages.len(), messages, count: step.count })
        };
        Ok(Self { steps: plan.steps.iter().map(step).collect::<Result<_, Unsendable>>()? })
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

    /// What people know each request by, in the order of their numbers.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.steps.iter().flat_map(|step| &step.messages).map(Message::name).collect()
    }

    /// The gRPC services that are called.
    #[must_use]
    pub fn services(&self) -> BTreeSet<String> {
        let messages = self.steps.iter().flat_map(|step| &step.messages);
        messages.filter_map(Message::call).map(|call| call.method().service().to_owned()).collect()
    }

    /// Makes the bodies of all gRPC calls, as the app `told` of its services.
    pub fn fill(&mut self, spoken: Spoken, told: Result<&Descriptors, Untold>) -> Result<(), Uncallable> {
        let mut messages = self.steps.iter_mut().flat_map(|step| &mut step.messages);
        messages.try_for_each(|message| message.fill(spoken, told))
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
    fn requests_are_known_by_path_or_method_and_services_once() {
        let call = |method: &str| Request::call(&method.parse().unwrap(), "{}");
        let requests = vec![call("a.B/C"), Request::get("/d"), call("a.B/E"), call("f.G/H")];
        let script = Script::of(&plan(vec![Step { requests, count: 4 }])).unwrap();
        assert_eq!(script.names(), ["a.B/C", "/d", "a.B/E", "f.G/H"]);
        assert_eq!(script.services().into_iter().collect::<Vec<_>>(), ["a.B", "f.G"]);
    }
}
