//! Reading a journal, also while the appliance writes to it.

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

/// Rows read at a time: a slow reader must not hold the log of a running appliance.
const PAGE: usize = 1000;

/// Which records to read; the default is all.
#[derive(Debug, Clone, Copy, Default)]
pub struct Filter {
    /// Committed at that time or later, in milliseconds since 1970.
    pub since_unix_ms: Option<i64>,
    /// Committed before that time.
    pub until_unix_ms: Option<i64>,
    /// With this verdict.
    pub verdict: Option<Verdict>,
    /// Of this part.
    pub part: Option<u64>,
}

/// A journal opened for reading only.
pub struct Reader {
    path: PathBuf,
    /// None between two attempts, while the appliance opens the journal anew.
    opened: RefCell<Option<Opened>>,
    source: Source,
}

impl Reader {
    /// Opens a journal that is there.
    ///
    /// # Errors
    /// It is not there, not readable, no journal, or of another version.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        // SQLite's words for a file that is not there don't say so.
        std::fs::metadata(path).map_err(|source| JournalError::Unreadable { path: path.to_owned(), source })?;
        let mut opened = None;
        let source = readonly::steadily(path, &mut opened, |opened| {
            if !schema::is_journal(&opened.connection, path)? {
                let what = "expected a journal, found an empty database".to_owned();
                return Err(JournalError::Damaged { path: path.to_owned(), what });
            }
            Ok(opened.source)
        })?;
        Ok(Self { path: path.to_owned(), opened: RefCell::new(opened), source })
    }

    /// What it reads: the journal in its place, or one on a medium that can't be written.
    #[must_use]
    pub fn source(&self) -> Source {
        self.source
    }

    /// Verifies all rows, the anchors, and SQLite's own structure, in one snapshot.
    ///
    /// # Errors
    /// The outer one where the file can't be read; the inner one is the first bad place.
    pub fn verify(&self) -> Answer<Result<Report, BadRow>> {
        let unusable = |error| unusable(&self.path, error);
        self.steadily(|connection| {
            let snapshot = connection.unchecked_transaction().map_err(unusable)?;
            let verdict = verify::verify(&snapshot, &self.path, u64::MAX)?;
            if verdict.is_ok() {
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

    /// The newest `limit` records, oldest first.
    ///
    /// # Errors
    /// The file can't be read, or holds what no journal holds.
    pub fn newest(&self, filter: &Filter, limit: usize) -> Answer<Vec<VerdictRow>> {
        let mut records = self.query(filter, 0, "DESC", limit)?;
        records.reverse();
        Ok(records)
    }

    /// Gives all records to `each`, oldest first, until it fails.
    ///
    /// # Errors
    /// As [`Self::newest`], or what `each` says.
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
