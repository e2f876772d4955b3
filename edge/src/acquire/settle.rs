//! Files whose writer nobody saw: whole once they have lain unchanged for a while.

use super::{Arrival, ImageFile};
use std::time::{Duration, Instant};

/// How long a file must lie unchanged. A scanner that pauses for longer in the middle of a file is not known.
const SETTLED: Duration = Duration::from_secs(5);

/// Files that lay in the folder before it was watched.
#[derive(Debug, Default)]
pub struct Settling {
    files: Vec<Lying>,
}

#[derive(Debug)]
struct Lying {
    file: ImageFile,
    since: Instant,
}

impl Settling {
    /// Begins to look at `files`; those that are gone are forgotten.
    #[must_use]
    pub fn new(files: Vec<ImageFile>, now: Instant) -> Self {
        let lying = |file: ImageFile| file.identity.is_some().then_some(Lying { file, since: now });
        Self { files: files.into_iter().filter_map(lying).collect() }
    }

    /// Adds the files that have settled to `arrivals`. A file that is among them already was completed by a writer since,
    /// and is not waited for any more.
    pub fn look(&mut self, now: Instant, arrivals: &mut Vec<Arrival>) {
        self.files.retain_mut(|lying| {
            if arrivals.iter().any(|arrival| arrival.file.path == lying.file.path) {
                return false;
            }
            if now.saturating_duration_since(lying.since) < SETTLED {
                return true;
            }
            let before = lying.file.identity;
            lying.file = ImageFile::at(std::mem::take(&mut lying.file.path));
            lying.since = now;
            let is_changed = lying.file.identity != before;
            if !is_changed {
                arrivals.push(Arrival { file: lying.file.clone(), at: now });
            }
            is_changed && lying.file.identity.is_some()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_file_arrives_once_it_lay_unchanged_for_a_while() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let names = ["whole.tif", "growing.tif", "gone.tif", "closed.tif"];
        names.iter().for_each(|name| fs::write(path(name), b"bytes").unwrap());
        let start = Instant::now();
        let mut settling = Settling::new(names.map(path).map(ImageFile::at).into(), start);
        let mut look = |now: Instant, told: &str| {
            let mut arrivals: Vec<_> = [told]
                .iter()
                .filter(|told| !told.is_empty())
                .map(|told| Arrival { file: ImageFile::at(path(told)), at: now })
                .collect();
            settling.look(now, &mut arrivals);
            arrivals
                .iter()
                .map(|arrival| arrival.file.path.file_name().unwrap().to_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(look(start + SETTLED / 2, "closed.tif"), ["closed.tif"]);
        fs::write(path("growing.tif"), b"more bytes").unwrap();
        fs::remove_file(path("gone.tif")).unwrap();
        assert_eq!(look(start + SETTLED, ""), ["whole.tif"]);
        assert_eq!(look(start + SETTLED * 3 / 2, ""), [""; 0]);
        assert_eq!(look(start + SETTLED * 2, ""), ["growing.tif"]);
        assert_eq!(look(start + SETTLED * 4, ""), [""; 0]);
    }
}
