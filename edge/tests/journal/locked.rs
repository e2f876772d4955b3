//! Tests that the journal survives another program that locks the journal, or that is the last program to close it.

use crate::files::wait_ready;
use crate::{cli, entry, trigger};
use cellgate_edge::journal::{Journal, JournalError, JournalOptions, Reader};
use cellgate_test_support::memory::folder_in_memory;
use cellgate_test_support::transcript;
use rusqlite::Connection;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

/// The environment variables that pass the journal and the SQL to [`program`].
const JOURNAL: &str = "JOURNAL_LOCKED";
const SQL: &str = "JOURNAL_LOCKED_SQL";

/// Not a test: the other program. It closes the journal and ends when its standard input is closed.
#[test]
fn program() {
    let (Some(path), Ok(sql)) = (std::env::var_os(JOURNAL), std::env::var(SQL)) else { return };
    let connection = Connection::open(PathBuf::from(path)).unwrap();
    connection.execute_batch(&sql).unwrap();
    println!("\nlocked");
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

/// A running [`program`].
pub(crate) struct Program {
    child: Child,
    /// Kept open, because the program prints to it at its end.
    _stdout: BufReader<ChildStdout>,
}

impl Program {
    /// Starts the program, and returns when it has executed `sql`.
    pub(crate) fn start(path: &Path, sql: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "locked::program", "--nocapture"])
            .envs([(JOURNAL, path.as_os_str()), (SQL, sql.as_ref())])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        assert!(stdout.by_ref().lines().any(|line| line.unwrap() == "locked"));
        Self { child, _stdout: stdout }
    }

    fn close(mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().unwrap().success());
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Opens a journal, lets `begin` use it, and starts another program that takes a lock with `sql`. The journal then can't write a
/// row and closes itself for 3 s. Returns the journal and the running program.
fn locked_out(path: &Path, sql: &str, begin: impl FnOnce(&Journal)) -> (Journal, Program) {
    let options = JournalOptions { reopen_every: Duration::from_secs(3), ..JournalOptions::default() };
    let (journal, _) = Journal::open(path, options).unwrap();
    begin(&journal);
    let program = Program::start(path, sql);
    assert!(journal.accept(trigger(2)).is_err());
    let why = journal.health().last_error.unwrap();
    assert!(!journal.health().ready && why.contains(&format!(" {} (", program.child.id())), "{why}");
    (journal, program)
}

fn judge(journal: &Journal, part: u64) {
    journal.commit(entry(journal.accept(trigger(part)).unwrap().id())).unwrap();
}

pub(crate) fn wal_of(path: &Path) -> PathBuf {
    path.with_extension("sqlite-wal")
}

#[test]
fn a_program_that_locks_the_journal_is_named_and_may_be_the_last_to_close_it() {
    for sql in ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE", "BEGIN IMMEDIATE; CREATE TABLE t (c)"] {
        let folder = folder_in_memory();
        let path = folder.path().join("verdicts.sqlite");
        let (journal, program) = locked_out(&path, sql, |journal| judge(journal, 1));
        program.close();
        assert!(!wal_of(&path).exists(), "the program moved the WAL into the database and deleted it");
        wait_ready(&journal);
        judge(&journal, 2);
        drop(journal);
        assert_eq!(Reader::open(&path).unwrap().verify().unwrap().unwrap().rows, 2);
    }
}

#[test]
fn a_wal_with_rows_that_is_lost_while_the_journal_is_closed_must_come_back() {
    let folder = folder_in_memory();
    let path = folder.path().join("verdicts.sqlite");
    let mut reader = None;
    let (journal, program) = locked_out(&path, "BEGIN IMMEDIATE", |journal| {
        // While this reader is active, the row stays in the WAL: SQLite can't move it into the database.
        reader = Some(Program::start(&path, "BEGIN; SELECT count(*) FROM verdict"));
        judge(journal, 1);
    });
    program.kill();
    reader.unwrap().kill();
    let away = folder.path().join("away");
    std::fs::rename(wal_of(&path), &away).unwrap();
    std::thread::sleep(Duration::from_secs(4));
    assert!(!journal.health().ready && !wal_of(&path).exists());
    std::fs::rename(&away, wal_of(&path)).unwrap();
    wait_ready(&journal);
    judge(&journal, 2);
}

#[test]
fn a_locked_journal_is_an_error_at_the_start_and_for_readers() {
    let folder = folder_in_memory();
    let path = crate::filled(folder.path(), 1);
    let program = Program::start(&path, "PRAGMA locking_mode = EXCLUSIVE; BEGIN IMMEDIATE; CREATE TABLE t (c)");
    let error = Journal::open(&path, JournalOptions::default()).err().unwrap();
    assert!(
        matches!(&error, JournalError::Locked { by, .. } if by.contains(&program.child.id().to_string())),
        "{error}"
    );
    let list = transcript(&cli(&["list"], &path, 2), folder.path());
    insta::with_settings!({filters => vec![(r"process \d+ \(.*?\)", "process NUMBER (NAME)")]}, {
        insta::assert_snapshot!("a_reader_of_a_locked_journal", list);
    });
    program.kill();
}
