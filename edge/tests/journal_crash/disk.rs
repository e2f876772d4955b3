//! Simulates the content of a disk after a power cut. It has all data that was synced. Of the data that was not synced it may have
//! all, some or nothing.

use crate::trace::{Call, Note};
use rand::{Rng, RngExt};
use std::collections::BTreeMap;
use std::path::Path;

/// A disk writes a sector of this many bytes completely or not at all.
const SECTOR: usize = 512;

/// A simulated disk: its files, with the writes to them that were not synced.
#[derive(Clone, Default)]
pub(crate) struct Disk {
    files: Vec<File>,
    /// The names as the program sees them, each with its index in `files`.
    names: BTreeMap<String, usize>,
    /// The names that were synced, each with its index in `files`.
    durable_names: BTreeMap<String, usize>,
    /// Whether a failed sync discards the data that it should have written, as on Linux.
    pub(crate) failed_sync_loses: bool,
}

#[derive(Clone, Default)]
struct File {
    /// The content that was synced.
    durable: Vec<u8>,
    /// The changes since the last sync, oldest first.
    pending: Vec<Pending>,
}

#[derive(Clone)]
enum Pending {
    Write { offset: usize, data: Vec<u8> },
    Truncate { length: usize },
}

/// What happens to data that was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Kept,
    Lost,
    /// Each write and each change of a name is kept, lost, or torn at sectors, at random.
    Random,
}

impl Disk {
    /// A disk with the files of `folder`. Their names and content are durable.
    pub(crate) fn of(folder: &Path) -> Self {
        let mut disk = Self::default();
        for file in std::fs::read_dir(folder).unwrap() {
            let file = file.unwrap();
            let name = file.file_name().into_string().unwrap();
            disk.names.insert(name, disk.files.len());
            disk.files.push(File { durable: std::fs::read(file.path()).unwrap(), pending: Vec::new() });
        }
        disk.durable_names.clone_from(&disk.names);
        disk
    }

    /// Applies the next call of the program.
    pub(crate) fn apply(&mut self, note: &Note) {
        let file = self.names.get(&note.name).copied();
        match &note.call {
            Call::Created => {
                self.names.insert(note.name.clone(), self.files.len());
                self.files.push(File::default());
            }
            Call::Unlinked => {
                self.names.remove(&note.name);
            }
            Call::Written { offset, data } => {
                self.files[file.unwrap()].pending.push(Pending::Write { offset: *offset, data: data.clone() });
            }
            Call::Truncated { length } => {
                self.files[file.unwrap()].pending.push(Pending::Truncate { length: *length });
            }
            // A sync of the folder makes its names durable, but not the content of the files.
            Call::Synced if note.name.is_empty() => self.durable_names.clone_from(&self.names),
            Call::Synced => {
                let file = &mut self.files[file.unwrap()];
                for pending in std::mem::take(&mut file.pending) {
                    pending.land(&mut file.durable);
                }
            }
            Call::SyncFailed => {
                if self.failed_sync_loses && !note.name.is_empty() {
                    self.files[file.unwrap()].pending.clear();
                }
            }
            Call::Mark(_) | Call::Failed(_) => {}
        }
    }

    /// Writes the content of the disk after a power cut into an empty folder. The WAL index (-shm) is never synced, and the first
    /// process that opens the journal recreates it. So here the index is missing or, with [`Fate::Random`], sometimes garbage. The
    /// lock file is omitted, and so is the file `marks`, which only the shim reads.
    pub(crate) fn cut(&self, folder: &Path, fate: Fate, random: &mut impl Rng) {
        let mut names = if fate == Fate::Kept { self.names.clone() } else { self.durable_names.clone() };
        if fate == Fate::Random {
            let both: Vec<_> = self.names.keys().chain(self.durable_names.keys()).cloned().collect();
            for name in both {
                let file = if random.random() { self.names.get(&name) } else { self.durable_names.get(&name) };
                match file {
                    Some(file) => names.insert(name, *file),
                    None => names.remove(&name),
                };
            }
        }
        for (name, file) in names.iter().filter(|(name, _)| !name.ends_with("-shm") && !name.ends_with(".lock")) {
            if name != "marks" {
                std::fs::write(folder.join(name), self.files[*file].after(fate, random)).unwrap();
            }
        }
        if fate == Fate::Random && random.random() {
            let mut garbage = vec![0_u8; 32 * 1024];
            random.fill_bytes(&mut garbage);
            std::fs::write(folder.join("verdicts.sqlite-shm"), garbage).unwrap();
        }
    }
}

impl File {
    /// The file's content after a power cut.
    fn after(&self, fate: Fate, random: &mut impl Rng) -> Vec<u8> {
        let mut content = self.durable.clone();
        if fate == Fate::Lost {
            return content;
        }
        for pending in &self.pending {
            match (fate, random.random_range(0..3)) {
                (Fate::Kept, _) | (_, 0) => pending.land(&mut content),
                (_, 1) => {}
                _ => pending.land_torn(&mut content, random),
            }
        }
        content
    }
}

impl Pending {
    /// Applies the change to `content`.
    fn land(&self, content: &mut Vec<u8>) {
        match self {
            Self::Write { offset, data } => put(content, *offset, data),
            Self::Truncate { length } => content.resize(*length, 0),
        }
    }

    /// Applies the change to `content`. Of a write, it applies only some sectors, at random.
    fn land_torn(&self, content: &mut Vec<u8>, random: &mut impl Rng) {
        match self {
            Self::Write { offset, data } => {
                let mut done = 0;
                while done < data.len() {
                    let sector_end = (offset + done) / SECTOR * SECTOR + SECTOR;
                    let end = (sector_end - offset).min(data.len());
                    if random.random() {
                        put(content, offset + done, &data[done..end]);
                    }
                    done = end;
                }
            }
            Self::Truncate { .. } => self.land(content),
        }
    }
}

fn put(content: &mut Vec<u8>, offset: usize, data: &[u8]) {
    if content.len() < offset + data.len() {
        content.resize(offset + data.len(), 0);
    }
    content[offset..offset + data.len()].copy_from_slice(data);
}
