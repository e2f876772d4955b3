//! Creates the tables, and checks that a file is a journal of a known version.

use super::form::Schema;
use super::holders::holders;
use super::verdict_row::Answer;
use super::{JournalError, columns, event_columns};
use rusqlite::{Connection, TransactionBehavior};
use std::path::Path;

/// `application_id` of a journal: "CGJ1".
const APPLICATION_ID: i32 = 0x4347_4a31;
/// `user_version` of the schema that this program writes. It reads this schema and [`OLD_SCHEMA_VERSION`].
pub(super) const SCHEMA_VERSION: i32 = 2;
/// `user_version` of [`Schema::One`].
const OLD_SCHEMA_VERSION: i32 = 1;

/// The SQL that creates the table `state`. In all tables, unsigned 64-bit numbers (part, seq,
/// trigger, number) are stored as signed numbers with the same bits.
const TABLES: &str = "
CREATE TABLE state (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  identity BLOB NOT NULL CHECK (length(identity) = 16),
  boot_epoch INTEGER NOT NULL CHECK (boot_epoch BETWEEN 0 AND 4294967295),
  reopened INTEGER NOT NULL
) STRICT;
INSERT INTO state VALUES (1, randomblob(16), 0, 0);

";

/// The statement that creates the table `accepted`.
pub(super) const ACCEPTED: &str = "CREATE TABLE accepted (
  trigger_id INTEGER PRIMARY KEY AUTOINCREMENT,
  boot_epoch INTEGER NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('PLC', 'FREE_RUNNING')),
  part INTEGER NOT NULL,
  nonce INTEGER NOT NULL CHECK (nonce BETWEEN 0 AND 4294967295),
  deadline_ms INTEGER NOT NULL CHECK (deadline_ms BETWEEN 0 AND 4294967295),
  received_unix_ms INTEGER NOT NULL,
  bundle INTEGER NOT NULL DEFAULT 0 CHECK (bundle BETWEEN 0 AND 4294967295)
) STRICT";

/// The SQL that creates the tables after `verdict`, and before `event`, which [`event_columns::table`] creates.
const MORE_TABLES: &str = ";

CREATE TABLE unacknowledged (seq INTEGER PRIMARY KEY) STRICT;

CREATE TABLE anchor (
  number INTEGER PRIMARY KEY CHECK (number > 0),
  previous BLOB NOT NULL CHECK (length(previous) = 32),
  first_kept INTEGER NOT NULL,
  last_pruned BLOB NOT NULL CHECK (length(last_pruned) = 32),
  pruned_rows INTEGER NOT NULL,
  pruned_unix_ms INTEGER NOT NULL,
  hash BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;
";

/// The schema of the journal. `None` for an empty file or database; any other content is an error.
pub(super) fn schema_of(connection: &Connection, path: &Path) -> Answer<Option<Schema>> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let query = || -> rusqlite::Result<(i32, i32, i64)> {
        let tables = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        Ok((pragma("application_id")?, pragma("user_version")?, tables))
    };
    let (application, version, tables) = query().map_err(|error| unusable(path, error))?;
    match (application, version) {
        (0, 0) if tables == 0 => Ok(None),
        (APPLICATION_ID, OLD_SCHEMA_VERSION) => Ok(Some(Schema::One)),
        (APPLICATION_ID, SCHEMA_VERSION) => Ok(Some(Schema::Two)),
        (APPLICATION_ID, found) => Err(JournalError::Schema { path: path.to_owned(), found, expected: SCHEMA_VERSION }),
        (found, _) => Err(JournalError::Foreign { path: path.to_owned(), found, expected: APPLICATION_ID }),
    }
}

/// The schema of a journal that was opened before. The appliance may have taken it over meanwhile, so a reader asks in each
/// transaction.
pub(super) fn current(connection: &Connection) -> rusqlite::Result<Schema> {
    let version: i32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    Ok(if version == OLD_SCHEMA_VERSION { Schema::One } else { Schema::Two })
}

/// Names tables, indexes, views and SQL triggers that do not belong to a journal. An SQL trigger could change rows unnoticed.
pub(super) fn foreign(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut own = Connection::open_in_memory()?;
    create(&mut own)?;
    let own = objects(&own)?;
    let foreign = objects(connection)?.into_iter().filter(|object| !own.contains(object));
    // Escaped by `{:?}`, as a name may contain control characters.
    Ok(foreign.map(|(kind, name, table)| format!("{kind} {name:?} of table {table:?}")).collect())
}

/// Kind, name and table of all objects in the schema, except objects that SQLite creates for itself.
fn objects(connection: &Connection) -> rusqlite::Result<Vec<(String, String, String)>> {
    let sql = "SELECT type, name, tbl_name FROM sqlite_schema WHERE type = 'trigger' OR name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY type, name";
    connection.prepare(sql)?.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect()
}

/// Creates the tables in one transaction, so that a crash leaves either an empty file or all tables.
pub(super) fn create(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(&format!(
        "{TABLES}{ACCEPTED};\n{}{MORE_TABLES}\n{};",
        columns::table(),
        event_columns::table()
    ))?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    transaction.commit()
}

/// Converts an error of SQLite: damage and locks have variants of their own, anything else is [`JournalError::Unusable`].
pub(super) fn unusable(path: &Path, source: rusqlite::Error) -> JournalError {
    match source.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase) => JournalError::Damaged {
            path: path.to_owned(),
            what: "this is not a journal (name the right file), or its beginning is damaged".to_owned(),
        },
        Some(rusqlite::ErrorCode::DatabaseCorrupt) => JournalError::Damaged {
            path: path.to_owned(),
            what: format!("expected an intact journal, found: {source}"),
        },
        Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => {
            JournalError::Locked { path: path.to_owned(), by: holders(path) }
        }
        _ => JournalError::Unusable { path: path.to_owned(), source },
    }
}
