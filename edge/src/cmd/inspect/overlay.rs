//! Writes the overlays that `--overlay` asks for.

use anyhow::{Context as _, bail};
use cellgate_edge::pipeline::Pipeline;
use cellgate_models::conversion::{ConversionSpec, Size};
use cellgate_models::digest::Digest;
use cellgate_models::evidence::{Evidence, Overlay};
use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// The longest side of an overlay in pixels.
const LONGEST_PX: u32 = 1600;

/// The files of the overlays of one call.
pub(super) struct Overlays<'m> {
    /// For each image of the call, in their order, the file of its overlay.
    paths: Vec<PathBuf>,
    conversion: &'m ConversionSpec,
}

impl<'m> Overlays<'m> {
    /// Creates `folder` and names the files in it. Fails if a file has the path of an image.
    pub(super) fn new(folder: &Path, images: &[PathBuf], conversion: &'m ConversionSpec) -> anyhow::Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("the folder {} could not be created", folder.display()))?;
        let paths = paths(folder, images);
        let images: HashSet<PathBuf> = images.iter().filter_map(|image| image.canonicalize().ok()).collect();
        for path in &paths {
            if path.canonicalize().is_ok_and(|existing| images.contains(&existing)) {
                bail!("{}: found an image of this call, expected a folder without images", path.display());
            }
        }
        Ok(Self { paths, conversion })
    }

    /// Writes the overlay of the image at `path`, which is number `index` of the call, from 0. `judged` is the digest of the judged
    /// bytes and `input` the size of the network's input. Replaces a file of the same name.
    pub(super) fn write(
        &self,
        (index, path): (usize, &Path),
        judged: Option<Digest>,
        evidence: &Evidence,
        input: Size,
        pipeline: &mut Pipeline,
    ) -> anyhow::Result<&Path> {
        let (radiograph, digest) = pipeline.radiograph(path)?;
        if judged != Some(digest) {
            bail!("{}: found other content than was judged; the file was changed after that", path.display());
        }
        let overlay = Overlay::new(evidence, input, radiograph, self.conversion, LONGEST_PX)?;
        let file = &self.paths[index];
        replace(file, &overlay.to_png()).with_context(|| format!("{} could not be written", file.display()))?;
        Ok(file)
    }
}

/// For each image the file of its overlay in `folder`: the image's name with `.png` for its extension. If an earlier image has that
/// file, a number comes before `.png`: 2, or the next one that no earlier image has.
fn paths(folder: &Path, images: &[PathBuf]) -> Vec<PathBuf> {
    let mut taken = HashSet::new();
    let name = |image: &Path, number: u32| {
        let mut name = image.file_stem().map_or_else(OsString::new, OsString::from);
        name.push(if number == 1 { ".png".to_owned() } else { format!("-{number}.png") });
        name
    };
    images
        .iter()
        .map(|image| {
            let mut number = 1;
            while !taken.insert(name(image, number)) {
                number += 1;
            }
            folder.join(name(image, number))
        })
        .collect()
}

/// Writes a temporary file and renames it, so that nobody sees a part of the content.
fn replace(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let folder = path.parent().context("found no folder")?;
    // As for any new file, the process's umask takes permissions away.
    let permissions = Permissions::from_mode(0o666);
    let mut file = tempfile::Builder::new().prefix(".").suffix(".tmp").permissions(permissions).tempfile_in(folder)?;
    file.write_all(content)?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_names_are_numbered_in_the_order_of_the_images() {
        let images = ["a/1.tif", "b/1.tiff", "1-2.tif", "1", "c/1.ome.tif", "a/1.tif"].map(PathBuf::from);
        let expected = ["o/1.png", "o/1-2.png", "o/1-2-2.png", "o/1-3.png", "o/1.ome.png", "o/1-4.png"];
        assert_eq!(paths(Path::new("o"), &images), expected.map(PathBuf::from));
    }
}
