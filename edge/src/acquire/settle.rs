//! Files whose writer nobody saw: whole once they have lain unchanged for a while.

use super::Arrival;
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// How long a file must lie unchanged. A scanner that pauses for longer in the middle of a file is not known.
const SETTLED: Duration = Duration::from_secs(5);

/// Files that lay in the folder before it was watched.
#[derive(Debug, Default)]
pub struct Settling {
    files: Vec<Lying>,
}

#[derive(Debug)]
struct Lying {
    path: PathBuf,
    /// Length and time of the last change, as the file system tells.
    state: (u64, Option<SystemTime>),
    since: Instant,
}

impl Settling {
    /// Begins to look at `paths`; those that are gone by then are forgotten.
    #[must_use]
    pub fn new(paths: Vec<PathBuf>, now: Instant) -> Self {
        let lying = |path: PathBuf| state(&path).map(|state| Lying { path, state, since: now });
        Self { files: paths.into_iter().filter_map(lying).collect() }
    }

    /// Adds the files that have settled to `arrivals`. A file that is among them already was completed by a writer since,
    /// and is not waited for any more.
    pub fn look(&mut self, now: Instant, arrivals: &mut Vec<Arrival>) {
        self.files.retain_mut(|lying| {
            if arrivals.iter().any(|arrival| arrival.path == lying.path) {
                return false;
            }
            if now.saturating_duration_since(lying.since) < SETTLED {
                return true;
            }
            let Some(state) = state(&lying.path) else { return false };
            let is_changed = lying.state != state;
            (lying.state, lying.since) = (state, now);
            if !is_changed {
                arrivals.push(Arrival { path: std::mem::take(&mut lying.path), at: now });
            }
            is_changed
        });
    }
}

/// None for what is no plain file (any more).
fn state(path: &Path) -> Option<(u64, Option<SystemTime>)> {
    let of = |metadata: Metadata| (metadata.len(), metadata.modified().ok());
    path.symlink_metadata().ok().filter(Metadata::is_file).map(of)
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
        let mut settling = Settling::new(names.map(path).into(), start);
        let mut look = |now: Instant, told: &str| {
            let mut arrivals: Vec<_> = [told]
                .iter()
                .filter(|told| !told.is_empty())
                .map(|told| Arrival { path: path(told), at: now })
                .collect();
            settling.look(now, &mut arrivals);
            arrivals
                .iter()
                .map(|arrival| arrival.path.file_name().unwrap().to_str().unwrap().to_owned())
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
