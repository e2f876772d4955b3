//! Converts the values of a record's fields: to and from SQLite, to hashed bytes, and for an export.

use super::exported::Exported;
use super::row_features::RowFeatures;
use super::row_regions::RowRegions;
use super::time::format_utc_ms;
use super::values::{optional, stored, value};
use super::verdict_row::TriggerKind;
use cellgate_models::digest::Digest;
use cellgate_models::policy::Verdict;
use rusqlite::Row;
use rusqlite::types::ValueRef;
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

    fn hash(&self, bytes: &mut Vec<u8>) {
        hash_text(bytes, self);
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

/// Only the score and the raw logit are optional `f32`.
impl Field for Option<f32> {
    fn stored(&self) -> ValueRef<'_> {
        self.map_or(ValueRef::Null, |number| ValueRef::Real(number.into()))
    }

    fn read(row: &Row<'_>, column: &'static str) -> rusqlite::Result<Self> {
        // SQLite stores f64. A number that is not exactly an f32 was not written by this program.
        optional(row, column, |number: f64| {
            let narrow = number as f32;
            (narrow.is_finite() && f64::from(narrow) == number).then_some(narrow)
        })
    }

    fn hash(&self, bytes: &mut Vec<u8>) {
        hash_optional(bytes, self.map(|number| number.to_bits().to_le_bytes()).as_ref().map(|bits| &bits[..]));
    }

    fn exported(&self) -> Exported<'_> {
        Exported::Single(*self)
    }
}

impl Field for Option<f64> {
    fn stored(&self) -> ValueRef<'_> {
        self.map_or(ValueRef::Null, ValueRef::Real)
    }

    fn read(row: &Row<'_>, column: &'static str) -> rusqlite::Result<Self> {
        optional(row, column, |number: f64| number.is_finite().then_some(number))
    }

    fn hash(&self, bytes: &mut Vec<u8>) {
        // SQLite stores -0.0 as 0.0.
        let number = self.map(|number| (number + 0.0).to_bits().to_le_bytes());
        hash_optional(bytes, number.as_ref().map(|bits| &bits[..]));
    }

    fn exported(&self) -> Exported<'_> {
        Exported::Double(*self)
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

impl Field for Option<RowRegions> {
    fn stored(&self) -> ValueRef<'_> {
        self.as_ref().map_or(ValueRef::Null, |regions| text(regions.text()))
    }

    fn read(row: &Row<'_>, column: &'static str) -> rusqlite::Result<Self> {
        optional(row, column, |text| Some(RowRegions::stored(text)))
    }

    /// A byte 0, or a byte 1 and the text.
    fn hash(&self, bytes: &mut Vec<u8>) {
        bytes.push(self.is_some().into());
        if let Some(regions) = self {
            hash_text(bytes, regions.text());
        }
    }

    fn exported(&self) -> Exported<'_> {
        Exported::Json(self.as_ref().map(RowRegions::text))
    }
}

impl Field for Option<RowFeatures> {
    fn stored(&self) -> ValueRef<'_> {
        self.as_ref().map_or(ValueRef::Null, |features| ValueRef::Blob(features.bytes()))
    }

    fn read(row: &Row<'_>, column: &'static str) -> rusqlite::Result<Self> {
        optional(row, column, RowFeatures::stored)
    }

    fn hash(&self, bytes: &mut Vec<u8>) {
        hash_optional(bytes, self.as_ref().map(RowFeatures::bytes));
    }

    fn exported(&self) -> Exported<'_> {
        Exported::Bytes(self.as_ref().map(RowFeatures::bytes))
    }
}

/// Appends an optional value of fixed length: a byte 0, or a byte 1 and the bytes.
pub(super) fn hash_optional(bytes: &mut Vec<u8>, value: Option<&[u8]>) {
    bytes.push(value.is_some().into());
    bytes.extend_from_slice(value.unwrap_or_default());
}

/// Appends a text: the length in bytes as 4 bytes, then the bytes.
fn hash_text(bytes: &mut Vec<u8>, text: &str) {
    // All texts that this program writes are far below 4 GiB, so a longer text was not written by it.
    u32::try_from(text.len()).unwrap_or(u32::MAX).hash(bytes);
    bytes.extend_from_slice(text.as_bytes());
}

fn text(text: &str) -> ValueRef<'_> {
    ValueRef::Text(text.as_bytes())
}
