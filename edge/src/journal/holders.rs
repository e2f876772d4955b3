//! Finds the processes whose locks keep the appliance from writing to its journal, so that an error can name them.

use std::fs;
use std::ops::RangeInclusive;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// The bytes of the database file that SQLite locks.
const DATABASE: RangeInclusive<u64> = 0x4000_0000..=0x4000_01ff;
/// The bytes of the WAL index that SQLite locks while it works with the WAL.
const INDEX: RangeInclusive<u64> = 120..=127;
/// The byte of the WAL index that every process locks while it has the journal open.
const INDEX_OPEN: RangeInclusive<u64> = 128..=128;

/// The other processes whose locks prevent writing to the journal at `path`, such as `4711 (sqlite3)`. If no such lock is visible,
/// the other processes that hold any lock of the journal. Each process that has the journal open holds such a lock. Empty if this
/// user can't see any of them.
pub(super) fn holders(path: &Path) -> String {
    let Ok(locks) = fs::read_to_string("/proc/locks") else { return String::new() };
    let inode = |suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        fs::metadata(name).map_or(0, |file| file.ino())
    };
    let (database, index) = (inode(""), inode("-shm"));
    let processes = |wanted: &[(u64, &RangeInclusive<u64>, Option<&str>)]| {
        let is_wanted = |lock: &Lock<'_>| {
            wanted.iter().any(|(inode, bytes, kind)| {
                lock.inode == *inode && bytes.contains(&lock.first) && kind.is_none_or(|kind| kind == lock.kind)
            })
        };
        let mut found: Vec<u32> =
            locks.lines().filter_map(Lock::read).filter(is_wanted).map(|lock| lock.process).collect();
        found.sort_unstable();
        found.dedup();
        found.retain(|&process| process != std::process::id());
        found
    };
    let mut found = processes(&[(database, &DATABASE, Some("WRITE")), (index, &INDEX, Some("WRITE"))]);
    if found.is_empty() {
        found = processes(&[(index, &INDEX_OPEN, None), (database, &DATABASE, None)]);
    }
    found.into_iter().map(named).collect::<Vec<_>>().join(", ")
}

fn named(process: u32) -> String {
    match fs::read_to_string(format!("/proc/{process}/comm")) {
        Ok(name) => format!("{process} ({})", name.trim_end().replace(char::is_control, "?")),
        Err(_) => process.to_string(),
    }
}

/// A lock that a process holds, from a line of text of `/proc/locks` such as `3: POSIX  ADVISORY  WRITE 4711 fd:01:173521 120 120`.
struct Lock<'l> {
    kind: &'l str,
    process: u32,
    /// The file's inode. The file system's device number is not compared: on btrfs it differs from the number that stat(2)
    /// returns.
    inode: u64,
    first: u64,
}

impl<'l> Lock<'l> {
    fn read(line: &'l str) -> Option<Self> {
        // A process that only waits for a lock has `->` after the number.
        let mut words = line.split_whitespace().skip(1);
        let is_posix = words.next()? == "POSIX";
        let (kind, process, file, first) = (words.nth(1)?, words.next()?, words.next()?, words.next()?);
        let inode = file.rsplit(':').next()?.parse().ok()?;
        let (process, first) = (process.parse().ok()?, first.parse().ok()?);
        is_posix.then_some(Self { kind, process, inode, first })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_waits_for_a_lock_is_not_a_holder() {
        let read = |line| Lock::read(line).map(|lock| (lock.kind, lock.process, lock.inode, lock.first));
        assert_eq!(read("3: POSIX  ADVISORY  WRITE 4711 fd:01:173521 120 120"), Some(("WRITE", 4711, 173_521, 120)));
        assert_eq!(read("3: -> POSIX  ADVISORY  WRITE 4712 fd:01:173521 120 120"), None);
        assert_eq!(read("4: FLOCK  ADVISORY  WRITE 4713 fd:01:173521 0 EOF"), None);
    }
}
