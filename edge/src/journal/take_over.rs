//! Takes a journal of schema 1 over: gives it the tables of schema 2. Its rows stay as they are, byte by byte.

use super::JournalError;
use super::schema::{ACCEPTED, SCHEMA_VERSION, unusable};
use super::verdict_row::Answer;
use super::{columns, event_columns};
use rusqlite::{Connection, TransactionBehavior};
use std::path::Path;

/// The table `verdict` of schema 1, in which a model was called a bundle.
const VERDICT_OF_SCHEMA_1: &str = "CREATE TABLE verdict (
  seq INTEGER PRIMARY KEY CHECK (seq > 0),
  boot_epoch INTEGER NOT NULL,
  trigger_id INTEGER NOT NULL UNIQUE,
  kind TEXT NOT NULL CHECK (kind IN ('PLC', 'FREE_RUNNING')),
  part INTEGER NOT NULL,
  nonce INTEGER NOT NULL,
  deadline_ms INTEGER NOT NULL,
  received_unix_ms INTEGER NOT NULL,
  committed_unix_ms INTEGER NOT NULL,
  age_ms INTEGER NOT NULL,
  verdict TEXT NOT NULL CHECK (verdict IN ('PASS', 'REVIEW', 'REJECT')),
  reason TEXT NOT NULL,
  score REAL,
  bundle BLOB CHECK (length(bundle) = 32),
  image BLOB CHECK (length(image) = 32),
  image_name TEXT NOT NULL,
  bounds_low INTEGER,
  bounds_high INTEGER CHECK ((bounds_low IS NULL) = (bounds_high IS NULL)),
  read_us INTEGER NOT NULL,
  convert_us INTEGER NOT NULL,
  infer_us INTEGER NOT NULL,
  decide_us INTEGER NOT NULL,
  simulated INTEGER NOT NULL CHECK (simulated IN (0, 1)),
  degraded INTEGER NOT NULL CHECK (degraded IN (0, 1)),
  detail TEXT NOT NULL,
  previous BLOB NOT NULL CHECK (length(previous) = 32),
  hash BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT";

/// The table `accepted` of schema 1.
const ACCEPTED_OF_SCHEMA_1: &str = "CREATE TABLE accepted (
  trigger_id INTEGER PRIMARY KEY AUTOINCREMENT,
  boot_epoch INTEGER NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('PLC', 'FREE_RUNNING')),
  part INTEGER NOT NULL,
  nonce INTEGER NOT NULL CHECK (nonce BETWEEN 0 AND 4294967295),
  deadline_ms INTEGER NOT NULL CHECK (deadline_ms BETWEEN 0 AND 4294967295),
  received_unix_ms INTEGER NOT NULL
) STRICT";

/// Gives the journal of schema 1 the tables of schema 2, in one transaction.
///
/// Only the declarations of the tables `verdict` and `accepted` are replaced. SQLite reads a row with fewer values than columns as if
/// the missing values were the columns' defaults, so no row is read or written, and the time does not depend on the number of rows.
/// `ALTER TABLE` makes the same change, but reads the whole table once for each new column, because the table is STRICT; with millions
/// of rows the appliance would take minutes to start.
///
/// # Errors
/// [`JournalError::Damaged`]: a table is not that of schema 1. Nothing was changed.
pub(super) fn take_over(connection: &mut Connection, path: &Path) -> Answer<()> {
    let unusable = |error| unusable(path, error);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(unusable)?;
    let tables =
        [("verdict", VERDICT_OF_SCHEMA_1, columns::table()), ("accepted", ACCEPTED_OF_SCHEMA_1, ACCEPTED.to_owned())];
    for (name, expected, _) in &tables {
        let sql = "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?1";
        let found: String = transaction.query_row(sql, [name], |row| row.get(0)).map_err(unusable)?;
        if found != *expected {
            let what = format!("expected the table `{name}` of schema 1, found {found:?}");
            return Err(JournalError::Damaged { path: path.to_owned(), what });
        }
    }
    let replace = || -> rusqlite::Result<()> {
        transaction.pragma_update(None, "writable_schema", true)?;
        for (name, _, table) in &tables {
            let sql = "UPDATE sqlite_schema SET sql = ?1 WHERE type = 'table' AND name = ?2";
            transaction.execute(sql, [table.as_str(), name])?;
        }
        // Reads the changed declarations.
        transaction.pragma_update(None, "writable_schema", "RESET")?;
        // Creating a table changes SQLite's number of the schema, so that other processes read the declarations again.
        transaction.execute_batch(&event_columns::table())?;
        transaction.pragma_update(None, "user_version", SCHEMA_VERSION)
    };
    replace().and_then(|()| transaction.commit()).map_err(unusable)
}

#[cfg(test)]
mod tests {
    use super::super::form::RowForm;
    use super::super::hash::tests::row_of_form_1;
    use super::super::{form::Schema, hash, rows, schema};
    use super::*;
    use cellgate_test_support::journal_1;

    /// The names and texts of all tables, and the schema.
    fn tables(connection: &Connection) -> (Vec<(String, Option<String>)>, Schema) {
        let sql = "SELECT name, sql FROM sqlite_schema ORDER BY name";
        let mut statement = connection.prepare(sql).unwrap();
        let tables = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap);
        (tables.collect(), schema::schema_of(connection, Path::new("test")).unwrap().unwrap())
    }

    #[test]
    fn a_journal_of_schema_1_gets_the_tables_of_a_new_one_and_keeps_its_rows() {
        let mut fresh = Connection::open_in_memory().unwrap();
        schema::create(&mut fresh).unwrap();
        let mut old = Connection::open_in_memory().unwrap();
        old.execute_batch(journal_1::TABLES).unwrap();
        let mut expected = row_of_form_1();
        expected.hash = hash::of_row(&expected);
        // The row is written by the table of schema 2, then read by that of schema 1.
        rows::insert_record(&fresh, &expected).unwrap();
        let values = columns::names(Schema::Two).split(", ").take(27).collect::<Vec<_>>().join(", ");
        let row: Vec<rusqlite::types::Value> = fresh
            .query_row(&format!("SELECT {values} FROM verdict"), [], |row| (0..27).map(|at| row.get(at)).collect())
            .unwrap();
        let places = vec!["?"; 27].join(", ");
        old.execute(&format!("INSERT INTO verdict VALUES ({places})"), rusqlite::params_from_iter(row)).unwrap();
        let read = |connection: &Connection, schema| {
            let sql = format!("SELECT {} FROM verdict", columns::names(schema));
            connection.query_row(&sql, [], columns::record).unwrap()
        };
        assert_eq!((tables(&old).1, read(&old, Schema::One)), (Schema::One, expected.clone()));
        take_over(&mut old, Path::new("test")).unwrap();
        assert_eq!(tables(&old), tables(&fresh));
        let found = read(&old, Schema::Two);
        assert_eq!((found.form, &found, hash::of_row(&found)), (RowForm::One, &expected, expected.hash));
        assert!(take_over(&mut old, Path::new("test")).is_err(), "only once");
    }

    #[test]
    fn an_altered_table_is_not_taken_over() {
        let mut old = Connection::open_in_memory().unwrap();
        old.execute_batch(journal_1::TABLES).unwrap();
        old.execute_batch("ALTER TABLE verdict ADD COLUMN note TEXT").unwrap();
        let before = tables(&old);
        let error = take_over(&mut old, Path::new("test")).unwrap_err();
        assert!(matches!(error, JournalError::Damaged { .. }), "{error}");
        assert_eq!(tables(&old), before);
    }
}
