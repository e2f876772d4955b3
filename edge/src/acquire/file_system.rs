//! Finds out what kind of file system a folder is on. On some kinds, files appear and change without an inotify event.

use super::settle::SETTLED;
use rustix::io::Errno;
use std::fmt;
use std::path::Path;
use std::time::Duration;

/// How often a folder is listed if the Linux kernel does not report all files.
pub(super) const RESCAN: Duration = Duration::from_secs(1);

/// Who can change files on a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Changes {
    /// Only processes of this machine, through this file system. The Linux kernel reports each change.
    Here,
    /// Also processes that write to the layers below this file system. The Linux kernel does not report those writes.
    Below,
    /// Also other machines, or a program that serves the file system. The Linux kernel does not report those writes.
    Elsewhere,
}

/// Known kinds by their number in statfs(2), from the Linux kernel's `linux/magic.h` and the sources of the file systems.
const KINDS: [(u32, &str, Changes); 44] = [
    (0x0000_ef53, "ext", Changes::Here),
    (0x5846_5342, "xfs", Changes::Here),
    (0x9123_683e, "btrfs", Changes::Here),
    (0x0102_1994, "tmpfs", Changes::Here),
    (0x8584_58f6, "ramfs", Changes::Here),
    (0xf2f5_2010, "f2fs", Changes::Here),
    (0x2fc1_2fc1, "zfs", Changes::Here),
    (0xca45_1a4e, "bcachefs", Changes::Here),
    (0x0000_4d44, "vfat", Changes::Here),
    (0x2011_bab0, "exfat", Changes::Here),
    (0x7366_746e, "ntfs3", Changes::Here),
    (0x5346_544e, "ntfs", Changes::Here),
    (0x3153_464a, "jfs", Changes::Here),
    (0x5265_4973, "reiserfs", Changes::Here),
    (0x0000_3434, "nilfs", Changes::Here),
    (0x2405_1905, "ubifs", Changes::Here),
    (0x0000_72b6, "jffs2", Changes::Here),
    (0x1501_3346, "udf", Changes::Here),
    (0x0000_482b, "hfsplus", Changes::Here),
    (0x794c_7630, "overlay", Changes::Below),
    (0x6175_6673, "aufs", Changes::Below),
    (0x0000_f15f, "ecryptfs", Changes::Below),
    (0x0000_6969, "nfs", Changes::Elsewhere),
    (0xff53_4d42, "cifs", Changes::Elsewhere),
    (0xfe53_4d42, "smb2", Changes::Elsewhere),
    (0x0000_517b, "smb", Changes::Elsewhere),
    (0x0000_564c, "ncp", Changes::Elsewhere),
    (0x6573_5546, "fuse", Changes::Elsewhere),
    (0x0102_1997, "9p", Changes::Elsewhere),
    (0x786f_4256, "vboxsf", Changes::Elsewhere),
    (0xbacb_acbc, "vmhgfs", Changes::Elsewhere),
    (0x7c7c_6673, "prl_fs", Changes::Elsewhere),
    (0x00c0_ffee, "hostfs", Changes::Elsewhere),
    (0x00c3_6400, "ceph", Changes::Elsewhere),
    (0x5346_414f, "afs", Changes::Elsewhere),
    (0x6b41_4653, "afs", Changes::Elsewhere),
    (0x7375_7245, "coda", Changes::Elsewhere),
    (0x0bd0_0bd0, "lustre", Changes::Elsewhere),
    (0x4750_4653, "gpfs", Changes::Elsewhere),
    (0x1983_0326, "beegfs", Changes::Elsewhere),
    (0x2003_0528, "orangefs", Changes::Elsewhere),
    (0x7461_636f, "ocfs2", Changes::Elsewhere),
    (0x0116_1970, "gfs2", Changes::Elsewhere),
    (0x0000_0187, "autofs", Changes::Elsewhere),
];

/// The file system that a folder is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileSystem {
    number: u32,
    /// `None` if the kind is not known.
    kind: Option<(&'static str, Changes)>,
}

impl FileSystem {
    /// The file system of the file or folder at `path`.
    ///
    /// # Errors
    /// The error of statfs(2).
    pub fn of(path: &Path) -> Result<Self, Errno> {
        let found = rustix::fs::statfs(path)?;
        // The Linux kernel's numbers have 32 bits. The width of the field depends on the architecture.
        Ok(Self::of_number(found.f_type as u32))
    }

    fn of_number(number: u32) -> Self {
        let known = KINDS.iter().find(|(known, ..)| *known == number);
        Self { number, kind: known.map(|(_, name, changes)| (*name, *changes)) }
    }

    /// Whether the Linux kernel reports every file that appears. False for an unknown kind.
    #[must_use]
    pub fn reports_all(&self) -> bool {
        matches!(self.kind, Some((_, Changes::Here)))
    }

    /// Whether a file can be open for writing without this machine's Linux kernel knowing it.
    pub(super) fn has_unseen_writers(&self) -> bool {
        !matches!(self.kind, Some((_, Changes::Here | Changes::Below)))
    }

    /// What this kind of file system means for a scanner's folder, as a text for people. `None` if the Linux kernel reports
    /// every file.
    #[must_use]
    pub fn consequence(&self) -> Option<String> {
        let unseen = match self.kind {
            Some((_, Changes::Here)) => return None,
            Some((_, Changes::Below)) => "files written to the layers below it",
            Some((_, Changes::Elsewhere)) => "files written by other machines",
            None => "any file, as far as is known",
        };
        let (rescan_s, settled_s) = (RESCAN.as_secs(), SETTLED.as_secs());
        let cached = if self.has_unseen_writers() {
            ". The mount must not cache attributes for longer than 1 s (NFS, CIFS: actimeo=1)"
        } else {
            ""
        };
        Some(format!(
            "{self}: the Linux kernel does not report {unseen}. The folder is listed every {rescan_s} s. An image without an event \
             arrives once it is unchanged for {settled_s} s, at most {} s after its last write{cached}. If that is too late \
             for the line, let the scanner write to a local disk",
            settled_s + 2 * rescan_s
        ))
    }
}

impl fmt::Display for FileSystem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Some((name, _)) => out.pad(name),
            None => write!(out, "a file system of type {:#x}", self.number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn only_known_local_kinds_report_all_files() {
        // ext, btrfs, overlay, nfs, cifs, fuse, and a number that no known file system has.
        for (number, reports_all, has_unseen_writers) in [
            (0xef53, true, false),
            (0x9123_683e, true, false),
            (0x794c_7630, false, false),
            (0x6969, false, true),
            (0xff53_4d42, false, true),
            (0x6573_5546, false, true),
            (0x1234_5678, false, true),
        ] {
            let found = FileSystem::of_number(number);
            assert_eq!((found.reports_all(), found.has_unseen_writers()), (reports_all, has_unseen_writers), "{found}");
            assert_eq!(found.consequence().is_none(), reports_all, "{found}");
        }
        let consequences = [0x794c_7630, 0x6969, 0x1234_5678].map(|number| FileSystem::of_number(number).consequence());
        insta::assert_snapshot!("consequences", consequences.map(Option::unwrap).join("\n"));
        let numbers: BTreeSet<_> = KINDS.iter().map(|(number, ..)| number).collect();
        assert_eq!(numbers.len(), KINDS.len(), "a number is listed twice");
    }

    #[test]
    fn the_kind_of_a_folder_is_read_from_the_system() {
        // The number of procfs, which is not in `KINDS`.
        assert_eq!(FileSystem::of(Path::new("/proc")).unwrap().number, 0x9fa0);
        assert!(!FileSystem::of(Path::new("/proc")).unwrap().reports_all());
        assert_eq!(FileSystem::of(Path::new("/dev/shm")).unwrap().to_string(), "tmpfs");
        assert_eq!(FileSystem::of(Path::new("/there/is/nothing")), Err(Errno::NOENT));
    }
}
