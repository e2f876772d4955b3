//! Defines a request and its answer as a line of JSON.

use super::bundle::{BundleAnswer, BundleRequest, BundleStatus};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The version of requests and answers. It is raised when an old client or appliance would misunderstand the other side. An unknown
/// field of a request is refused; an unknown field of an answer is ignored.
pub const VERSION: u32 = 1;

/// A request to the appliance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// A command about the running bundle.
    Bundle(BundleRequest),
}

/// The appliance's answer to one request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// A [`Request::Bundle`] was carried out. The value is the status after it.
    Bundle(Box<BundleStatus>),
    /// The request was refused and changed nothing.
    Refused {
        /// The cause, and what to do.
        why: String,
    },
    /// The request could not be read and changed nothing.
    Invalid {
        /// What was found and expected.
        why: String,
    },
    /// The appliance had no result in time, or its journal failed. Whether the request was carried out is unknown.
    Unknown {
        /// The cause, and what to do.
        why: String,
    },
}

impl From<BundleAnswer> for Answer {
    fn from(answer: BundleAnswer) -> Self {
        match answer {
            BundleAnswer::Done(status) => Self::Bundle(status),
            BundleAnswer::Refused { why } => Self::Refused { why },
            BundleAnswer::Unknown { why } => Self::Unknown { why },
        }
    }
}

/// Why a request can't be read.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// It is no JSON object with a version, or has an unknown field, or a field is missing or has another type.
    #[error("the request is malformed: {0}")]
    Malformed(#[from] serde_json::Error),
    /// It has another version.
    #[error(
        "found a request of version {found}, expected version {VERSION}; use the cellgate-edge of the running appliance"
    )]
    Version {
        /// The request's version.
        found: u32,
    },
}

/// The version alone, of a message of any version.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

/// A request with its version.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct VersionedRequest {
    version: u32,
    request: Request,
}

/// An answer with its version.
#[derive(Serialize, Deserialize)]
struct VersionedAnswer {
    version: u32,
    answer: Answer,
}

/// Reads the message of this version in `line`. The version is read first: a message of another version may have any fields.
fn read<T: DeserializeOwned>(line: &[u8]) -> Result<T, RequestError> {
    match serde_json::from_slice(line)? {
        Version { version: VERSION } => Ok(serde_json::from_slice(line)?),
        Version { version: found } => Err(RequestError::Version { found }),
    }
}

/// `message` as JSON with a line feed.
fn line(message: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(message).expect("a message can be written as JSON");
    line.push(b'\n');
    line
}

impl Request {
    /// Reads a request from `line`, with or without its line feed.
    ///
    /// # Errors
    /// [`RequestError`]: the line is no request of this version.
    pub fn read(line: &[u8]) -> Result<Self, RequestError> {
        read(line).map(|VersionedRequest { request, .. }| request)
    }

    /// The request as a line, with its line feed.
    #[must_use]
    pub fn to_line(&self) -> Vec<u8> {
        line(&VersionedRequest { version: VERSION, request: self.clone() })
    }
}

impl Answer {
    /// Reads an answer from `line`, with or without its line feed.
    ///
    /// # Errors
    /// [`RequestError`]: the line is no answer of this version.
    pub(super) fn read(line: &[u8]) -> Result<Self, RequestError> {
        read(line).map(|VersionedAnswer { answer, .. }| answer)
    }

    /// The answer as a line, with its line feed.
    pub(super) fn to_line(&self) -> Vec<u8> {
        line(&VersionedAnswer { version: VERSION, answer: self.clone() })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::bundle::{BundleStep, Candidate};
    use super::*;
    use proptest::prelude::*;
    use std::num::NonZeroU32;

    /// A status with another value in each field.
    fn status() -> BundleStatus {
        let candidate =
            Candidate { part_id: 12, verdict: "REVIEW".into(), reason: "REFERENCE_PART".into(), logit: -2.5 };
        BundleStatus {
            bundle: 7,
            step: BundleStep::Reference,
            reference_parts: 5,
            trained_for: 8,
            confirmed: vec![12],
            candidates: vec![candidate],
            offset: None,
            refused: None,
            parts: 3,
            started_unix_ms: 1_800_000_000_000,
            started_by: "anna (uid 1, pid 2)".into(),
            started_why: "a person started the bundle".into(),
            is_of_plc: false,
        }
    }

    /// Golden lines: clients in other languages write and read these.
    #[test]
    fn the_lines_of_version_1_do_not_change() {
        let bundle = NonZeroU32::new(7).unwrap();
        for (request, expected) in [
            (
                BundleRequest::Start { bundle, reference_parts: Some(5) },
                r#"{"start":{"bundle":7,"reference_parts":5}}"#,
            ),
            (
                BundleRequest::Start { bundle, reference_parts: None },
                r#"{"start":{"bundle":7,"reference_parts":null}}"#,
            ),
            (
                BundleRequest::Confirm { bundle: Some(bundle), parts: vec![12, u64::MAX] },
                r#"{"confirm":{"bundle":7,"parts":[12,18446744073709551615]}}"#,
            ),
            (BundleRequest::Status, r#""status""#),
            (BundleRequest::End, r#""end""#),
        ] {
            let expected = format!("{{\"version\":1,\"request\":{{\"bundle\":{expected}}}}}\n");
            let request = Request::Bundle(request);
            assert_eq!(String::from_utf8(request.to_line()).unwrap(), expected);
            assert_eq!(Request::read(expected.as_bytes()).unwrap(), request);
        }
        for (answer, expected) in [
            (
                Answer::Bundle(Box::new(status())),
                r#"{"bundle":{"bundle":7,"step":"REFERENCE","reference_parts":5,"trained_for":8,"confirmed":[12],"candidates":[{"part_id":12,"verdict":"REVIEW","reason":"REFERENCE_PART","logit":-2.5}],"offset":null,"refused":null,"parts":3,"started_unix_ms":1800000000000,"started_by":"anna (uid 1, pid 2)","started_why":"a person started the bundle","is_of_plc":false}}"#,
            ),
            (Answer::Refused { why: "a\nb".into() }, r#"{"refused":{"why":"a\nb"}}"#),
            (Answer::Invalid { why: String::new() }, r#"{"invalid":{"why":""}}"#),
            (Answer::Unknown { why: String::new() }, r#"{"unknown":{"why":""}}"#),
        ] {
            let expected = format!("{{\"version\":1,\"answer\":{expected}}}\n");
            assert_eq!(String::from_utf8(answer.to_line()).unwrap(), expected);
            assert_eq!(Answer::read(expected.as_bytes()).unwrap(), answer);
        }
        let steps = [
            BundleStep::None,
            BundleStep::Reference,
            BundleStep::Offset,
            BundleStep::UnlikeTraining,
            BundleStep::WithoutReference,
        ];
        let names = serde_json::to_string(&steps).unwrap();
        assert_eq!(names, r#"["NONE","REFERENCE","OFFSET","UNLIKE_TRAINING","WITHOUT_REFERENCE"]"#);
    }

    #[test]
    fn the_number_of_reference_parts_and_the_bundle_of_confirmed_parts_may_be_absent() {
        let line = |request| format!(r#"{{"version":1,"request":{{"bundle":{request}}}}}"#);
        let bundle = NonZeroU32::new(7).unwrap();
        for (request, expected) in [
            (r#"{"start":{"bundle":7}}"#, BundleRequest::Start { bundle, reference_parts: None }),
            (r#"{"confirm":{"parts":[1]}}"#, BundleRequest::Confirm { bundle: None, parts: vec![1] }),
        ] {
            assert_eq!(Request::read(line(request).as_bytes()).unwrap(), Request::Bundle(expected));
        }
    }

    #[test]
    fn what_is_no_request_of_this_version_is_refused_in_words() {
        let mut refusals = String::new();
        for line in [
            "",
            "{",
            "[]",
            "status",
            r#"{"request":{"bundle":"status"}}"#,
            r#"{"version":1}"#,
            r#"{"version":0,"request":{"bundle":"status"}}"#,
            r#"{"version":2,"order":"status"}"#,
            r#"{"version":-1,"request":{"bundle":"status"}}"#,
            r#"{"version":1,"request":{"bundle":"status"},"more":1}"#,
            r#"{"version":1,"version":1,"request":{"bundle":"status"}}"#,
            r#"{"version":1,"request":{"bundle":"status"}} {}"#,
            r#"{"version":1,"request":{"bundle":"restart"}}"#,
            r#"{"version":1,"request":{"deploy":"status"}}"#,
            r#"{"version":1,"request":{"bundle":{"start":{}}}}"#,
            r#"{"version":1,"request":{"bundle":{"start":{"bundle":0}}}}"#,
            r#"{"version":1,"request":{"bundle":{"start":{"bundle":4294967296}}}}"#,
            r#"{"version":1,"request":{"bundle":{"start":{"bundle":7,"reference":5}}}}"#,
            r#"{"version":1,"request":{"bundle":{"start":{"bundle":7},"end":null}}}"#,
            r#"{"version":1,"request":{"bundle":{"confirm":{"parts":[1.5]}}}}"#,
            r#"{"version":1,"request":{"bundle":{"confirm":{"parts":[-1]}}}}"#,
            r#"{"version":1,"request":{"bundle":{"confirm":{}}}}"#,
        ] {
            let error = Request::read(line.as_bytes()).unwrap_err();
            refusals += &format!("{line}\n=> {error}\n\n");
        }
        insta::assert_snapshot!("refused_requests", refusals);
    }

    #[test]
    fn an_answer_may_have_more_fields() {
        let line = br#"{"version":1,"more":1,"answer":{"refused":{"why":"a","more":1}}}"#;
        assert_eq!(Answer::read(line).unwrap(), Answer::Refused { why: "a".into() });
    }

    fn requests() -> impl Strategy<Value = Request> {
        let bundle = (1..=u32::MAX).prop_map(|bundle| NonZeroU32::new(bundle).unwrap());
        let start = (bundle, any::<Option<u32>>())
            .prop_map(|(bundle, reference_parts)| BundleRequest::Start { bundle, reference_parts });
        let confirm = (any::<u32>().prop_map(NonZeroU32::new), prop::collection::vec(any::<u64>(), 0..50))
            .prop_map(|(bundle, parts)| BundleRequest::Confirm { bundle, parts });
        prop_oneof![start, confirm, Just(BundleRequest::Status), Just(BundleRequest::End)].prop_map(Request::Bundle)
    }

    proptest! {
        #[test]
        fn a_request_is_read_as_it_was_written(request in requests()) {
            let line = request.to_line();
            prop_assert_eq!(line.iter().position(|byte| *byte == b'\n'), Some(line.len() - 1));
            prop_assert_eq!(Request::read(&line).unwrap(), request);
        }

        /// A line that is cut or has another byte is refused, or is a request again; nothing panics.
        #[test]
        fn a_damaged_request_never_panics(request in requests(), index in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut line = request.to_line();
            let index = index.index(line.len());
            prop_assert!(Request::read(&line[..index.min(line.len() - 2)]).is_err(), "a cut line is no request");
            line[index] = byte;
            if let Ok(request) = Request::read(&line) {
                prop_assert_eq!(Request::read(&request.to_line()).unwrap(), request);
            }
        }
    }
}
