//! Keeps the process alive when a full disk refuses a page of SQLite's WAL index (`-shm`).
//!
//! SQLite shares this index between processes as a memory-mapped file. On a full disk, a store to a page that needs a new block
//! fails with SIGBUS, which ends the process. Such pages occur on btrfs at each write after a write-back, on ext4 and XFS with
//! blocks below 4 KiB, and in holes of any file. JOURNAL.md lists the alternatives and why they were not chosen.
//!
//! This module catches the signal. While a thread works with SQLite in [`watched`], a refused page makes the whole index a
//! private copy in this process's memory, with the same addresses and bytes. SQLite finishes its transaction on the copy. The
//! caller treats the transaction as failed, closes the journal, and reopens it when there is space.
//!
//! - Other processes keep the index as it was before that transaction. SQLite publishes a transaction by writing the first page
//!   of the index last, and nothing after the refused page reaches the file.
//! - No row was acknowledged. What the transaction left in the WAL is found or overwritten when the journal is reopened.
//! - The WAL is truncated only after all of it is in the database file and the file of the index shows that. Otherwise other
//!   processes would look for rows in an empty WAL.
//! - A writing thread continues only if all of the index can still be read. If a page can't be read (the file was truncated, the
//!   disk failed), continuing could lose rows. So the process ends then, as it does for a SIGBUS in any other thread or mapping.
//!
//! A reader never writes to the index, so a full disk does not affect it. If a page that a reader needs is gone, the whole index
//! becomes zeros in this process, and [`watched_reading`] discards everything that the reader has read.

#![expect(unsafe_code, reason = "a signal's handler and mapped memory have no safe interface")]

use std::cell::Cell;
use std::mem::{self, MaybeUninit};
use std::ptr;
use std::sync::OnceLock;

/// How this thread uses SQLite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Watch {
    Off,
    /// The thread may write to the index. If a page is refused, the whole index is replaced by a private copy.
    Writing,
    /// The thread only reads the index. If a page is gone, the whole index is replaced by zeros.
    Reading,
}

thread_local! {
    // A signal handler may use both values, because they are initialised by constants and have no destructor.
    static WATCH: Cell<Watch> = const { Cell::new(Watch::Off) };
    /// Whether a page of an index was refused or gone since [`Watching::begin`].
    static IS_REFUSED: Cell<bool> = const { Cell::new(false) };
}

/// Does `work`, which may write with SQLite, in this thread.
///
/// # Errors
/// Those of `work`. `SQLITE_FULL` if the disk refused a page of an index meanwhile: then the result of `work` is discarded, and
/// the caller must close its connection.
pub(super) fn watched<T, E: From<rusqlite::Error>>(work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    let _watching = Watching::begin(Watch::Writing);
    let outcome = work();
    check_intact()?;
    outcome
}

/// Checks that the disk has refused no page of an index so far. Called within the work of [`watched`].
///
/// # Errors
/// As [`watched`].
pub(super) fn check_intact() -> rusqlite::Result<()> {
    if IS_REFUSED.get() {
        let full = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL);
        let what = "the disk has no space for a page of the index beside the journal (-shm)".to_owned();
        return Err(rusqlite::Error::SqliteFailure(full, Some(what)));
    }
    Ok(())
}

/// A page of the index was gone when it was read: the file was truncated, or the disk failed.
#[derive(Debug)]
pub(super) struct Gone;

/// Does `work`, which only reads with SQLite, in this thread.
///
/// # Errors
/// [`Gone`]: the result of `work` is discarded, and the caller must close its connection.
pub(super) fn watched_reading<T>(work: impl FnOnce() -> T) -> Result<T, Gone> {
    let _watching = Watching::begin(Watch::Reading);
    let outcome = work();
    if IS_REFUSED.get() { Err(Gone) } else { Ok(outcome) }
}

/// As long as this value exists, the thread is watched. It holds the values that [`WATCH`] and [`IS_REFUSED`] had before. Its
/// drop restores them, also after a panic.
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

/// The previous action for SIGBUS: that of the standard library, or the system's default.
static BEFORE: OnceLock<libc::sigaction> = OnceLock::new();

/// Installs the handler, once per process.
fn install() {
    BEFORE.get_or_init(|| {
        let mut before = MaybeUninit::<libc::sigaction>::zeroed();
        // SAFETY: the pointers lead to structures of the right type that live through the calls. An action of zeroes is valid,
        // and the handler has the signature that SA_SIGINFO requires.
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

/// The signal handler. It only makes system calls and calls functions that don't allocate.
extern "C" fn handle(_signal: i32, about: *mut libc::siginfo_t, _context: *mut libc::c_void) {
    /// The signal's reason, `si_code`, if the page does not exist: the disk is full, the file was truncated, or the disk
    /// failed.
    const BUS_ADRERR: i32 = 2;
    // SAFETY: the Linux kernel gives a valid `about`, with an address for this signal; errno is this thread's own.
    let (address, code, errno) = unsafe { ((*about).si_addr() as usize, (*about).si_code, *libc::__errno_location()) };
    let replaced = match WATCH.get() {
        Watch::Writing if code == BUS_ADRERR => detach(address, true, replace),
        Watch::Reading if code == BUS_ADRERR => detach(address, false, blank),
        _ => None,
    };
    if replaced.is_some() {
        IS_REFUSED.set(true);
    } else {
        // After the return the CPU repeats the access, and the new signal goes to the previous handler. SAFETY: both are valid
        // actions; an action of zeroes is the system's default.
        unsafe {
            let system: libc::sigaction = mem::zeroed();
            libc::sigaction(libc::SIGBUS, BEFORE.get().unwrap_or(&system), ptr::null_mut());
        }
    }
    // SAFETY: errno is this thread's own.
    unsafe { *libc::__errno_location() = errno };
}

/// A shared mapping of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Mapping {
    start: usize,
    end: usize,
    /// The file: the major and minor device number of its file system, and its inode.
    file: [u64; 3],
    is_writable: bool,
}

/// Replaces, with `put`, all mappings of the file that is mapped at `address`. Only mappings with this `is_writable` count.
/// `None` if a mapping can't be replaced.
fn detach(address: usize, is_writable: bool, put: fn(&Mapping) -> Option<()>) -> Option<()> {
    let hit =
        find_mapping(|mapping| mapping.is_writable == is_writable && (mapping.start..mapping.end).contains(&address))?;
    while let Some(mapping) = find_mapping(|mapping| mapping.is_writable == is_writable && mapping.file == hit.file) {
        put(&mapping)?;
    }
    Some(())
}

/// Replaces the mapping by zeros.
fn blank(mapping: &Mapping) -> Option<()> {
    let (length, flags) = (mapping.end - mapping.start, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED);
    // SAFETY: the memory has the same length and is read-only before and after; its owner can unmap it as before. It is a WAL
    // index, whose content may change at any time anyway.
    let put = unsafe { libc::mmap(mapping.start as *mut libc::c_void, length, libc::PROT_READ, flags, -1, 0) };
    (put != libc::MAP_FAILED).then_some(())
}

/// Replaces the mapping by a private copy of its bytes. `None`, and nothing is changed, if a byte can't be read.
fn replace(mapping: &Mapping) -> Option<()> {
    let length = mapping.end - mapping.start;
    let own = Descriptor::open(c"/proc/self/mem")?;
    let (read_write, private) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping at an address that the Linux kernel chooses.
    let copy = unsafe { libc::mmap(ptr::null_mut(), length, read_write, private, -1, 0) };
    if copy == libc::MAP_FAILED {
        return None;
    }
    // Reads through a file, so that an unreadable page is an error and not a second signal.
    // SAFETY: `copy` is `length` bytes that only this function knows.
    let read = unsafe { libc::pread(own.0, copy, length, i64::try_from(mapping.start).ok()?) };
    if usize::try_from(read) == Ok(length) {
        // SAFETY: `copy` moves to the address of `mapping`. The memory there has the same length and bytes, is writable before
        // and after, and its owner can unmap it as before. Only this thread uses it, as each SQLite connection belongs to one
        // thread.
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
    // SAFETY: only this function knows `copy`.
    unsafe { libc::munmap(copy, length) };
    None
}

/// A file that is open for reading. The standard library's `File` would allocate, which a signal handler may not.
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
        // SAFETY: the descriptor is open and owned by this value.
        unsafe { libc::close(self.0) };
    }
}

/// The first shared mapping of a file for which `is_wanted` is true.
fn find_mapping(is_wanted: impl Fn(&Mapping) -> bool) -> Option<Mapping> {
    let list = Descriptor::open(c"/proc/self/maps")?;
    let mut parser = MapsParser::default();
    let mut bytes = [0_u8; 1024];
    loop {
        // SAFETY: the length is that of `bytes`.
        let read = unsafe { libc::read(list.0, bytes.as_mut_ptr().cast(), bytes.len()) };
        let read = usize::try_from(read).ok().filter(|&read| read > 0)?;
        if let Some(found) = bytes[..read].iter().filter_map(|&byte| parser.feed(byte)).find(&is_wanted) {
            return Some(found);
        }
    }
}

/// Parses the text of `/proc/self/maps` byte by byte, without allocating. It has one line of text for each mapping, such as
/// `7f0a-7f0b rw-s 00000000 fd:01 1234   /var/journal-shm`.
#[derive(Debug, Default)]
struct MapsParser {
    /// The number of the current word in its line of text, from 0.
    word: usize,
    /// The number that the digits of this word have given so far.
    number: u64,
    is_shared: bool,
    mapping: Mapping,
}

impl MapsParser {
    /// Takes the next byte. At the end of a line of text, returns its mapping if that is a shared mapping of a file.
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
        let mut parser = MapsParser::default();
        let found: Vec<_> = text.iter().filter_map(|&byte| parser.feed(byte)).collect();
        let file = [0xfd, 0x1a, 173_522];
        let expected = [(0x7f00, 0x7f10, true), (0x7f20, 0x7f30, false)].map(|(start, end, is_writable)| Mapping {
            start,
            end,
            file,
            is_writable,
        });
        assert_eq!(found, expected);
    }

    /// Runs [`child`] in another process on a small disk. `None` if this user can't mount one.
    fn on_a_full_disk(what: &str) -> Option<std::process::ExitStatus> {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("image");
        File::create(&image).unwrap().set_len(1 << 20).unwrap();
        // Status 77 says that this user can't mount the disk.
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

    /// Not a test: the process that [`on_a_full_disk`] runs.
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
                assert!(
                    matches!(found, Err(Error::SqliteFailure(error, _)) if error.extended_code == rusqlite::ffi::SQLITE_FULL),
                    "{found:?}"
                );
                // The memory holds the old and the new bytes; the file holds only the old ones.
                // SAFETY: within the mappings, which only this thread uses.
                let seen = |page: usize| unsafe { *((maps[page / 4] + page % 4 * PAGE) as *const u8) };
                assert!((0..PAGES).all(|page| seen(page) == 1 + page as u8));
                let bytes = fs::read(&path).unwrap();
                assert!((0..PAGES).all(|page| bytes[page * PAGE] == if page == 5 { 6 } else { 0 }));
                put_all(&[]).unwrap();
            }
            // The page can't be read, because the file ends before it.
            "cut" => {
                file.set_len(PAGE as u64).unwrap();
                let _ = put_all(&[2]);
            }
            // "unwatched": a store outside of `watched`.
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
    fn a_refused_page_is_an_error_and_an_unreadable_or_unwatched_one_ends_the_process() {
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
