//! Defines a column of a table whose records are hashed. One entry of a list of columns says how a column is declared, written, read,
//! hashed and exported.

use super::exported::Exported;
use super::fields::Field as _;
use cellgate_models::digest::Digest;
use rusqlite::Row;
use rusqlite::types::ValueRef;

/// A column of the table of the records `R`.
pub(super) struct Column<R: 'static> {
    /// Its name in the table.
    pub(super) name: &'static str,
    /// Its name in an export.
    pub(super) exported_as: &'static str,
    /// Its SQL type and constraints.
    pub(super) declared: &'static str,
    /// Returns its value in a record, as SQLite stores it.
    pub(super) store: fn(&R) -> ValueRef<'_>,
    /// Reads its value from a row into a record.
    pub(super) read: fn(&mut R, &Row<'_>) -> rusqlite::Result<()>,
    /// Appends its bytes to the bytes that are hashed. [`nothing`] for a column that adds no bytes of its own: it is hashed
    /// with another column, before all columns, or (`hash`) not at all.
    pub(super) hash: fn(&R, &mut Vec<u8>),
    /// Returns its value in an export.
    pub(super) export: fn(&R) -> Exported<'_>,
}

/// A column for one field of a record.
macro_rules! column {
    ($name:literal, $declared:literal, $($field:ident).+) => {
        column!($name as $name, $declared, $($field).+)
    };
    ($name:literal as $exported_as:literal, $declared:literal, $($field:ident).+) => {
        $crate::journal::column::Column {
            name: $name,
            exported_as: $exported_as,
            declared: $declared,
            store: |record| record.$($field).+.stored(),
            read: |record, row| {
                record.$($field).+ = $crate::journal::fields::Field::read(row, $name)?;
                Ok(())
            },
            hash: |record, bytes| record.$($field).+.hash(bytes),
            export: |record| record.$($field).+.exported(),
        }
    };
}
pub(super) use column;

/// The `hash` of a column that adds no bytes of its own.
pub(super) fn nothing<R>(_: &R, _: &mut Vec<u8>) {}

/// The column names as a list for a query.
pub(super) fn names<R>(columns: &[Column<R>]) -> String {
    columns.iter().map(|column| column.name).collect::<Vec<_>>().join(", ")
}

/// The statement that creates the table `name` with these columns.
pub(super) fn table<R>(name: &str, columns: &[Column<R>]) -> String {
    let columns: Vec<String> =
        columns.iter().map(|Column { name, declared, .. }| format!("  {name} {declared}")).collect();
    format!("CREATE TABLE {name} (\n{}\n) STRICT", columns.join(",\n"))
}

/// The bytes of a record that are hashed: `tag`, the previous record's hash, and the bytes of `columns` in order.
pub(super) fn bytes<R>(tag: &[u8], previous: &Digest, columns: &[Column<R>], record: &R) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(512);
    bytes.extend_from_slice(tag);
    previous.hash(&mut bytes);
    columns.iter().for_each(|column| (column.hash)(record, &mut bytes));
    bytes
}
