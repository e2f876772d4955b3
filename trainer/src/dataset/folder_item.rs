//! Lists a folder of a data set, and finds out what each item is: a folder, a link, an image or another file.

use super::left_out::LeftOutReason;
use super::{DatasetError, natural_order};
use cellgate_models::radiograph;
use std::fs::{self, File};
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

/// What an item is, after links were followed.
#[derive(Debug, Clone, PartialEq, Eq)]
enum ItemKind {
    Folder,
    File,
    /// A pipe, a socket or a device file.
    Special,
    /// A link whose target does not exist or is the link itself.
    DanglingLink {
        target: PathBuf,
    },
}

/// One file, folder or link inside a data set.
#[derive(Debug)]
pub(super) struct Item {
    /// The item's name. Bytes that are not UTF-8 are replaced.
    pub(super) name: String,
    /// The item's path relative to the data set's folder, with `/`.
    pub(super) relative: String,
    /// The item's path for opening.
    pub(super) path: PathBuf,
    /// Whether the item is a link.
    pub(super) is_link: bool,
    kind: ItemKind,
}

/// Lists `folder` in natural order, with hidden items. The relative path of an item is `prefix` followed by the item's
/// name.
pub(super) fn read(folder: &Path, prefix: &str) -> Result<Vec<Item>, DatasetError> {
    let io = |source| DatasetError::io(folder, source);
    let mut items = Vec::new();
    for item in fs::read_dir(folder).map_err(io)? {
        let path = item.map_err(io)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let io = |source| DatasetError::io(&path, source);
        let is_link = fs::symlink_metadata(&path).map_err(io)?.is_symlink();
        let kind = match fs::metadata(&path) {
            Ok(there) if there.is_dir() => ItemKind::Folder,
            Ok(there) if there.is_file() => ItemKind::File,
            Ok(_) => ItemKind::Special,
            Err(error) if is_link && error.kind() != ErrorKind::PermissionDenied => {
                ItemKind::DanglingLink { target: fs::read_link(&path).map_err(io)? }
            }
            Err(error) => return Err(io(error)),
        };
        items.push(Item { relative: format!("{prefix}{name}"), name, path, is_link, kind });
    }
    items.sort_by(|a, b| natural_order(&a.name, &b.name));
    Ok(items)
}

impl Item {
    /// Whether the item is a folder, or a link to one.
    pub(super) fn is_folder(&self) -> bool {
        self.kind == ItemKind::Folder
    }

    /// Whether the item's name begins with a full stop.
    pub(super) fn is_hidden(&self) -> bool {
        self.name.starts_with('.')
    }

    /// Whether the item's name ends with `.tif` or `.tiff`, in any case.
    pub(super) fn has_tiff_name(&self) -> bool {
        radiograph::has_tiff_name(Path::new(&self.name))
    }

    /// Refuses a name that is not UTF-8: manifests and tables can't hold it.
    pub(super) fn check_name(&self) -> Result<(), DatasetError> {
        let name = self.path.file_name().unwrap_or_default();
        if name.to_str().is_some() {
            return Ok(());
        }
        Err(DatasetError::Layout {
            path: self.path.parent().unwrap_or(&self.path).to_owned(),
            found: format!("the name {name:?}"),
            expected: "names in UTF-8".into(),
        })
    }

    /// Returns why this item, which is not in the place of an image or not named like one, must be reported as left out. The reason
    /// for a TIFF is `place`. A dangling link, and an image or archive of another format, have reasons of their own. Returns `None`
    /// for any other item.
    pub(super) fn image_reason(&self, place: LeftOutReason) -> Result<Option<LeftOutReason>, DatasetError> {
        Ok(match &self.kind {
            ItemKind::DanglingLink { target } => Some(LeftOutReason::DanglingLink { target: target.clone() }),
            _ if self.has_tiff_name() => Some(place),
            ItemKind::Folder | ItemKind::Special => None,
            ItemKind::File => {
                let start = self.start().map_err(|source| DatasetError::io(&self.path, source))?;
                match start[..] {
                    // The start of a TIFF (42) or a BigTIFF (43), in either byte order.
                    [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => Some(place),
                    _ => format_of(&start).map(LeftOutReason::OtherFormat),
                }
            }
        })
    }

    /// Reads the first 132 bytes of the file. The last four of these bytes mark a DICOM image.
    fn start(&self) -> std::io::Result<Vec<u8>> {
        let mut start = Vec::new();
        File::open(&self.path)?.take(132).read_to_end(&mut start)?;
        Ok(start)
    }
}

/// Names the format of a file that starts with `start`, if it is an image other than a TIFF, or an archive that may hold images.
fn format_of(start: &[u8]) -> Option<&'static str> {
    Some(match start {
        [0x89, b'P', b'N', b'G', ..] => "a PNG",
        [0xff, 0xd8, 0xff, ..] => "a JPEG",
        [b'G', b'I', b'F', b'8', ..] => "a GIF",
        [b'B', b'M', _, _, _, _, 0, 0, 0, 0, ..] => "a BMP",
        [0xff, 0x4f, 0xff, 0x51, ..] | [0, 0, 0, 12, b'j', b'P', b' ', b' ', ..] => "a JPEG 2000",
        [b'S', b'I', b'M', b'P', b'L', b'E', b' ', ..] => "a FITS image",
        [0x89, b'H', b'D', b'F', ..] => "an HDF5 file",
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => "a NumPy array",
        [b'P', b'2' | b'5', b'\n' | b' ' | b'\r', ..] => "a PGM",
        [.., b'D', b'I', b'C', b'M'] if start.len() == 132 => "a DICOM image",
        [0x1f, 0x8b, ..] | [0x28, 0xb5, 0x2f, 0xfd, ..] | [b'P', b'K', 3, 4, ..] => "an archive",
        [b'B', b'Z', b'h', ..] | [0xfd, b'7', b'z', b'X', b'Z', 0, ..] | [b'7', b'z', 0xbc, 0xaf, ..] => "an archive",
        _ => return None,
    })
}
