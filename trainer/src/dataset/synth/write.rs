//! Writes the folder of a synthetic data set: images, masks and manifest. Continues where an earlier call was stopped.

use super::design::{EXPERTS, PartDesign, SetDesign};
use super::render::Renderer;
use super::{SynthConfig, SynthError, png};
use crate::dataset::entry::MANIFEST;
use crate::dataset::images::limits;
use crate::progress;
use cellgate_models::radiograph;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};

/// Version of the generator. Raise it when a change gives other images for the same configuration.
const GENERATOR: u32 = 2;

/// The file that marks a folder as written by `synth`. It is written first, the manifest last.
const MARKER: &str = "synth.json";

/// The marker's content.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Marker {
    generator: u32,
    config: SynthConfig,
}

impl Marker {
    /// Lists the options of this marker that differ from the options of `now`, each with both values.
    fn difference(&self, now: &Self) -> String {
        let (there, here) = (&self.config, &now.config);
        let options = [
            ("generator", self.generator.to_string(), now.generator.to_string()),
            ("--parts", there.parts.to_string(), here.parts.to_string()),
            ("--bundles", there.bundles.to_string(), here.bundles.to_string()),
            ("--scale", there.scale.to_string(), here.scale.to_string()),
            ("--seed", there.seed.to_string(), here.seed.to_string()),
        ];
        let differ = options.iter().filter(|(_, there, here)| there != here);
        differ.map(|(name, there, here)| format!("{name} {there} (now {here})")).collect::<Vec<_>>().join(", ")
    }
}

/// How many images [`write()`] made and kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Images that this call made.
    pub made: usize,
    /// Images that an earlier call with the same configuration made.
    pub kept: usize,
}

/// Makes the data set of `config` in the folder `out`, on all cores.
///
/// The program may be killed at any time, since every file is written atomically. The next call with the same configuration keeps
/// each image that can be read and has the designed size, if the same holds for all masks of the image. An image whose pixels were
/// changed by hand is not noticed.
///
/// # Errors
/// [`SynthError::Config`] if a value of `config` is out of its range, [`SynthError::Foreign`] if `out` holds anything other
/// than a data set of the same configuration, and [`SynthError::Io`] if a file can't be read or written.
pub fn write(out: &Path, config: &SynthConfig) -> Result<Written, SynthError> {
    let design = SetDesign::new(config)?;
    claim(out, config)?;
    for folder in ["images", "masks"].map(|name| out.join(name)) {
        std::fs::create_dir_all(&folder).map_err(|source| SynthError::Io { path: folder.clone(), source })?;
    }
    let renderer = Renderer::new(config);

    let bar = progress::bar(design.parts.len() as u64, "electrodes");
    let made: Vec<bool> = design
        .parts
        .par_iter()
        .map(|part| {
            let made = make(out, &renderer, &design, part);
            bar.inc(1);
            made
        })
        .collect::<Result<_, _>>()?;
    bar.finish_and_clear();

    let manifest = manifest(&design).map_err(|source| SynthError::Io { path: out.join(MANIFEST), source })?;
    write_whole(out.join(MANIFEST), |path| std::fs::write(path, &manifest))?;
    let made = made.into_iter().filter(|made| *made).count();
    Ok(Written { made, kept: design.parts.len() - made })
}

/// Creates `out` and marks it as the folder of `config`. Refuses a folder that holds anything else.
fn claim(out: &Path, config: &SynthConfig) -> Result<(), SynthError> {
    let io = |source| SynthError::Io { path: out.to_owned(), source };
    let expected = "a new or empty folder, or one that `synth` wrote with the same options".to_owned();
    let foreign = |found| Err(SynthError::Foreign { path: out.to_owned(), found, expected: expected.clone() });
    std::fs::create_dir_all(out).map_err(io)?;
    let current = Marker { generator: GENERATOR, config: *config };
    let marker = out.join(MARKER);
    match std::fs::read(&marker) {
        Ok(bytes) => match serde_json::from_slice::<Marker>(&bytes) {
            Ok(found) if found == current => Ok(()),
            Ok(found) => foreign(format!("a data set of {}", found.difference(&current))),
            Err(error) => foreign(format!("an invalid {MARKER} ({error})")),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            for item in std::fs::read_dir(out).map_err(io)? {
                let path = item.map_err(io)?.path();
                if path != temporary(&marker) {
                    return foreign(format!("`{}`", path.file_name().unwrap_or_default().display()));
                }
            }
            let text = serde_json::to_vec_pretty(&current).map_err(|error| io(error.into()))?;
            write_whole(marker, |path| std::fs::write(path, &text))
        }
        Err(source) => Err(SynthError::Io { path: marker, source }),
    }
}

/// Makes the image and the masks of `part`, unless all these files can be read and have the designed size. Returns whether the
/// files were made.
fn make(out: &Path, renderer: &Renderer, design: &SetDesign, part: &PartDesign) -> Result<bool, SynthError> {
    let path = out.join(&part.image);
    let masks: Vec<_> = (0..part.anomalies.len()).map(|index| out.join(part.mask(index))).collect();
    let there = path.exists().then(|| radiograph::read(&path, &limits()).ok()).flatten();
    let size = (part.width, part.height);
    if there.is_some_and(|image| (image.width(), image.height()) == size)
        && masks.iter().all(|mask| png::size(mask) == Some(size))
    {
        return Ok(false);
    }
    let rendered = renderer
        .render(&design.bundles[part.bundle], part)
        .map_err(|error| SynthError::Io { path: path.clone(), source: io::Error::other(error) })?;
    for (mask, levels) in masks.into_iter().zip(&rendered.masks) {
        write_whole(mask, |path| png::write(path, part.width, png::Pixels::Grey(levels)))?;
    }
    write_whole(path, |path| radiograph::write(path, &rendered.radiograph))?;
    Ok(true)
}

/// Returns the manifest's text.
fn manifest(design: &SetDesign) -> io::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let columns = ["image", "bundle", "label", "anomalies", "severities", "causes", "masks", "coating"];
    writer.write_record(columns.iter().chain(&EXPERTS))?;
    for part in &design.parts {
        let style = &design.bundles[part.bundle];
        let each = |text: &dyn Fn(usize) -> String| (0..part.anomalies.len()).map(text).collect::<Vec<_>>().join(";");
        writer.write_field(&part.image)?;
        writer.write_field(&style.name)?;
        writer.write_field(part.label.as_str())?;
        writer.write_field(each(&|index| part.anomalies[index].0.name().to_owned()))?;
        writer.write_field(each(&|index| format!("{:.2}", part.anomalies[index].1)))?;
        writer.write_field(each(&|index| part.anomalies[index].0.cause().to_owned()))?;
        writer.write_field(each(&|index| part.mask(index)))?;
        writer.write_field(style.coating())?;
        writer.write_record(part.experts.iter().map(|label| label.as_str()))?;
    }
    writer.into_inner().map_err(|error| error.into_error())
}

/// Writes the file `path` atomically: `write` fills a temporary file beside it, which is then renamed.
pub(super) fn write_whole(path: PathBuf, write: impl FnOnce(&Path) -> io::Result<()>) -> Result<(), SynthError> {
    let temporary = temporary(&path);
    write(&temporary)
        .and_then(|()| std::fs::rename(&temporary, &path))
        .map_err(|source| SynthError::Io { path, source })
}

/// The name of the file `path` until it is complete. If a kill leaves a file under this name, the next call overwrites it.
fn temporary(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Listing;

    const CONFIG: SynthConfig = SynthConfig { parts: 30, bundles: 3, scale: 0.06, seed: 2 };

    #[test]
    fn the_data_set_reads_back_as_designed() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &CONFIG).unwrap();
        let design = SetDesign::new(&CONFIG).unwrap();
        let listing = Listing::read(folder.path()).unwrap();
        assert_eq!(listing.entries.len(), design.parts.len());
        for (entry, part) in listing.entries.iter().zip(&design.parts) {
            assert_eq!((&entry.image, &entry.bundle), (&part.image, &design.bundles[part.bundle].name));
            assert_eq!(entry.label, part.label);
            assert!(entry.anomalies.iter().eq(part.anomalies.iter().map(|(kind, _)| kind.name())));
            assert!(entry.experts.iter().map(|(_, label)| label).eq(&part.experts));
        }
    }

    #[test]
    fn each_anomaly_has_a_severity_a_cause_and_a_mask_of_the_images_size() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &CONFIG).unwrap();
        let mut reader = csv::Reader::from_path(folder.path().join(MANIFEST)).unwrap();
        let names = reader.headers().unwrap().clone();
        let mut masks = 0;
        for row in reader.records().map(Result::unwrap) {
            let cell = |name: &str| row.get(names.iter().position(|other| other == name).unwrap()).unwrap();
            let list = |name: &str| cell(name).split(';').filter(|item| !item.is_empty()).collect::<Vec<_>>();
            let image = radiograph::read(&folder.path().join(cell("image")), &limits()).unwrap();
            let of_anomalies = ["anomalies", "severities", "causes", "masks"].map(list);
            assert!(of_anomalies.iter().all(|items| items.len() == of_anomalies[0].len()), "{row:?}");
            assert!(of_anomalies[1].iter().all(|severity| (0.0..=1.0).contains(&severity.parse::<f32>().unwrap())));
            // The masks are the fourth of the columns above, the severities the second.
            for mask in &of_anomalies[3] {
                assert_eq!(png::size(&folder.path().join(mask)), Some((image.width(), image.height())), "{mask}");
                masks += 1;
            }
        }
        assert_eq!(std::fs::read_dir(folder.path().join("masks")).unwrap().count(), masks);
        // Without the manifest the folder is not a data set.
        std::fs::remove_file(folder.path().join(MANIFEST)).unwrap();
        assert!(Listing::read(folder.path()).is_err());
    }

    #[test]
    fn a_missing_or_truncated_mask_is_made_again_with_its_image() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &CONFIG).unwrap();
        let design = SetDesign::new(&CONFIG).unwrap();
        let with_anomaly: Vec<_> = design.parts.iter().filter(|part| !part.anomalies.is_empty()).take(2).collect();
        let paths = [0, 1].map(|index| folder.path().join(with_anomaly[index].mask(0)));
        let before = paths.each_ref().map(|path| std::fs::read(path).unwrap());
        std::fs::remove_file(&paths[0]).unwrap();
        std::fs::write(&paths[1], &before[1][..before[1].len() / 2]).unwrap();
        assert_eq!(write(folder.path(), &CONFIG).unwrap(), Written { made: 2, kept: 28 });
        assert_eq!(paths.each_ref().map(|path| std::fs::read(path).unwrap()), before);
    }
}
