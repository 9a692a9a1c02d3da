//! A gRPC call of a plan, and the message that its JSON becomes.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use proto::{
    method::{GrpcMethod, GrpcMethodError},
    plan::GrpcCall,
};
use serde_json::{Deserializer, value::RawValue};

use super::{grpc, reflection::Untold};

/// A unary call.
#[derive(Debug, Clone)]
pub struct Call {
    method: GrpcMethod,
    payload: String,
}

/// Why a call cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Uncallable {
    /// No name of a method.
    #[error("the gRPC method {0:?} {1}")]
    Name(String, GrpcMethodError),
    /// No JSON object.
    #[error("{0}: the payload is no JSON object; correct the gRPC payload")]
    Payload(GrpcMethod),
    /// The app has no such service.
    #[error("{0}: the app has no such service; correct the gRPC method")]
    NoService(GrpcMethod),
    /// The service has no such method.
    #[error("{0}: the service has no such method; correct the gRPC method")]
    NoMethod(GrpcMethod),
    /// More than one message goes either way.
    #[error("{0}: it streams, and only unary methods are called; choose another gRPC method")]
    Streaming(GrpcMethod),
    /// The payload names a field that the message does not have.
    #[error("{0}: its message has no field {1:?}; correct the gRPC payload")]
    NoField(GrpcMethod, String),
    /// The message's field takes other values. The one given may be secret and is not named.
    #[error("{0}: its field {1:?} does not take that value; correct the gRPC payload")]
    Value(GrpcMethod, String),
    /// The payload as a whole does not fit.
    #[error("{0}: its message has another form; correct the gRPC payload")]
    Form(GrpcMethod),
    /// The payload cannot become a message.
    #[error("{0}: {1}; turn reflection on, or leave the gRPC payload out")]
    Untold(GrpcMethod, Untold),
}

impl Call {
    /// The call that `planned` describes.
    pub fn of(planned: &GrpcCall) -> Result<Self, Uncallable> {
        let method = planned.method.parse().map_err(|why| Uncallable::Name(planned.method.clone(), why))?;
        let call = Self { method, payload: planned.payload.clone() };
        call.fields()?;
        Ok(call)
    }

    /// What is called.
    #[must_use]
    pub fn method(&self) -> &GrpcMethod {
        &self.method
    }

    /// The call's body, as the app that `told` of its services understands it. Without that a payload without fields is
    /// an empty message all the same, whatever its type.
    pub fn body(&self, told: Result<&DescriptorPool, Untold>) -> Result<Bytes, Uncallable> {
        let is_empty = self.fields()?.is_empty();
        let message = match told {
            Ok(services) => {
                let input = self.input(services)?;
                if is_empty { Vec::new() } else { self.encode(&input)? }
            }
            Err(_) if is_empty => Vec::new(),
            Err(why) => return Err(Uncallable::Untold(self.method.clone(), why)),
        };
        Ok(grpc::frame(&message))
    }

    fn fields(&self) -> Result<BTreeMap<String, &RawValue>, Uncallable> {
        serde_json::from_str(&self.payload).map_err(|_| Uncallable::Payload(self.method.clone()))
    }

    /// The type of the message that the method takes.
    fn input(&self, services: &DescriptorPool) -> Result<MessageDescriptor, Uncallable> {
        let named = || self.method.clone();
        let service = services.get_service_by_name(self.method.service());
        let service = service.ok_or_else(|| Uncallable::NoService(named()))?;
        let method = service.methods().find(|method| method.name() == self.method.name());
        let method = method.ok_or_else(|| Uncallable::NoMethod(named()))?;
        if method.is_client_streaming() || method.is_server_streaming() {
            return Err(Uncallable::Streaming(named()));
        }
        Ok(method.input())
    }

    fn encode(&self, input: &MessageDescriptor) -> Result<Vec<u8>, Uncallable> {
        let message = read(&self.payload, input).ok_or_else(|| self.misfit(input))?;
        Ok(message.encode_to_vec())
    }

    /// What is wrong with a payload that does not fit. The reader's own error may repeat values, and so is not told.
    fn misfit(&self, input: &MessageDescriptor) -> Uncallable {
        for (name, value) in self.fields().unwrap_or_default() {
            let field = input.get_field_by_json_name(&name).or_else(|| input.get_field_by_name(&name));
            let Some(field) = field else { return Uncallable::NoField(self.method.clone(), name) };
            if read(&format!(r#"{{"{}":{value}}}"#, field.name()), input).is_none() {
                return Uncallable::Value(self.method.clone(), name);
            }
        }
        Uncallable::Form(self.method.clone())
    }
}

fn read(json: &str, form: &MessageDescriptor) -> Option<DynamicMessage> {
    let mut json = Deserializer::from_str(json);
    let message = DynamicMessage::deserialize(form.clone(), &mut json).ok()?;
    json.end().ok()?;
    Some(message)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proto::v1::{
        FILE_DESCRIPTOR_SET, ListReportsRequest, Quantiles, Result as WarmupResult, SubmitReportRequest,
    };

    use super::*;
    use crate::ground::outcome::Outcome;

    fn call(method: &str, payload: &str) -> Call {
        Call::of(&GrpcCall { method: method.to_owned(), payload: payload.to_owned() }).unwrap()
    }

    fn services() -> DescriptorPool {
        DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap()
    }

    fn body(method: &str, payload: &str) -> Result<Bytes, Uncallable> {
        call(&format!("kube_booster.v1.{method}"), payload).body(Ok(&services()))
    }

    fn refused(method: &str, payload: &str, why: &str) {
        let method = format!("kube_booster.v1.{method}");
        let why = format!("{method}: {why}");
        let refused = call(&method, payload).body(Ok(&services())).unwrap_err().to_string();
        assert_eq!(refused, why, "{payload}");
    }

    #[test]
    fn a_payload_becomes_its_message() {
        let payload = r#"{"result": {"latencyP50": "0.5s", "request_count": 7, "successRate": "NaN", "cold": {},
            "statusCounts": [{"status": 200, "count": 7}], "endedBy": "ENDED_BY_TIME", "serviceTime": null,
            "startTime": "1970-01-01T00:00:02Z"}}"#;
        let body = body("WarmupService/SubmitReport", payload).unwrap();
        let message = SubmitReportRequest::decode(grpc::first_message(&body).unwrap()).unwrap();
        let result = message.result.unwrap();
        assert!(result.success_rate.is_nan());
        let expected = WarmupResult {
            latency_p50: Some(prost_types::Duration { seconds: 0, nanos: 500_000_000 }),
            request_count: 7,
            cold: Some(Quantiles::default()),
            status_counts: vec![proto::v1::StatusCount { status: 200, count: 7 }],
            ended_by: proto::v1::EndedBy::Time.into(),
            start_time: Some(prost_types::Timestamp { seconds: 2, nanos: 0 }),
            success_rate: 0.0,
            ..WarmupResult::default()
        };
        assert_eq!(WarmupResult { success_rate: 0.0, ..result }, expected);
    }

    #[test]
    fn what_the_app_does_not_have_is_named() {
        refused("Report/GetReport", "{}", "the app has no such service; correct the gRPC method");
        refused("ReportService/Get", "{}", "the service has no such method; correct the gRPC method");
        let streams = "it streams, and only unary methods are called; choose another gRPC method";
        refused("ReportService/WatchReports", "{}", streams);
    }

    #[test]
    fn what_does_not_fit_is_named_by_its_field_and_never_by_its_value() {
        for (payload, field) in [
            (r#"{"page_size": "secret"}"#, "page_size"),
            (r#"{"namespace": "a", "pageSize": 3000000000}"#, "pageSize"),
            (r#"{"namespace": {"secret": 1}}"#, "namespace"),
            (r#"{"namespace": ["secret"]}"#, "namespace"),
        ] {
            let why = format!("its field {field:?} does not take that value; correct the gRPC payload");
            refused("ReportService/ListReports", payload, &why);
        }
        let unknown = r#"its message has no field "pod"; correct the gRPC payload"#;
        refused("ReportService/ListReports", r#"{"namespace": "a", "pod": "secret"}"#, unknown);
        let nested = r#"its field "result" does not take that value; correct the gRPC payload"#;
        refused("WarmupService/SubmitReport", r#"{"result": {"sucess": true}}"#, nested);
    }

    #[test]
    fn a_call_without_a_payload_needs_no_description_and_one_with_a_payload_does() {
        let untold = || Err(Untold::Silent(Outcome::Called(grpc::Code::UNIMPLEMENTED)));
        assert_eq!(call("a.B/C", " { }").body(untold()), Ok(grpc::frame(b"")));
        let refused = call("a.B/C", r#"{"d": 1}"#).body(untold()).unwrap_err();
        assert!(matches!(refused, Uncallable::Untold(..)), "{refused:?}");
    }

    proptest! {
        #[test]
        fn a_message_survives_its_json(
            namespace in "\\PC{0,20}", size in any::<i32>(), token in "[a-z\"\\\\]{0,8}",
        ) {
            let quoted = |text: &str| serde_json::to_string(text).unwrap();
            let payload = format!(
                r#"{{"namespace": {}, "pageSize": {size}, "page_token": {}}}"#, quoted(&namespace), quoted(&token)
            );
            let body = body("ReportService/ListReports", &payload).unwrap();
            let message = ListReportsRequest::decode(grpc::first_message(&body).unwrap()).unwrap();
            let expected = ListReportsRequest {
                namespace, page_size: size, page_token: token, ..ListReportsRequest::default()
            };
            prop_assert_eq!(message, expected);
        }

        #[test]
        fn no_payload_panics(payload in "[{\\[\"]{0,3}\\PC{0,40}[}\\]\"]{0,3}") {
            let planned = GrpcCall { method: "kube_booster.v1.ReportService/ListReports".to_owned(), payload };
            if let Ok(call) = Call::of(&planned) {
                let _ = call.body(Ok(&services()));
            }
        }
    }
}
