//! Describes images that lie in a data set's folders but are not in the data set.

use std::fmt;
use std::path::PathBuf;

/// An image that lies in a data set's folders but is not in the data set; or a file, folder or link there that may hold such an
/// image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// The image's path relative to the data set's folder.
    pub path: String,
    /// Why the image is not in the data set.
    pub reason: LeftOutReason,
}

/// Why an image is not in the data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeftOutReason {
    /// The image is in a folder inside `normal` or `abnormal`.
    Deeper,
    /// The image is beside the folders of the bundles.
    NoBundle,
    /// The image is in a bundle's folder, outside `normal` and `abnormal`.
    NoLabel,
    /// The name of the bundle's folder begins with a full stop, so the folder is hidden.
    HiddenBundle,
    /// The content is a TIFF, but the name does not end with `.tif` or `.tiff`.
    OtherName,
    /// The content is an archive, or an image in another format than TIFF.
    OtherFormat(&'static str),
    /// The path is a link to a missing file, so the content is unknown.
    DanglingLink {
        /// The link's target.
        target: PathBuf,
    },
    /// The path is a folder inside `normal` or `abnormal` that is not searched for images, because it is a link or too deep.
    NotSearched,
}

impl fmt::Display for LeftOutReason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deeper => out.write_str("in a folder below normal/ or abnormal/"),
            Self::NoBundle => out.write_str("beside the folders of the bundles"),
            Self::NoLabel => out.write_str("in a bundle's folder, outside normal/ and abnormal/"),
            Self::HiddenBundle => out.write_str(
                "in a hidden folder: its name begins with a full stop; rename the folder, or move it out of the data set",
            ),
            Self::OtherName => out.write_str("a TIFF whose name does not end with .tif or .tiff"),
            Self::OtherFormat(format) => write!(out, "{format}, not a TIFF"),
            Self::DanglingLink { target } => write!(out, "a link to {}, which does not exist", target.display()),
            Self::NotSearched => out.write_str("a folder that is not searched for images: a link, or too deep"),
        }
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} ({})", self.path, self.reason)
    }
}
