//! What an app tells of its gRPC services by server reflection.

use std::collections::BTreeSet;

use bytes::Bytes;
use prost::Message;

use super::{
    descriptors::Descriptors,
    grpc::{self, Code},
    outcome::Outcome,
};

/// The method that tells, in the order in which the versions of the service are asked; their messages are the same.
pub const METHODS: [&str; 2] = [
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];
/// Most files that describe one plan's services, and their bytes together.
const MAX_FILES: usize = 256;
const MAX_BYTES: usize = 128 << 10;

#[derive(Clone, PartialEq, Message)]
struct Request {
    #[prost(string, optional, tag = "3")]
    file_by_filename: Option<String>,
    #[prost(string, optional, tag = "4")]
    file_containing_symbol: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct Response {
    #[prost(message, optional, tag = "4")]
    files: Option<FilesResponse>,
    #[prost(message, optional, tag = "7")]
    error: Option<ErrorResponse>,
}

#[derive(Clone, PartialEq, Message)]
struct FilesResponse {
    #[prost(bytes = "vec", repeated, tag = "1")]
    files: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
struct ErrorResponse {
    #[prost(uint32, tag = "1")]
    code: u32,
}

/// What is read of a file here.
#[derive(Clone, PartialEq, Message)]
struct File {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, repeated, tag = "3")]
    dependencies: Vec<String>,
}

/// Why an app's services are not known; reads after what they are not known for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Untold {
    /// It has no reflection, or does not let us use it.
    #[error("the app has no gRPC server reflection that answers ({0})")]
    Silent(Outcome),
    /// It tells of more than anybody calls.
    #[error("the app's gRPC server reflection tells of more than 256 files or 128 KiB")]
    TooMuch,
    /// What it tells is no description of services.
    #[error("what the app's gRPC server reflection tells cannot be understood")]
    Unreadable,
}

/// What the app is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Query<'a> {
    /// The file that describes a service.
    Service(&'a str),
    /// The file of this name, which another one needs.
    File(&'a str),
}

impl Query<'_> {
    /// The query as the one message of a stream.
    #[must_use]
    pub fn request(self) -> Bytes {
        let request = match self {
            Self::Service(name) => {
                Request { file_by_filename: None, file_containing_symbol: Some(name.to_owned()) }
            }
            Self::File(name) => {
                Request { file_by_filename: Some(name.to_owned()), file_containing_symbol: None }
            }
        };
        grpc::frame(&request.encode_to_vec())
    }
}

/// The files that describe services, as far as they are known.
#[derive(Debug, Default)]
pub struct Files {
    descriptors: Descriptors,
    /// Names of those that were read or asked for.
    names: BTreeSet<String>,
    /// Names that others mention.
    dependencies: Vec<String>,
    /// Of all answers.
    bytes: usize,
}

impl Files {
    /// Adds what the app answered, which may be that there is no such thing.
    pub fn add(&mut self, answer: &[u8]) -> Result<(), Untold> {
        // What is decoded takes many times as much.
        self.bytes += answer.len();
        self.check()?;
        let response = Response::decode(answer).map_err(|_| Untold::Unreadable)?;
        let code = response.error.map(|error| Code(error.code));
        if let Some(code) = code.filter(|code| *code != Code::NOT_FOUND) {
            return Err(Untold::Silent(Outcome::Called(code)));
        }
        for bytes in response.files.map(|found| found.files).unwrap_or_default() {
            let file = File::decode(&*bytes).map_err(|_| Untold::Unreadable)?;
            self.descriptors.add(&bytes).map_err(|_| Untold::Unreadable)?;
            self.dependencies.extend(file.dependencies);
            self.names.insert(file.name);
            self.check()?;
        }
        Ok(())
    }

    /// The next file to ask for, because another one needs it. One that the app does not have is asked for once: what it
    /// defines may not be needed here.
    pub fn missing(&mut self) -> Result<Option<String>, Untold> {
        while let Some(name) = self.dependencies.pop() {
            if self.names.insert(name.clone()) {
                self.check()?;
                return Ok(Some(name));
            }
        }
        Ok(None)
    }

    fn check(&self) -> Result<(), Untold> {
        let is_too_much = self.names.len() > MAX_FILES || self.bytes > MAX_BYTES;
        if is_too_much { Err(Untold::TooMuch) } else { Ok(()) }
    }

    /// What they define.
    #[must_use]
    pub fn into_descriptors(self) -> Descriptors {
        self.descriptors
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proto::v1::FILE_DESCRIPTOR_SET;

    use super::*;

    /// The files of our own services, each with its name.
    fn files() -> Vec<(String, Vec<u8>)> {
        let set = FilesResponse::decode(FILE_DESCRIPTOR_SET).unwrap();
        set.files.into_iter().map(|file| (File::decode(&*file).unwrap().name, file)).collect()
    }

    fn answer(files: &[&[u8]]) -> Vec<u8> {
        let files = files.iter().map(|file| file.to_vec()).collect();
        Response { files: Some(FilesResponse { files }), error: None }.encode_to_vec()
    }

    #[test]
    fn files_are_asked_for_until_none_is_missing() {
        let all = files();
        let file = |name: &str| &*all.iter().find(|(of, _)| of == name).unwrap().1;
        let mut known = Files::default();
        known.add(&answer(&[file("kube_booster/v1/report_service.proto")])).unwrap();
        let mut asked = Vec::new();
        while let Some(name) = known.missing().unwrap() {
            known.add(&answer(&[file(&name)])).unwrap();
            asked.push(name);
        }
        asked.sort();
        let expected = [
            "google/protobuf/duration.proto",
            "google/protobuf/timestamp.proto",
            "kube_booster/v1/result.proto",
        ];
        assert_eq!(asked, expected);
        let descriptors = known.into_descriptors();
        assert!(descriptors.methods("kube_booster.v1.ReportService").is_some());
        assert!(descriptors.form("kube_booster.v1.Result").is_some());
    }

    #[test]
    fn what_does_not_exist_is_no_failure_and_what_is_refused_is_one() {
        let mut known = Files::default();
        let error = |code| Response { files: None, error: Some(ErrorResponse { code }) }.encode_to_vec();
        assert_eq!(known.add(&error(5)), Ok(()));
        let denied = Untold::Silent(Outcome::Called(Code(7)));
        assert_eq!(known.add(&error(7)), Err(denied));
        assert!(denied.to_string().ends_with("(gRPC PERMISSION_DENIED)"));
        assert!(known.into_descriptors().methods("a.B").is_none());
    }

    #[test]
    fn more_than_anybody_calls_is_not_kept() {
        let file = |name: String, dependencies| File { name, dependencies }.encode_to_vec();
        let mut known = Files::default();
        let large = file("a".to_owned(), vec!["b".repeat(MAX_BYTES)]);
        assert_eq!(known.add(&answer(&[&large])), Err(Untold::TooMuch));
        let mut known = Files::default();
        let many: Vec<_> = (0..=MAX_FILES).map(|number| file(number.to_string(), vec![])).collect();
        let many: Vec<_> = many.iter().map(|file| &**file).collect();
        assert_eq!(known.add(&answer(&many)), Err(Untold::TooMuch));
    }

    #[test]
    fn a_file_that_the_app_does_not_have_is_asked_for_once() {
        let mut known = Files::default();
        let all = files();
        let (_, file) = all.iter().find(|(name, _)| name.ends_with("result.proto")).unwrap();
        known.add(&answer(&[file])).unwrap();
        let asked: Vec<_> = std::iter::from_fn(|| known.missing().unwrap()).collect();
        assert_eq!(asked, ["google/protobuf/timestamp.proto", "google/protobuf/duration.proto"]);
    }

    proptest! {
        #[test]
        fn no_answer_panics(bytes: Vec<u8>, file: Vec<u8>, cut in 0..2_000_usize, at in 0..2_000_usize, by: u8) {
            let mut known = Files::default();
            let _ = known.add(&bytes);
            let _ = known.add(&answer(&[&file]));
            for (_, mut file) in files() {
                if let Some(byte) = file.get_mut(at) {
                    *byte = by;
                }
                file.truncate(file.len().saturating_sub(cut));
                let _ = known.add(&answer(&[&file]));
            }
            while let Ok(Some(_)) = known.missing() {}
        }
    }
}
