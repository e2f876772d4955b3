//! Defines the values of an export.

use cellgate_models::digest::Digest;
use serde::ser::{Serialize, Serializer};

/// A value of an export. Serialised, it is the value of a JSON field.
#[derive(Debug, Clone, PartialEq)]
pub enum Exported<'r> {
    /// A number, or no value.
    Number(Option<u64>),
    /// A flag.
    Flag(bool),
    /// A text.
    Text(&'r str),
    /// A time as text in UTC.
    Time(String),
    /// A number with single precision, or no value.
    Single(Option<f32>),
    /// A number with double precision, or no value.
    Double(Option<f64>),
    /// A SHA-256 digest, or no value.
    Digest(Option<Digest>),
    /// The JSON text of an array or object, or no value.
    Json(Option<&'r str>),
    /// Bytes, or no value.
    Bytes(Option<&'r [u8]>),
}

impl Exported<'_> {
    /// The value in a CSV file; empty for no value.
    #[must_use]
    pub fn csv(&self) -> String {
        match self {
            Self::Text(text) | Self::Json(Some(text)) => (*text).to_owned(),
            Self::Time(time) => time.clone(),
            Self::Flag(flag) => flag.to_string(),
            Self::Number(number) => number.map(|number| number.to_string()).unwrap_or_default(),
            Self::Single(number) => number.map(shortest).unwrap_or_default(),
            Self::Double(number) => number.map(shortest).unwrap_or_default(),
            Self::Digest(digest) => digest.map(|digest| digest.to_string()).unwrap_or_default(),
            Self::Bytes(Some(bytes)) => hex(bytes),
            Self::Json(None) | Self::Bytes(None) => String::new(),
        }
    }
}

/// The bytes as text, two digits for each byte.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The shortest text of a number, as in JSON: very small and very large numbers have an exponent.
fn shortest(number: impl Serialize) -> String {
    serde_json::to_string(&number).unwrap_or_default()
}

impl Serialize for Exported<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(number) => number.serialize(serializer),
            Self::Flag(flag) => flag.serialize(serializer),
            Self::Text(text) => text.serialize(serializer),
            Self::Time(time) => time.serialize(serializer),
            Self::Single(number) => number.serialize(serializer),
            Self::Double(number) => number.serialize(serializer),
            Self::Digest(digest) => digest.serialize(serializer),
            Self::Bytes(bytes) => bytes.map(hex).serialize(serializer),
            // A text that is not JSON was not written by this program. It is exported as a text.
            Self::Json(json) => match json.map(serde_json::from_str::<serde_json::Value>) {
                Some(Err(_)) => json.serialize(serializer),
                value => value.and_then(Result::ok).serialize(serializer),
            },
        }
    }
}
