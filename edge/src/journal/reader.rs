//! Reads a journal, also while the appliance writes to it.

use super::bad_row::BadRow;
use super::event::EventRow;
use super::form::Schema;
use super::readonly::{self, Opened, Source};
use super::recompute::{self, Recomputed};
use super::schema::{self, unusable};
use super::values::stored;
use super::verdict_row::{Answer, VerdictRow};
use super::verify::{self, Report};
use super::{JournalError, columns, event_columns};
use cellgate_models::policy::Verdict;
use rusqlite::{Connection, named_params};
use std::cell::RefCell;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

/// Rows per query. A single query for all rows would keep the WAL of a running appliance from being emptied while a slow reader
/// works.
const PAGE: usize = 1000;

/// A range of time, and a bundle; the default is all time and every bundle.
#[derive(Debug, Clone, Copy, Default)]
pub struct Scope {
    /// Only what was committed at this time or later, in milliseconds since 1970.
    pub since_unix_ms: Option<i64>,
    /// Only what was committed before this time, in milliseconds since 1970.
    pub until_unix_ms: Option<i64>,
    /// Only what belongs to this bundle; 0: to none.
    pub bundle: Option<u32>,
}

/// Selects records; the default selects all.
#[derive(Debug, Clone, Copy, Default)]
pub struct Filter {
    /// Only records of this time and bundle.
    pub scope: Scope,
    /// Only records with this verdict.
    pub verdict: Option<Verdict>,
    /// Only records of this part.
    pub part: Option<u64>,
}

/// A journal opened for reading only.
pub struct Reader {
    path: PathBuf,
    /// `None` between two attempts to read, while the appliance reopens the journal.
    opened: RefCell<Option<Opened>>,
    source: Source,
}

impl Reader {
    /// Opens an existing journal.
    ///
    /// # Errors
    /// The path does not exist, is unreadable, a folder, an empty file, not a journal, or a journal of another version.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        // SQLite's error for a missing file does not say that the file is missing.
        let metadata = std::fs::metadata(path);
        let metadata = metadata.map_err(|source| JournalError::Unreadable { path: path.to_owned(), source })?;
        let no_journal = |found| JournalError::NoJournal { path: path.to_owned(), found };
        if metadata.is_dir() {
            return Err(no_journal("a folder"));
        }
        let mut opened = None;
        let source = readonly::steadily(path, &mut opened, |opened| {
            if schema::schema_of(&opened.connection, path)?.is_none() {
                return Err(no_journal("an empty file or database"));
            }
            Ok(opened.source)
        })?;
        Ok(Self { path: path.to_owned(), opened: RefCell::new(opened), source })
    }

    /// Whether the journal is in a read-only place ([`Source::ReadOnly`]).
    #[must_use]
    pub fn source(&self) -> Source {
        self.source
    }

    /// Verifies all rows, the events, the anchors, the tables and SQLite's own structure, in one snapshot.
    ///
    /// # Errors
    /// The outer error if the file can't be read; the inner error is the first bad place.
    pub fn verify(&self) -> Answer<Result<Report, BadRow>> {
        let unusable = |error| unusable(&self.path, error);
        self.steadily(|connection| {
            let snapshot = connection.unchecked_transaction().map_err(unusable)?;
            let verdict = verify::verify(&snapshot, &self.path, u64::MAX)?;
            if verdict.is_ok() {
                let foreign = schema::foreign(&snapshot).map_err(unusable)?;
                if !foreign.is_empty() {
                    let what = format!("found {}; expected only the tables of a journal", foreign.join(", "));
                    return Ok(Err(BadRow { place: "schema".to_owned(), what }));
                }
                let sql = "PRAGMA integrity_check(1)";
                let found: String = snapshot.query_row(sql, [], |row| row.get(0)).map_err(unusable)?;
                if found != "ok" {
                    return Ok(Err(BadRow { place: "database".to_owned(), what: found }));
                }
            }
            Ok(verdict)
        })
    }

    fn steadily<T>(&self, work: impl Fn(&Connection) -> Answer<T>) -> Answer<T> {
        readonly::steadily(&self.path, &mut self.opened.borrow_mut(), |opened| work(&opened.connection))
    }

    /// Recomputes the verdict of every row of form 2 from the row's own numbers, and compares rows with the events of their bundles, in
    /// one snapshot. Hashes are not verified.
    ///
    /// # Errors
    /// The outer error if the file can't be read; the inner error is the first row or event that contradicts itself or another one.
    pub fn recompute(&self) -> Answer<Result<Recomputed, BadRow>> {
        self.steadily(|connection| {
            let snapshot = connection.unchecked_transaction().map_err(|error| unusable(&self.path, error))?;
            recompute::recompute(&snapshot, &self.path)
        })
    }

    /// The newest records that `filter` selects, at most `limit`, the oldest of them first.
    ///
    /// # Errors
    /// The file can't be read, or holds an invalid value.
    pub fn newest(&self, filter: &Filter, limit: usize) -> Answer<Vec<VerdictRow>> {
        let mut records = self.records(filter, 0, "DESC", limit)?;
        records.reverse();
        Ok(records)
    }

    /// The newest events of this time and bundle, at most `limit`, the oldest of them first.
    ///
    /// # Errors
    /// The file can't be read, or holds an invalid value.
    pub fn newest_events(&self, scope: Scope, limit: usize) -> Answer<Vec<EventRow>> {
        let mut events = self.events(scope, 0, "DESC", limit)?;
        events.reverse();
        Ok(events)
    }

    /// Calls `each` with every record that `filter` selects, oldest first, until `each` fails.
    ///
    /// # Errors
    /// The errors of [`Self::newest`], or the error of `each`.
    pub fn for_each<E: From<JournalError>>(
        &self,
        filter: &Filter,
        each: impl FnMut(&VerdictRow) -> Result<(), E>,
    ) -> Result<(), E> {
        pages(|after| self.records(filter, after, "ASC", PAGE), |record| record.seq, each)
    }

    /// Calls `each` with every event of this time and bundle, oldest first, until `each` fails.
    ///
    /// # Errors
    /// The errors of [`Self::newest_events`], or the error of `each`.
    pub fn for_each_event<E: From<JournalError>>(
        &self,
        scope: Scope,
        each: impl FnMut(&EventRow) -> Result<(), E>,
    ) -> Result<(), E> {
        pages(|after| self.events(scope, after, "ASC", PAGE), |event| event.number, each)
    }

    fn records(&self, filter: &Filter, after: i64, order: &str, limit: usize) -> Answer<Vec<VerdictRow>> {
        let values = named_params! {
            ":after": after,
            ":since": filter.scope.since_unix_ms,
            ":until": filter.scope.until_unix_ms,
            ":verdict": filter.verdict.map(Verdict::name),
            ":part": filter.part.map(stored),
            ":bundle": filter.scope.bundle,
            ":limit": i64::try_from(limit).unwrap_or(i64::MAX),
        };
        self.query(|snapshot, schema| {
            // A row of schema 1 belongs to no bundle.
            let bundle = match schema {
                Schema::One => "0",
                Schema::Two => "bundle",
            };
            let sql = format!(
                "SELECT {} FROM verdict WHERE seq > :after
                 AND (:since IS NULL OR committed_unix_ms >= :since) AND (:until IS NULL OR committed_unix_ms < :until)
                 AND (:verdict IS NULL OR verdict = :verdict) AND (:part IS NULL OR part = :part)
                 AND (:bundle IS NULL OR {bundle} = :bundle)
                 ORDER BY seq {order} LIMIT :limit",
                columns::names(schema)
            );
            snapshot.prepare(&sql)?.query_map(values, columns::record)?.collect()
        })
    }

    fn events(&self, scope: Scope, after: i64, order: &str, limit: usize) -> Answer<Vec<EventRow>> {
        let values = named_params! {
            ":after": after,
            ":since": scope.since_unix_ms,
            ":until": scope.until_unix_ms,
            ":bundle": scope.bundle,
            ":limit": i64::try_from(limit).unwrap_or(i64::MAX),
        };
        self.query(|snapshot, schema| {
            if schema == Schema::One {
                return Ok(Vec::new());
            }
            let sql = format!(
                "SELECT {} FROM event WHERE number > :after
                 AND (:since IS NULL OR committed_unix_ms >= :since) AND (:until IS NULL OR committed_unix_ms < :until)
                 AND (:bundle IS NULL OR bundle = :bundle)
                 ORDER BY number {order} LIMIT :limit",
                event_columns::names()
            );
            snapshot.prepare(&sql)?.query_map(values, event_columns::event)?.collect()
        })
    }

    /// Reads in one snapshot, with the schema that the journal has in it.
    fn query<T>(&self, read: impl Fn(&Connection, Schema) -> rusqlite::Result<T>) -> Answer<T> {
        let query = |connection: &Connection| {
            let snapshot = connection.unchecked_transaction()?;
            read(&snapshot, schema::current(&snapshot)?)
        };
        self.steadily(|connection| {
            query(connection).map_err(|error| match error {
                error @ (rusqlite::Error::FromSqlConversionFailure(..) | rusqlite::Error::InvalidColumnType(..)) => {
                    JournalError::Damaged { path: self.path.clone(), what: error.to_string() }
                }
                error => unusable(&self.path, error),
            })
        })
    }
}

/// Calls `each` with every item, until it fails. `page` returns up to [`PAGE`] items after a number.
fn pages<T, E: From<JournalError>>(
    page: impl Fn(i64) -> Answer<Vec<T>>,
    number: impl Fn(&T) -> NonZeroU64,
    mut each: impl FnMut(&T) -> Result<(), E>,
) -> Result<(), E> {
    let mut after = 0;
    loop {
        let page = page(after)?;
        page.iter().try_for_each(&mut each)?;
        match page.last() {
            Some(last) if page.len() == PAGE => after = stored(number(last).get()),
            _ => return Ok(()),
        }
    }
}
