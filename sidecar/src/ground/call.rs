//! A gRPC call of a plan, and the message that its JSON becomes.

use bytes::Bytes;
use proto::{
    method::{GrpcMethod, GrpcMethodError},
    plan::GrpcCall,
};
use serde_json::{Map, Value};

use super::{
    descriptors::Descriptors,
    grpc,
    payload::{self, Misfit},
    reflection::Untold,
};

/// A unary call.
#[derive(Debug, Clone)]
pub struct Call {
    method: GrpcMethod,
    fields: Map<String, Value>,
}

/// Why a call cannot be made. Values of a payload may be secret and are not named.
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
    /// The message's field takes other values.
    #[error("{0}: its field {1:?} does not take that value; correct the gRPC payload")]
    Value(GrpcMethod, String),
    /// The payload as a whole does not fit.
    #[error("{0}: its message has another form; correct the gRPC payload")]
    Form(GrpcMethod),
    /// The app does not describe the message, or it is of a kind that is not sent.
    #[error("{0}: the type of {1:?} is none that is sent; leave it out of the gRPC payload")]
    Unknown(GrpcMethod, String),
    /// The payload cannot become a message.
    #[error("{0}: {1}; turn reflection on, or leave the gRPC payload out")]
    Untold(GrpcMethod, Untold),
}

impl Call {
    /// The call that `planned` describes.
    pub fn of(planned: &GrpcCall) -> Result<Self, Uncallable> {
        let method: GrpcMethod =
            planned.method.parse().map_err(|why| Uncallable::Name(planned.method.clone(), why))?;
        match serde_json::from_str(&planned.payload) {
            Ok(fields) => Ok(Self { method, fields }),
            Err(_) => Err(Uncallable::Payload(method)),
        }
    }

    /// What is called.
    #[must_use]
    pub fn method(&self) -> &GrpcMethod {
        &self.method
    }

    /// The call's body, as the app that `told` of its services understands it. Without that a payload without fields is
    /// an empty message all the same, whatever its type.
    pub fn body(&self, told: Result<&Descriptors, Untold>) -> Result<Bytes, Uncallable> {
        let message = match told {
            Ok(descriptors) => self.message(descriptors)?,
            Err(_) if self.fields.is_empty() => Vec::new(),
            Err(why) => return Err(Uncallable::Untold(self.method.clone(), why)),
        };
        Ok(grpc::frame(&message))
    }

    fn message(&self, descriptors: &Descriptors) -> Result<Vec<u8>, Uncallable> {
        let named = || self.method.clone();
        let methods = descriptors.methods(self.method.service());
        let methods = methods.ok_or_else(|| Uncallable::NoService(named()))?;
        let method = methods.iter().find(|method| method.name() == self.method.name());
        let method = method.ok_or_else(|| Uncallable::NoMethod(named()))?;
        if method.streams() {
            return Err(Uncallable::Streaming(named()));
        }
        if self.fields.is_empty() {
            return Ok(Vec::new());
        }
        let message = payload::encode(descriptors, method.input(), &Value::Object(self.fields.clone()));
        message.map_err(|misfit| match misfit {
            Misfit::NoField(path) => Uncallable::NoField(named(), path),
            Misfit::Value(path) if path.is_empty() => Uncallable::Form(named()),
            Misfit::Value(path) => Uncallable::Value(named(), path),
            Misfit::Unknown(path) => Uncallable::Unknown(named(), path),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message;
    use prost_types::FileDescriptorSet;
    use proto::v1::{
        FILE_DESCRIPTOR_SET, ListReportsRequest, Quantiles, Result as WarmupResult, SubmitReportRequest,
    };

    use super::*;
    use crate::ground::outcome::Outcome;

    fn call(method: &str, payload: &str) -> Call {
        Call::of(&GrpcCall { method: method.to_owned(), payload: payload.to_owned() }).unwrap()
    }

    fn services() -> Descriptors {
        let mut services = Descriptors::default();
        for file in FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap().file {
            services.add(&file.encode_to_vec()).unwrap();
        }
        services
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
        let nested = r#"its message has no field "result.sucess"; correct the gRPC payload"#;
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
