//! Keeps a journal of schema 1, and checks that a journal is still it, or has become one of schema 2.

use cellgate_edge::journal::{Filter, Journal, JournalOptions, Reader, RowForm, VerdictRow};
use cellgate_test_support::journal_1;
use cellgate_test_support::memory::folder_in_memory;
use rusqlite::Connection;
use rusqlite::types::Value;
use std::path::Path;

/// The schema of a database file: its `user_version`, and the names and declarations of its tables.
type Tables = (u32, Vec<(String, Option<String>)>);

/// The columns of the table `verdict` of schema 1.
const COLUMNS_OF_SCHEMA_1: usize = 27;

/// A journal of schema 1.
pub(crate) struct OldJournal {
    pub(crate) rows: Vec<VerdictRow>,
    /// The same rows as values of SQLite.
    values: Vec<Vec<Value>>,
    /// Its tables.
    old: Tables,
    /// The tables of a journal of schema 2.
    new: Tables,
}

impl OldJournal {
    /// Writes a closed journal of schema 1 with rows up to `newest` to `folder`.
    pub(crate) fn write(folder: &Path, newest: u64) {
        let connection = Connection::open(folder.join("verdicts.sqlite")).unwrap();
        connection.execute_batch(&journal_1::sql(newest)).unwrap();
        connection.close().unwrap();
    }

    /// The journal in `folder`.
    pub(crate) fn of(folder: &Path) -> Self {
        let path = folder.join("verdicts.sqlite");
        let rows = Reader::open(&path).unwrap().newest(&Filter::default(), usize::MAX).unwrap();
        assert!(rows.len() > 1 && rows.iter().all(|row| row.form == RowForm::One));
        let fresh = folder_in_memory();
        let new = fresh.path().join("verdicts.sqlite");
        drop(Journal::open(&new, JournalOptions::default()).unwrap());
        let (old, new) = (tables(&path), tables(&new));
        assert_eq!((old.0, new.0), (1, 2));
        Self { rows, values: values(&path), old, new }
    }

    /// Checks that the journal in `folder`, which no appliance has opened since a power cut, is of schema 1 as before or of schema 2, and
    /// that its old rows are unchanged. Changes the folder.
    pub(crate) fn check(&self, folder: &Path) -> Result<(), String> {
        let path = folder.join("verdicts.sqlite");
        let (found, values) = (tables(&path), values(&path));
        if !values.starts_with(&self.values) {
            return Err("the rows of schema 1 are not unchanged before the start".to_owned());
        }
        let is_old = found == self.old && values.len() == self.values.len();
        if is_old || found == self.new { Ok(()) } else { Err(format!("found a schema between 1 and 2: {found:?}")) }
    }
}

/// The rows of the table `verdict`, each with the values of the columns of schema 1. In schema 2, these are the first columns.
fn values(path: &Path) -> Vec<Vec<Value>> {
    let connection = Connection::open(path).unwrap();
    let mut statement = connection.prepare("SELECT * FROM verdict ORDER BY seq").unwrap();
    let rows = statement.query_map([], |row| (0..COLUMNS_OF_SCHEMA_1).map(|column| row.get(column)).collect());
    rows.unwrap().map(Result::unwrap).collect()
}

fn tables(path: &Path) -> Tables {
    let connection = Connection::open(path).unwrap();
    let version = connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    let mut statement = connection.prepare("SELECT name, sql FROM sqlite_schema ORDER BY name").unwrap();
    let tables = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap);
    (version, tables.collect())
}
