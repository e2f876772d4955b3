//! Converts the values of a record's fields: to and from SQLite, to hashed bytes, and for an export.

use super::time::format_utc_ms;
use super::values::{optional, stored, value};
use super::verdict_row::TriggerKind;
use cellgate_models::digest::Digest;
use cellgate_models::policy::Verdict;
use rusqlite::Row;
use rusqlite::types::ValueRef;
use serde::Serialize;
use std::num::{NonZeroU32, NonZeroU64};

/// A type that a column can hold.
pub(super) trait Field: Sized {
    /// The value as SQLite stores it.
    fn stored(&self) -> ValueRef<'_>;

    /// Reads the value from `column`.
    ///
    /// # Errors
    /// An invalid value, with its column.
    fn read(row: &Row<'_>, column: &'static str) -> rusqlite::Result<Self>;

    /// Appends the bytes that are hashed. Numbers are little endian; see JOURNAL.md.
    fn hash(&self, bytes: &mut Vec<u8>);

    /// The value in an export.
    fn exported(&self) -> Exported<'_>;
}

/// A value of an export.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Exported<'r> {
    /// A number, or no value.
    Number(Option<u64>),
    /// A flag.
    Flag(bool),
    /// A text.
    Text(&'r str),
    /// A time as text in UTC.
    Time(String),
    /// A score, or no value.
    Score(Option<f32>),
    /// A SHA-256 digest, or no value.
    Digest(Option<Digest>),
}

impl Field for u64 {
    fn stored(&self) -> ValueRef<'_> {
        ValueRef::Integer(stored(*self))
    }

    fn read(row: &Row<'_>, column: &'static str) -> rusqlite::Result<Self> {
        row.get::<_, i64>(column).map(i64::cast_unsigned)
    }

    fn hash(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.to_le_bytes());
    }

    fn exported(&self) -> Exported<'_> {
        Exported::Number(Some(*self))
    }
}

impl Field for NonZeroU64 {
    fn stored(&self) -> ValueRef<'_> {
        ValueRef::Integer(stored(self.get()))
    }

    fn read(row: &Row<'_>, column: &'static str) -> rusqlite::Result<Self> {
        value(row, column, |number: i64| Self::new(number.cast_unsigned()))
    }

    fn hash(&self, bytes: &mut Vec<u8>) {
        self.get().hash(bytes);
    }

    fn exported(&self) -> Exported<'_> {
        Exported::Number(Some(self.get()))
    }
}

impl Field for u32 {
    fn stored(&self) -> ValueRef<'_> {
        ValueRef::Integer((*self).into())
    }

    fn read(row: &Row<'_>, column: &'static str) -> rusqlite::Result<Self> {
        value(row, column, |number: i64| number.try_into().ok())
    }

    fn hash(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.to_le_bytes());
    }

    fn exported(&self) -> Exported<'_> {
        Exported::Number(Some((*self).into()))
    }
}

impl Field for NonZeroU32 {
    fn stored(&self) -> ValueRef<'_> {
        ValueRef::Integer(self.get().into())
    }

    fn read(row: &Row<'_>, column: &'static str) -> rusqlite::Result<Self> {
        value(row, column, |number: i64| u32::try_from(number).ok().and_then(Self::new))
    }

    fn hash(&self, bytes: &mut Vec<u8>) {
        self.get().hash(bytes);
    }

    fn exported(&self) -> Exported<'_> {
        Exported::Number(Some(self.get().into()))
    }
}

/// Only times are signed numbers: milliseconds since 1970.
impl Field for i64 {
    fn stored(&self) -> ValueRef<'_> {
        ValueRef::Integer(*self)
    }

    fn read(row: &Row<'_>, column: &'static str) -> rusqlite::Result<Self> {
        row.get(column)
    }

    fn hash(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.to_le_bytes());
    }

    fn exported(&self) -> Exported<'_> {
        Exported::Time(format_utc_ms(*self))
    }
}

impl Field for bool {
    fn stored(&self) -> ValueRef<'_> {
        ValueRef::Integer((*self).into())
    }

    fn read(row: &Row<'_>, column: &'static str) -> rusqlite::Result<Self> {
        value(row, column, |number: i64| match number {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        })
    }

    fn hash(&self, bytes: &mut Vec<u8>) {
        bytes.push((*self).into());
    }

    fn exported(&self) -> Exported<'_> {
        Exported::Flag(*self)
    }
}

impl Field for String {
    fn stored(&self) -> ValueRef<'_> {
        text(self)
    }

    fn read(row: &Row<'_>, column: &'static str) -> rusqlite::Result<Self> {
        row.get(column)
    }

    /// The length in bytes as 4 bytes, then the bytes.
    fn hash(&self, bytes: &mut Vec<u8>) {
        // `VerdictEntry::bounded` cuts texts far below 4 GiB, so a longer text was not written by this program.
        u32::try_from(self.len()).unwrap_or(u32::MAX).hash(bytes);
        bytes.extend_from_slice(self.as_bytes());
    }

    fn exported(&self) -> Exported<'_> {
        Exported::Text(self)
    }
}

impl Field for TriggerKind {
    fn stored(&self) -> ValueRef<'_> {
        text(self.name())
    }

    fn read(row: &Row<'_>, column: &'static str) -> rusqlite::Result<Self> {
        value::<String, _>(row, column, |name| {
            [Self::Plc, Self::FreeRunning].into_iter().find(|kind| kind.name() == name)
        })
    }

    fn hash(&self, bytes: &mut Vec<u8>) {
        bytes.push(match self {
            Self::Plc => 1,
            Self::FreeRunning => 2,
        });
    }

    fn exported(&self) -> Exported<'_> {
        Exported::Text(self.name())
    }
}

impl Field for Verdict {
    fn stored(&self) -> ValueRef<'_> {
        text(self.name())
    }

    fn read(row: &Row<'_>, column: &'static str) -> rusqlite::Result<Self> {
        value::<String, _>(row, column, |name| {
            [Self::Pass, Self::Review, Self::Reject].into_iter().find(|verdict| verdict.name() == name)
        })
    }

    fn hash(&self, bytes: &mut Vec<u8>) {
        bytes.push(match self {
            Self::Pass => 1,
            Self::Review => 2,
            Self::Reject => 3,
        });
    }

    fn exported(&self) -> Exported<'_> {
        Exported::Text(self.name())
    }
}

/// Only a score is an optional `f32`.
impl Field for Option<f32> {
    fn stored(&self) -> ValueRef<'_> {
        self.map_or(ValueRef::Null, |score| ValueRef::Real(score.into()))
    }

    fn read(row: &Row<'_>, column: &'static str) -> rusqlite::Result<Self> {
        // SQLite stores f64. A number that is not exactly an f32 was not written by this program.
        optional(row, column, |score: f64| {
            let narrow = score as f32;
            (f64::from(narrow) == score).then_some(narrow)
        })
    }

    fn hash(&self, bytes: &mut Vec<u8>) {
        hash_optional(bytes, self.map(|score| score.to_bits().to_le_bytes()).as_ref().map(|bits| &bits[..]));
    }

    fn exported(&self) -> Exported<'_> {
        Exported::Score(*self)
    }
}

impl Field for Digest {
    fn stored(&self) -> ValueRef<'_> {
        ValueRef::Blob(self.as_bytes())
    }

    fn read(row: &Row<'_>, column: &'static str) -> rusqlite::Result<Self> {
        row.get::<_, [u8; 32]>(column).map(Self::from)
    }

    fn hash(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(self.as_bytes());
    }

    fn exported(&self) -> Exported<'_> {
        Exported::Digest(Some(*self))
    }
}

impl Field for Option<Digest> {
    fn stored(&self) -> ValueRef<'_> {
        self.as_ref().map_or(ValueRef::Null, |digest| ValueRef::Blob(digest.as_bytes()))
    }

    fn read(row: &Row<'_>, column: &'static str) -> rusqlite::Result<Self> {
        optional(row, column, |bytes: [u8; 32]| Some(bytes.into()))
    }

    fn hash(&self, bytes: &mut Vec<u8>) {
        hash_optional(bytes, self.as_ref().map(|digest| &digest.as_bytes()[..]));
    }

    fn exported(&self) -> Exported<'_> {
        Exported::Digest(*self)
    }
}

/// Appends an optional value of fixed length: a byte 0, or a byte 1 and the bytes.
pub(super) fn hash_optional(bytes: &mut Vec<u8>, value: Option<&[u8]>) {
    bytes.push(value.is_some().into());
    bytes.extend_from_slice(value.unwrap_or_default());
}

fn text(text: &str) -> ValueRef<'_> {
    ValueRef::Text(text.as_bytes())
}
