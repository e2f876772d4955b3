//! Reads a journal, also while the appliance writes to it.

use super::readonly::{self, Opened, Source};
use super::schema::{self, unusable};
use super::values::stored;
use super::verdict_row::{Answer, VerdictRow};
use super::verify::{self, BadRow, Report};
use super::{JournalError, columns};
use cellgate_models::policy::Verdict;
use rusqlite::{Connection, named_params};
use std::cell::RefCell;
use std::path::{Path, PathBuf};

/// Rows per query. A single query for all rows would keep the WAL of a running appliance from being emptied while a slow reader
/// works.
const PAGE: usize = 1000;

/// Selects records; the default selects all.
#[derive(Debug, Clone, Copy, Default)]
pub struct Filter {
    /// Only records that were committed at this time or later, in milliseconds since 1970.
    pub since_unix_ms: Option<i64>,
    /// Only records that were committed before this time, in milliseconds since 1970.
    pub until_unix_ms: Option<i64>,
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
            if !schema::is_journal(&opened.connection, path)? {
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

    /// Verifies all rows, the anchors, the tables and SQLite's own structure, in one snapshot.
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

    /// The newest records that `filter` selects, at most `limit`, the oldest of them first.
    ///
    /// # Errors
    /// The file can't be read, or holds an invalid value.
    pub fn newest(&self, filter: &Filter, limit: usize) -> Answer<Vec<VerdictRow>> {
        let mut records = self.query(filter, 0, "DESC", limit)?;
        records.reverse();
        Ok(records)
    }

    /// Calls `each` with every record that `filter` selects, oldest first, until `each` fails.
    ///
    /// # Errors
    /// The errors of [`Self::newest`], or the error of `each`.
    pub fn for_each<E: From<JournalError>>(
        &self,
        filter: &Filter,
        mut each: impl FnMut(&VerdictRow) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut after = 0;
        loop {
            let page = self.query(filter, after, "ASC", PAGE)?;
            page.iter().try_for_each(&mut each)?;
            match page.last() {
                Some(last) if page.len() == PAGE => after = stored(last.seq.get()),
                _ => return Ok(()),
            }
        }
    }

    fn query(&self, filter: &Filter, after: i64, order: &str, limit: usize) -> Answer<Vec<VerdictRow>> {
        let sql = format!(
            "SELECT {} FROM verdict WHERE seq > :after
             AND (:since IS NULL OR committed_unix_ms >= :since) AND (:until IS NULL OR committed_unix_ms < :until)
             AND (:verdict IS NULL OR verdict = :verdict) AND (:part IS NULL OR part = :part)
             ORDER BY seq {order} LIMIT :limit",
            columns::names()
        );
        let values = named_params! {
            ":after": after,
            ":since": filter.since_unix_ms,
            ":until": filter.until_unix_ms,
            ":verdict": filter.verdict.map(Verdict::name),
            ":part": filter.part.map(stored),
            ":limit": i64::try_from(limit).unwrap_or(i64::MAX),
        };
        let query = |connection: &Connection| -> rusqlite::Result<Vec<VerdictRow>> {
            connection.prepare(&sql)?.query_map(values, columns::record)?.collect()
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
