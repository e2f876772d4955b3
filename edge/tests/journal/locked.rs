//! Another program that locks the journal, and closes it as the last one.

use crate::files::wait_ready;
use crate::{cli, entry, trigger};
use cellgate_edge::journal::{Journal, JournalError, JournalOptions, Reader};
use cellgate_test_support::memory::folder_in_memory;
use rusqlite::Connection;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

/// Names, for [`program`], the journal and what to do with it.
const JOURNAL: &str = "JOURNAL_LOCKED";
const SQL: &str = "JOURNAL_LOCKED_SQL";

/// Not a test by itself: the other program. It ends, and closes the journal, when its standard input does.
#[test]
fn program() {
    let (Some(path), Ok(sql)) = (std::env::var_os(JOURNAL), std::env::var(SQL)) else { return };
    let connection = Connection::open(PathBuf::from(path)).unwrap();
    connection.execute_batch(&sql).unwrap();
    println!("\nlocked");
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

pub(crate) struct Program {
    child: Child,
    /// Kept open for what it says at its end.
    _said: BufReader<ChildStdout>,
}

impl Program {
    pub(crate) fn start(path: &Path, sql: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "locked::program", "--nocapture"])
            .envs([(JOURNAL, path.as_os_str()), (SQL, sql.as_ref())])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        assert!(said.by_ref().lines().any(|line| line.unwrap() == "locked"));
        Self { child, _said: said }
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

/// A journal that is closed for some seconds, as it was asked for a row while `sql` of another program kept it from writing.
fn refused(path: &Path, sql: &str, begin: impl FnOnce(&Journal)) -> (Journal, Program) {
    let options = JournalOptions { reopen_every: Duration::from_secs(3), ..JournalOptions::default() };
    let (journal, _) = Journal::open(path, options).unwrap();
    begin(&journal);
    let program = Program::start(path, sql);
    assert!(journal.accept(trigger(2)).is_err());
    let why = journal.health().last_error.unwrap();
    assert!(!journal.health().ready && why.contains("another program has locked this journal"), "{why}");
    assert!(why.contains(&format!("process {} (", program.child.id())), "{why}");
    (journal, program)
}

fn judge(journal: &Journal, part: u64) {
    journal.commit(entry(journal.accept(trigger(part)).unwrap().id())).unwrap();
}

pub(crate) fn log_of(path: &Path) -> PathBuf {
    path.with_extension("db-wal")
}

#[test]
fn a_program_that_locks_the_journal_is_named_and_may_close_it_as_the_last_one() {
    for sql in ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE", "BEGIN IMMEDIATE; CREATE TABLE t (c)"] {
        let folder = folder_in_memory();
        let path = folder.path().join("journal.db");
        let (journal, program) = refused(&path, sql, |journal| judge(journal, 1));
        program.close();
        assert!(!log_of(&path).exists(), "it moved the log into the database and deleted it");
        wait_ready(&journal);
        judge(&journal, 2);
        drop(journal);
        assert_eq!(Reader::open(&path).unwrap().verify().unwrap().unwrap().rows, 2);
    }
}

#[test]
fn a_log_that_is_lost_with_rows_while_the_journal_is_closed_is_not_done_without() {
    let folder = folder_in_memory();
    let path = folder.path().join("journal.db");
    let mut reader = None;
    let (journal, program) = refused(&path, "BEGIN IMMEDIATE", |journal| {
        // Keeps the row from being moved into the database.
        reader = Some(Program::start(&path, "BEGIN; SELECT count(*) FROM verdict"));
        judge(journal, 1);
    });
    program.kill();
    reader.unwrap().kill();
    let away = folder.path().join("away");
    std::fs::rename(log_of(&path), &away).unwrap();
    std::thread::sleep(Duration::from_secs(4));
    assert!(!journal.health().ready && !log_of(&path).exists());
    std::fs::rename(&away, log_of(&path)).unwrap();
    wait_ready(&journal);
    judge(&journal, 2);
}

#[test]
fn a_locked_journal_is_an_error_of_its_own_also_at_the_start_and_for_readers() {
    let folder = folder_in_memory();
    let path = crate::filled(folder.path(), 1);
    let program = Program::start(&path, "PRAGMA locking_mode = EXCLUSIVE; BEGIN IMMEDIATE; CREATE TABLE t (c)");
    let error = Journal::open(&path, JournalOptions::default()).err().unwrap();
    assert!(
        matches!(&error, JournalError::Locked { by, .. } if by.contains(&program.child.id().to_string())),
        "{error}"
    );
    let list = cli(&["list"], &path, 2);
    assert!(String::from_utf8(list.stderr).unwrap().contains(&format!("process {} (", program.child.id())));
    program.kill();
}
