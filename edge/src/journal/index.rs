//! A full disk that refuses a page of SQLite's index of the log (`-shm`).
//!
//! SQLite shares that index between processes as a memory-mapped file. Where a page of it needs a block when it is written
//! to (btrfs at each write after a write-back, ext4 with blocks below 4 KiB, holes anywhere), a full disk answers a plain
//! store with SIGBUS, which ends the process. Reserving the blocks beforehand does not help on a file system that copies on
//! write. `locking_mode=EXCLUSIVE` does without the file, but then no other process can read the journal. A rollback
//! journal needs no index, but any reader would hold up verdicts.
//!
//! So the signal is caught here. While a thread works with SQLite ([`watched`]), a refused page makes the whole index a copy
//! in this process's own memory: same addresses, same bytes. SQLite ends its transaction on the copy, and the caller treats
//! the transaction as failed, closes the database, and opens it anew when there is room.
//!
//! - Other processes keep the index as it was before that transaction: SQLite publishes a transaction by writing the index's
//!   first page last, and from the refused page on nothing of it reaches the file.
//! - Nothing was acknowledged: what the transaction left in the log is found, or written over, when the journal is opened
//!   anew.
//! - A log is cut only after all of it was moved into the database and the index's file says so: else other processes would look
//!   for rows in a log that is empty.
//! - Only a page that can be read is replaced. Where it can't (the file was cut, the disk failed), going on could lose rows;
//!   then, and in any other thread or mapping, the process ends as it would have without this.
//!
//! A reader never writes to the index, so no disk is too full for it. Where a page that it reads is gone ([`watched_reading`]), it
//! reads zeros, and all that it read is thrown away.

#![expect(unsafe_code, reason = "a signal's handler and mapped memory have no safe interface")]

use std::cell::Cell;
use std::mem::{self, MaybeUninit};
use std::ptr;
use std::sync::OnceLock;

/// What this thread does with SQLite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Watch {
    Off,
    /// It writes the index: its bytes are kept.
    Writing,
    /// It only reads it: nothing that it reads from then on counts.
    Reading,
}

thread_local! {
    // Constant and without a destructor, so that the handler may use them.
    static WATCH: Cell<Watch> = const { Cell::new(Watch::Off) };
    static IS_REFUSED: Cell<bool> = const { Cell::new(false) };
}

/// Does `work` with SQLite in this thread.
///
/// # Errors
/// Those of `work`, and that the disk is full, where it refused a page of an index meanwhile: whatever `work` says then is not
/// to be trusted, and its connection is to be closed.
pub(super) fn watched<T, E: From<rusqlite::Error>>(work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    let _watching = Watching::begin(Watch::Writing);
    let outcome = work();
    is_whole()?;
    outcome
}

/// For long [`watched`] work: whether the disk has refused no page of an index so far.
///
/// # Errors
/// As [`watched`].
pub(super) fn is_whole() -> rusqlite::Result<()> {
    if IS_REFUSED.get() {
        let full = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL);
        let what = "the disk has no room for a page of the index beside the journal, -shm".to_owned();
        return Err(rusqlite::Error::SqliteFailure(full, Some(what)));
    }
    Ok(())
}

/// A page of the index was gone while it was read: the file was cut, or the disk failed.
#[derive(Debug)]
pub(super) struct Gone;

/// Does `work` in this thread, which only reads with SQLite.
///
/// # Errors
/// [`Gone`]: whatever `work` says then is not to be trusted, and its connection is to be closed.
pub(super) fn watched_reading<T>(work: impl FnOnce() -> T) -> Result<T, Gone> {
    let _watching = Watching::begin(Watch::Reading);
    let outcome = work();
    if IS_REFUSED.get() { Err(Gone) } else { Ok(outcome) }
}

/// Until it is dropped, also where `work` panics.
struct Watching(Watch, bool);

impl Watching {
    fn begin(watch: Watch) -> Self {
        install();
        Self(WATCH.replace(watch), IS_REFUSED.replace(false))
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        WATCH.set(self.0);
        IS_REFUSED.set(self.1);
    }
}

/// The action for SIGBUS that was there before: the standard library's, or the system's.
static BEFORE: OnceLock<libc::sigaction> = OnceLock::new();

/// Installs the handler, once in a process.
fn install() {
    BEFORE.get_or_init(|| {
        let mut before = MaybeUninit::<libc::sigaction>::zeroed();
        // SAFETY: the pointers lead to structures of the right type that live through the calls. An action of zeroes is a
        // valid one, and the handler has the signature that SA_SIGINFO asks for.
        unsafe {
            libc::sigaction(libc::SIGBUS, ptr::null(), before.as_mut_ptr());
            let mut action: libc::sigaction = mem::zeroed();
            action.sa_sigaction = handle as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART;
            libc::sigemptyset(&raw mut action.sa_mask);
            libc::sigaction(libc::SIGBUS, &raw const action, ptr::null_mut());
            before.assume_init()
        }
    });
}

/// The handler. It calls only what may be called in one: system calls, and functions that don't allocate.
extern "C" fn handle(_signal: i32, about: *mut libc::siginfo_t, _context: *mut libc::c_void) {
    /// There is no such page: what a full disk, a cut file and a failing disk have in common.
    const BUS_ADRERR: i32 = 2;
    // SAFETY: the kernel gives a valid `about`, with an address for this signal; errno is this thread's own.
    let (address, code, errno) = unsafe { ((*about).si_addr() as usize, (*about).si_code, *libc::__errno_location()) };
    let replaced = match WATCH.get() {
        Watch::Writing if code == BUS_ADRERR => detach(address, true, replace),
        Watch::Reading if code == BUS_ADRERR => detach(address, false, blank),
        _ => None,
    };
    if replaced.is_some() {
        IS_REFUSED.set(true);
    } else {
        // After the return the store is tried again, and its signal goes to the handler that was there before.
        // SAFETY: both are valid actions; one of zeroes is the system's own.
        unsafe {
            let system: libc::sigaction = mem::zeroed();
            libc::sigaction(libc::SIGBUS, BEFORE.get().unwrap_or(&system), ptr::null_mut());
        }
    }
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = errno };
}

/// A shared mapping of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Mapping {
    start: usize,
    end: usize,
    /// Which file: its device's two numbers, its own.
    file: [u64; 3],
    is_writable: bool,
}

/// Puts something else in the place of all such mappings of the file that is mapped at `address`; none where that can't be done.
fn detach(address: usize, is_writable: bool, put: fn(&Mapping) -> Option<()>) -> Option<()> {
    let hit = mapping(|mapping| mapping.is_writable == is_writable && (mapping.start..mapping.end).contains(&address))?;
    while let Some(mapping) = mapping(|mapping| mapping.is_writable == is_writable && mapping.file == hit.file) {
        put(&mapping)?;
    }
    Some(())
}

/// Puts zeros in the mapping's place.
fn blank(mapping: &Mapping) -> Option<()> {
    let (length, flags) = (mapping.end - mapping.start, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED);
    // SAFETY: the memory there has the same length and can be read, not written, before and after; whoever mapped it can unmap it
    // as before. It is the index of a log, which may change at any time anyway.
    let put = unsafe { libc::mmap(mapping.start as *mut libc::c_void, length, libc::PROT_READ, flags, -1, 0) };
    (put != libc::MAP_FAILED).then_some(())
}

/// Puts a copy of its bytes in the mapping's place; none, and nothing changed, where a byte can't be read.
fn replace(mapping: &Mapping) -> Option<()> {
    let length = mapping.end - mapping.start;
    let own = Descriptor::open(c"/proc/self/mem")?;
    let (read_write, private) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping, wherever the kernel has room for it.
    let copy = unsafe { libc::mmap(ptr::null_mut(), length, read_write, private, -1, 0) };
    if copy == libc::MAP_FAILED {
        return None;
    }
    // Read as a file: a page that can't be read is an error here, not a second signal.
    // SAFETY: `copy` is `length` bytes of our own that nobody else knows.
    let read = unsafe { libc::pread(own.0, copy, length, i64::try_from(mapping.start).ok()?) };
    if usize::try_from(read) == Ok(length) {
        // SAFETY: `copy` goes to where `mapping` was. That has the same length, is writable memory before and after, holds
        // the same bytes, and whoever mapped it can unmap it as before. Only this thread uses it: a connection of SQLite
        // belongs to one thread here.
        let moved = unsafe {
            libc::mremap(
                copy,
                length,
                length,
                libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED,
                mapping.start as *mut libc::c_void,
            )
        };
        if moved != libc::MAP_FAILED {
            return Some(());
        }
    }
    // SAFETY: nobody else knows it.
    unsafe { libc::munmap(copy, length) };
    None
}

/// A file that is open for reading. The standard library's allocates for its path.
struct Descriptor(i32);

impl Descriptor {
    fn open(path: &std::ffi::CStr) -> Option<Self> {
        // SAFETY: the path ends with a NUL.
        let descriptor = unsafe { libc::open(path.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) };
        (descriptor >= 0).then_some(Self(descriptor))
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        // SAFETY: it is open, and ours.
        unsafe { libc::close(self.0) };
    }
}

/// The first shared mapping of a file that `is_it`.
fn mapping(is_it: impl Fn(&Mapping) -> bool) -> Option<Mapping> {
    let list = Descriptor::open(c"/proc/self/maps")?;
    let mut lines = Lines::default();
    let mut bytes = [0_u8; 1024];
    loop {
        // SAFETY: `bytes` is that long.
        let read = unsafe { libc::read(list.0, bytes.as_mut_ptr().cast(), bytes.len()) };
        let read = usize::try_from(read).ok().filter(|&read| read > 0)?;
        if let Some(found) = bytes[..read].iter().filter_map(|&byte| lines.feed(byte)).find(&is_it) {
            return Some(found);
        }
    }
}

/// Reads lines of `/proc/self/maps`, such as `7f0a-7f0b rw-s 00000000 fd:01 1234   /var/journal-shm`, byte by byte.
#[derive(Debug, Default)]
struct Lines {
    /// Which word of the line this is.
    word: usize,
    number: u64,
    is_shared: bool,
    mapping: Mapping,
}

impl Lines {
    /// Takes the next byte; the mapping at the end of its line, where it is a shared one of a file.
    fn feed(&mut self, byte: u8) -> Option<Mapping> {
        let digit = |radix| (byte as char).to_digit(radix).map(u64::from);
        match (self.word, byte) {
            (_, b'\n') => {
                let line = mem::take(self);
                return (line.is_shared && line.mapping.file[2] != 0).then_some(line.mapping);
            }
            (0, b'-') => self.mapping.start = mem::take(&mut self.number) as usize,
            (0, b' ') => self.mapping.end = mem::take(&mut self.number) as usize,
            (3, b':') => self.mapping.file[0] = mem::take(&mut self.number),
            (3, b' ') => self.mapping.file[1] = mem::take(&mut self.number),
            (4, b' ') => self.mapping.file[2] = mem::take(&mut self.number),
            (1, b'w') => self.mapping.is_writable = true,
            (1, b's') => self.is_shared = true,
            (0 | 3, _) => self.number = self.number << 4 | digit(16).unwrap_or(0),
            (4, _) => self.number = self.number.wrapping_mul(10).wrapping_add(digit(10).unwrap_or(0)),
            _ => {}
        }
        self.word += usize::from(byte == b' ');
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::Error;
    use std::fs::{self, File};
    use std::io::Write as _;
    use std::os::fd::AsRawFd as _;
    use std::os::unix::process::ExitStatusExt as _;
    use std::path::Path;
    use std::process::Command;

    const PAGE: usize = 4096;
    const PAGES: usize = 8;

    #[test]
    fn shared_files_are_found_among_the_mappings() {
        let text = b"00400000-00452000 r-xp 00000000 08:02 173521      /usr/bin/dbus-daemon\n\
            7f00-7f10 rw-s 00000000 fd:1a 173522                   /a b/journal-shm (deleted)\n\
            7f10-7f20 rw-p 00000000 00:00 0 \n\
            7f20-7f30 r--s 00008000 fd:1a 173522 /a\n";
        let mut lines = Lines::default();
        let found: Vec<_> = text.iter().filter_map(|&byte| lines.feed(byte)).collect();
        let file = [0xfd, 0x1a, 173_522];
        let expected = [(0x7f00, 0x7f10, true), (0x7f20, 0x7f30, false)].map(|(start, end, is_writable)| Mapping {
            start,
            end,
            file,
            is_writable,
        });
        assert_eq!(found, expected);
    }

    /// Runs [`child`] in a process of its own, on a small disk; none where this user can't make one.
    fn on_a_full_disk(what: &str) -> Option<std::process::ExitStatus> {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("image");
        File::create(&image).unwrap().set_len(1 << 20).unwrap();
        let script = "mkfs.ext4 -q -F -b 1024 \"$1/image\" && mount -o loop \"$1/image\" \"$1\" || exit 77
            exec \"$2\" --exact \"$3\" --nocapture";
        let status = Command::new("unshare")
            .args(["--mount", "sh", "-c", script, "sh"])
            .arg(folder.path())
            .arg(std::env::current_exe().unwrap())
            .arg("journal::index::tests::child")
            .envs([("INDEX_TEST_DISK", folder.path().as_os_str()), ("INDEX_TEST", what.as_ref())])
            .status()
            .ok()?;
        Some(status).filter(|status| status.code() != Some(77))
    }

    /// Not a test by itself: what [`on_a_full_disk`] runs.
    #[test]
    fn child() {
        let Some(folder) = std::env::var_os("INDEX_TEST_DISK") else { return };
        let path = Path::new(&folder).join("index");
        let file = File::options().create(true).truncate(true).read(true).write(true).open(&path).unwrap();
        file.set_len((PAGE * PAGES) as u64).unwrap();
        let maps = [map(&file, 0, PAGES / 2), map(&file, PAGES / 2, PAGES / 2)];
        let put = |page: usize| {
            let at = maps[page / (PAGES / 2)] + page % (PAGES / 2) * PAGE;
            // SAFETY: within the mappings, which only this thread uses.
            unsafe { ptr::write_volatile(at as *mut u8, 1 + page as u8) };
        };
        let put_all = |pages: &[usize]| {
            watched(|| {
                pages.iter().for_each(|&page| put(page));
                Ok::<_, Error>(())
            })
        };
        put_all(&[5]).unwrap();
        let mut fill = File::create(Path::new(&folder).join("fill")).unwrap();
        while fill.write(&[1; 1024]).is_ok_and(|written| written > 0) {}
        match std::env::var("INDEX_TEST").unwrap().as_str() {
            "refused" => {
                let found = put_all(&[0, 1, 2, 3, 4, 5, 6, 7]);
                assert!(matches!(found, Err(Error::SqliteFailure(error, _)) if error.extended_code == 13), "{found:?}");
                // What was there and what was written since are here; nothing of the latter is in the file.
                // SAFETY: as above.
                let seen = |page: usize| unsafe { *((maps[page / 4] + page % 4 * PAGE) as *const u8) };
                assert!((0..PAGES).all(|page| seen(page) == 1 + page as u8));
                let bytes = fs::read(&path).unwrap();
                assert!((0..PAGES).all(|page| bytes[page * PAGE] == if page == 5 { 6 } else { 0 }));
                put_all(&[]).unwrap();
            }
            "cut" => {
                file.set_len(PAGE as u64).unwrap();
                let _ = put_all(&[2]);
            }
            _ => put(2),
        }
    }

    fn map(file: &File, page: usize, pages: usize) -> usize {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let offset = (page * PAGE) as i64;
        // SAFETY: a new mapping.
        let map = unsafe {
            libc::mmap(ptr::null_mut(), pages * PAGE, protection, libc::MAP_SHARED, file.as_raw_fd(), offset)
        };
        assert_ne!(map, libc::MAP_FAILED);
        map as usize
    }

    #[test]
    fn a_page_that_the_disk_refuses_is_an_error_and_what_cannot_be_read_or_is_not_watched_ends_the_process() {
        let Some(refused) = on_a_full_disk("refused") else {
            return cellgate_test_support::skipped("a small disk needs root, mkfs.ext4 and a loop device");
        };
        assert!(refused.success(), "{refused}");
        for what in ["cut", "unwatched"] {
            let ended = on_a_full_disk(what).unwrap();
            assert_eq!(ended.signal(), Some(libc::SIGBUS), "{what}: {ended}");
        }
    }
}
