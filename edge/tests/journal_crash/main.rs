//! Simulates power cuts, kills and disk errors at every call that the journal makes.
//!
//! `shim.c` is preloaded into a driver and writes each write, truncation, sync and unlink with its data to a trace. From this trace,
//! `disk.rs` rebuilds the possible contents of a disk after each call, and `promises.rs` opens the journal there.
//!
//! To run the power cuts with 1,000 verdicts or with 10,000 old rows, and see their progress:
//! `cargo test -p cellgate-edge --test journal_crash -- --ignored --nocapture`
#![expect(clippy::unwrap_used, reason = "clippy allows it in tests, but not in their helpers")]

mod bundle;
mod disk;
mod driver;
mod old_journal;
mod promises;
mod trace;
mod written;

use cellgate_test_support::memory::folder_in_memory;
use disk::{Disk, Fate};
use old_journal::OldJournal;
use promises::Promises;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use trace::{Call, Fault, Note, drive};

/// What happens to unsynced data at each point of a trace. Each fate makes one power cut.
const FATES: [Fate; 4] = [Fate::Kept, Fate::Lost, Fate::Random, Fate::Random];

#[test]
fn no_power_cut_loses_a_committed_verdict_or_event() {
    let folder = folder_in_memory();
    power_cuts(folder.path(), &Promises::default(), Driven { parts: 20, events: 15, recoveries: 6 });
}

/// The journal of schema 1 has more rows than are verified when it is opened.
#[test]
fn no_power_cut_while_a_journal_of_schema_1_is_taken_over_loses_a_row() {
    let folder = folder_in_memory();
    OldJournal::write(folder.path(), 60);
    let promises = Promises::of_schema_1(folder.path());
    power_cuts(folder.path(), &promises, Driven { parts: 3, events: 4, recoveries: 6 });
}

#[test]
#[ignore = "takes minutes; see the top of this file"]
fn no_power_cut_in_a_thousand_verdicts_loses_a_committed_one() {
    let folder = folder_in_memory();
    power_cuts(folder.path(), &Promises::default(), Driven { parts: 1_000, events: 750, recoveries: 200 });
}

#[test]
#[ignore = "takes minutes; see the top of this file"]
fn no_power_cut_while_a_journal_of_ten_thousand_rows_is_taken_over_loses_a_row() {
    let folder = folder_in_memory();
    OldJournal::write(folder.path(), 10_000);
    let promises = Promises::of_schema_1(folder.path());
    power_cuts(folder.path(), &promises, Driven { parts: 0, events: 0, recoveries: 1 });
}

/// What a driver does, and for about how many power cuts the recovery is cut too.
#[derive(Clone, Copy)]
struct Driven {
    parts: u64,
    events: usize,
    recoveries: usize,
}

/// Cuts the power after each call of a driver that writes to the journal in `folder`, whose promises before are `before`. For some of these
/// cuts, also cuts the power after each call of the recovery.
fn power_cuts(folder: &Path, before: &Promises, Driven { parts, events, recoveries }: Driven) {
    let begun = Instant::now();
    let disk = Disk::of(folder);
    let notes = drive(folder, parts, None);
    let after = promises_of(before.clone(), &notes);
    assert_eq!((after.committed(), after.recorded()), (parts as usize, events));
    let calls = notes.iter().filter(|note| !matches!(note.call, Call::Mark(_))).count();
    assert!(calls > 10 * parts as usize, "the trace has only {calls} calls: is the shim loaded?");
    let every = (notes.len() * FATES.len() / recoveries).max(1);
    let (points, cuts, inner_cuts) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for worker in 0..workers {
            let (notes, points, cuts, inner_cuts) = (&notes, &points, &cuts, &inner_cuts);
            let (disk, before) = (disk.clone(), before.clone());
            scope.spawn(move || {
                let mut progress = Instant::now();
                each_point(disk, before, notes, |point, disk, promises| {
                    if point % workers != worker {
                        return;
                    }
                    points.fetch_add(1, Ordering::Relaxed);
                    for (index, fate) in FATES.into_iter().enumerate() {
                        let number = point * FATES.len() + index;
                        cut(disk, promises, fate, number as u64);
                        cuts.fetch_add(1, Ordering::Relaxed);
                        if number % every == every / 2 {
                            inner_cuts.fetch_add(cut_recovery(disk, promises, number as u64), Ordering::Relaxed);
                        }
                    }
                    if worker == 0 && progress.elapsed() > Duration::from_secs(10) {
                        progress = Instant::now();
                        println!("call {point} of {}, {:.0} s", notes.len(), begun.elapsed().as_secs_f64());
                    }
                });
            });
        }
    });
    println!(
        "{parts} verdicts, {events} events, {calls} calls: {} points, {} power cuts, {} more during recovery; 0 lost, in {:.1} s",
        points.into_inner(),
        cuts.into_inner(),
        inner_cuts.into_inner(),
        begun.elapsed().as_secs_f64()
    );
}

/// Calls `each` with the disk and the promises before the first call, and after each call together with the marks that follow it.
fn each_point(mut disk: Disk, mut promises: Promises, notes: &[Note], mut each: impl FnMut(usize, &Disk, &Promises)) {
    each(0, &disk, &promises);
    for (index, note) in notes.iter().enumerate() {
        disk.apply(note);
        promises.apply(note);
        // A mark is a promise about the disk as it is now. All marks up to the next call are applied first.
        let changed_next = notes.get(index + 1).is_none_or(|next| !matches!(next.call, Call::Mark(_)));
        if changed_next {
            each(index + 1, &disk, &promises);
        }
    }
}

/// Makes one power cut and checks the promises.
fn cut(disk: &Disk, promises: &Promises, fate: Fate, seed: u64) {
    let check = |check: &dyn Fn(&Path) -> Result<(), String>| {
        let folder = folder_in_memory();
        disk.cut(folder.path(), fate, &mut ChaCha8Rng::seed_from_u64(seed));
        if let Err(broken) = check(folder.path()) {
            panic!("cut {seed}, unsynced data {fate:?}: {broken}");
        }
    };
    if let Some(old) = promises.old() {
        check(&|folder| old.check(folder));
    }
    check(&|folder| promises.check(folder));
}

/// Makes a random power cut, and more power cuts after each call of the recovery from that cut. Returns the
/// number of cuts during the recovery.
fn cut_recovery(disk: &Disk, promises: &Promises, seed: u64) -> usize {
    let folder = folder_in_memory();
    disk.cut(folder.path(), Fate::Random, &mut ChaCha8Rng::seed_from_u64(seed));
    let disk = Disk::of(folder.path());
    let notes = drive(folder.path(), 0, None);
    let mut cuts = 0;
    each_point(disk, promises.clone(), &notes, |point, disk, promises| {
        for fate in FATES {
            cuts += 1;
            cut(disk, promises, fate, seed.wrapping_mul(1_000_003).wrapping_add((point * 10 + cuts) as u64));
        }
    });
    cuts
}

/// Kills the driver before each call that can change a file, and after the first half of each write.
#[test]
fn no_kill_loses_a_committed_verdict_or_event() {
    let begun = Instant::now();
    let kills = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for how in ["kill", "kill-half"] {
            let kills = &kills;
            scope.spawn(move || {
                let killed = (1..).take_while(|&at| kill(Fault { at, how, stays: false }));
                kills.fetch_add(killed.count(), Ordering::Relaxed);
            });
        }
    });
    println!("{} kills; 0 lost, in {:.1} s", kills.into_inner(), begun.elapsed().as_secs_f64());
}

/// Kills the driver once and checks the promises. Returns false if the driver ended before.
fn kill(fault: Fault) -> bool {
    // The whole first bundle, and the start of the next one.
    const PARTS: u64 = 6;
    let folder = folder_in_memory();
    let notes = drive(folder.path(), PARTS, Some(fault));
    let Some((last, call)) = first_fault(&notes) else { return false };
    let context = format!("{} at call {} ({call} of {})", fault.how, fault.at, last.name);
    let before: Vec<Note> = notes.into_iter().take_while(|note| !matches!(note.call, Call::Failed(_))).collect();
    if let Err(broken) = promises_of(Promises::default(), &before).check(folder.path()) {
        panic!("{context}: {broken}");
    }
    true
}

/// How a call fails (`JOURNAL_SHIM_HOW` in shim.c), and whether all later calls fail too.
const FAULTS: [(&str, bool); 5] =
    [("eio", false), ("enospc", false), ("short", false), ("eio", true), ("enospc", true)];

/// Statistics on injected errors.
#[derive(Default)]
struct Statistics {
    /// The times from a failed call until the driver got an error.
    reported: Vec<Duration>,
    /// For each call by its name: how often the call failed, and how often the driver got no error although the call failed.
    calls: BTreeMap<String, [usize; 2]>,
}

#[test]
fn an_error_at_any_call_is_reported_and_loses_nothing() {
    let begun = Instant::now();
    let statistics = Mutex::new(Statistics::default());
    std::thread::scope(|scope| {
        for (how, stays) in FAULTS {
            let statistics = &statistics;
            scope.spawn(move || (1..).all(|at| fault(Fault { at, how, stays }, statistics)));
        }
    });
    let Statistics { mut reported, calls } = statistics.into_inner().unwrap();
    reported.sort();
    let (most, slowest) = (reported[reported.len() * 9 / 10], reported[reported.len() - 1]);
    println!("failed calls, and those of them without an error for the driver: {calls:?}");
    println!("reported after {most:?} (p90), {slowest:?} (maximum); total {:.1} s", begun.elapsed().as_secs_f64());
    // Hundreds of processes run, several at a time, so a process may have to wait for a core.
    assert!(most < Duration::from_millis(300) && slowest < Duration::from_secs(2), "{most:?}, {slowest:?}");
    for call in ["open", "read", "write", "ftruncate", "fdatasync", "unlink"] {
        assert!(calls.contains_key(call), "{call} never failed: {calls:?}");
    }
}

/// Starts the driver once with a failing call, and makes power cuts at some points of its trace. Returns false if the driver
/// ended before the call that would fail.
fn fault(fault: Fault, statistics: &Mutex<Statistics>) -> bool {
    const PARTS: u64 = 4;
    let folder = folder_in_memory();
    let notes = drive(folder.path(), PARTS, Some(fault));
    let Some((failed, call)) = first_fault(&notes) else { return false };
    let Fault { at, how, stays } = fault;
    let context = format!("{how} at call {at} ({call} of {}), stays: {stays}", failed.name);
    let promises = promises_of(Promises::default(), &notes);
    let reported = notes.iter().find(|note| is_trouble(note));
    // If no error was reported, SQLite did not need that call, and all verdicts must be committed.
    assert!(reported.is_some() || promises.committed() == PARTS as usize, "{context}: no error, but not all committed");
    {
        let mut statistics = statistics.lock().unwrap();
        let [times, silent] = statistics.calls.entry(call.to_owned()).or_default();
        *times += 1;
        *silent += usize::from(reported.is_none());
        statistics
            .reported
            .extend(reported.map(|note| Duration::from_nanos(note.time_ns.saturating_sub(failed.time_ns))));
    }
    // The process has ended. The promises must hold now, and after a power cut.
    if let Err(broken) = promises.check(folder.path()) {
        panic!("{context}: {broken}");
    }
    for loses in [false, true] {
        let mut disk = Disk::default();
        disk.failed_sync_loses = loses;
        let mut random = ChaCha8Rng::seed_from_u64(at);
        each_point(disk, Promises::default(), &notes, |point, disk, promises| {
            // About one point in 24, and the last one.
            if random.random_range(0..24) > 0 && point != notes.len() {
                return;
            }
            for fate in [Fate::Kept, Fate::Lost, Fate::Random] {
                let folder = folder_in_memory();
                disk.cut(folder.path(), fate, &mut random);
                if let Err(broken) = promises.check(folder.path()) {
                    panic!("{context}, failed syncs lose: {loses}, cut {point} {fate:?}: {broken}");
                }
            }
        });
    }
    true
}

/// The first call that the shim made fail, and its name.
fn first_fault(notes: &[Note]) -> Option<(&Note, &str)> {
    notes.iter().find_map(|note| match &note.call {
        Call::Failed(call) => Some((note, call.as_str())),
        _ => None,
    })
}

/// Whether the note is a mark that the driver got an error.
fn is_trouble(note: &Note) -> bool {
    matches!(&note.call, Call::Mark(text) if text == "not-ready" || text.starts_with("not-"))
}

/// The promises after these notes.
fn promises_of(mut promises: Promises, notes: &[Note]) -> Promises {
    notes.iter().for_each(|note| promises.apply(note));
    promises
}
