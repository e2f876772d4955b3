//! Files that appear without an event of the kernel, on file systems on which others write: found by listing the folder, whole
//! once they have settled.

use super::settle::Settling;
use super::{Arrival, Change, Identity, ImageFile};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

/// What of a folder is known already.
#[derive(Debug, Default)]
pub(super) struct Listing {
    known: BTreeMap<PathBuf, Identity>,
}

impl Listing {
    /// These files are reported.
    pub(super) fn told<'a>(&mut self, files: impl IntoIterator<Item = &'a ImageFile>) {
        let known = |file: &ImageFile| Some((file.path.clone(), file.identity?));
        self.known.extend(files.into_iter().filter_map(known));
    }

    /// These are all files of the folder. Those that are new or were written to without an event begin to settle; `is_told`
    /// says of which an event will come.
    pub(super) fn look(
        &mut self,
        files: Vec<ImageFile>,
        now: Instant,
        settling: &mut Settling,
        is_told: impl Fn(&ImageFile) -> bool,
    ) {
        let mut before = std::mem::take(&mut self.known);
        for file in files {
            let Some(found) = file.identity else { continue };
            match before.remove(&file.path) {
                Some(known) if !is_other(&known, &found) => {
                    self.known.insert(file.path, known);
                }
                _ if is_told(&file) || settling.contains(&file.path) => {}
                _ => settling.add(file, now),
            }
        }
    }

    /// Notes the arrivals that are reported.
    pub(super) fn arrived(&mut self, arrivals: &[Arrival]) {
        self.told(arrivals.iter().map(|arrival| &arrival.file));
    }
}

/// Whether there is another image where one was known. Attributes alone make none.
fn is_other(known: &Identity, found: &Identity) -> bool {
    matches!(known.change(found), Some(Change::Replaced | Change::Written))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acquire::settle::SETTLED;
    use std::fs;

    #[test]
    fn what_no_event_was_told_of_settles_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: &[u8]| {
            fs::write(folder.path().join(name), bytes).unwrap();
            ImageFile::at(folder.path().join(name))
        };
        let start = Instant::now();
        let (mut listing, mut settling) = (Listing::default(), Settling::default());
        let (old, new, open) = (file("old.tif", b"old"), file("new.tif", b"new"), file("open.tif", b"open"));
        listing.told([&old]);
        let mut settled = |listing: &mut Listing, files: &[&ImageFile], now: Instant| {
            let files = files.iter().map(|file| (*file).clone()).collect();
            listing.look(files, now, &mut settling, |file| file.path == open.path);
            let mut arrivals = Vec::new();
            settling.look(now, &mut arrivals);
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
