//! Finds files that appear without an inotify event, by listing the folder. This is needed on file systems to which other
//! machines or processes write without the Linux kernel reporting it. A file without an event is complete once it has settled:
//! see `settle`.

use super::settle::Settling;
use super::{Arrival, Change, Identity, ImageFile};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

/// The files of a folder that were already reported.
#[derive(Debug, Default)]
pub(super) struct Listing {
    known: BTreeMap<PathBuf, Identity>,
}

impl Listing {
    /// Notes `files` as reported.
    pub(super) fn add_reported<'a>(&mut self, files: impl IntoIterator<Item = &'a ImageFile>) {
        let known = |file: &ImageFile| Some((file.path.clone(), file.identity?));
        self.known.extend(files.into_iter().filter_map(known));
    }

    /// Compares the known files with `files`, which are all files of the folder. Files that are new or were written to without
    /// an event begin to settle. `has_event` returns true for a file that will be reported without the listing.
    pub(super) fn compare(
        &mut self,
        files: Vec<ImageFile>,
        now: Instant,
        settling: &mut Settling,
        has_event: impl Fn(&ImageFile) -> bool,
    ) {
        let mut before = std::mem::take(&mut self.known);
        for file in files {
            let Some(found) = file.identity else { continue };
            match before.remove(&file.path) {
                Some(known) if !is_other(&known, &found) => {
                    self.known.insert(file.path, known);
                }
                _ if has_event(&file) || settling.contains(&file.path) => {}
                _ => settling.add(file, now),
            }
        }
    }

    /// Notes the files of `arrivals` as reported.
    pub(super) fn arrived(&mut self, arrivals: &[Arrival]) {
        self.add_reported(arrivals.iter().map(|arrival| &arrival.file));
    }
}

/// Whether the file was replaced or written to. A change of attributes alone does not make it another image.
fn is_other(known: &Identity, found: &Identity) -> bool {
    matches!(known.change(found), Some(Change::Replaced | Change::Written))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acquire::settle::SETTLED;
    use std::fs;

    #[test]
    fn a_file_without_an_event_settles_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: &[u8]| {
            fs::write(folder.path().join(name), bytes).unwrap();
            ImageFile::at(folder.path().join(name))
        };
        let start = Instant::now();
        let (mut listing, mut settling) = (Listing::default(), Settling::default());
        let (old, new, open) = (file("old.tif", b"old"), file("new.tif", b"new"), file("open.tif", b"open"));
        listing.add_reported([&old]);
        let mut settled = |listing: &mut Listing, files: &[&ImageFile], now: Instant| {
            let files = files.iter().map(|file| (*file).clone()).collect();
            listing.compare(files, now, &mut settling, |file| file.path == open.path);
            let mut arrivals = Vec::new();
            settling.add_settled(now, &mut arrivals);
            listing.arrived(&arrivals);
            arrivals.into_iter().map(|arrival| arrival.file).collect::<Vec<_>>()
        };
        assert_eq!(settled(&mut listing, &[&old, &new, &open], start), []);
        assert_eq!(settled(&mut listing, &[&old, &new, &open], start + SETTLED / 2), []);
        assert_eq!(settled(&mut listing, &[&old, &new, &open], start + SETTLED), std::slice::from_ref(&new));
        assert_eq!(settled(&mut listing, &[&old, &new, &open], start + SETTLED * 3), []);
        let again = file("new.tif", b"another image");
        assert_eq!(settled(&mut listing, &[&old, &again], start + SETTLED * 4), []);
        assert_eq!(settled(&mut listing, &[&old, &again], start + SETTLED * 5), [again]);
        fs::remove_file(&new.path).unwrap();
        assert_eq!(settled(&mut listing, &[&old], start + SETTLED * 6), []);
        let after = file("new.tif", b"after a pause");
        settled(&mut listing, &[&old, &after], start + SETTLED * 7);
        assert_eq!(settled(&mut listing, &[&old, &after], start + SETTLED * 8), [after]);
    }
}
