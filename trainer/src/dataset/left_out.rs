//! Images in the folders of a data set that would be no part of it.

use std::fmt;
use std::path::PathBuf;

/// Something in a data set's folders that looks like an image and is not listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Its path relative to the data set's folder.
    pub path: String,
    /// Why it is not listed.
    pub reason: LeftOutReason,
}

/// Why an image is not listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeftOutReason {
    /// It lies in a folder below the class's folder.
    Deeper,
    /// It lies beside the bundles' folders.
    NoBundle,
    /// It lies in a bundle's folder, outside `normal` and `abnormal`.
    NoLabel,
    /// Its bundle's folder has a name that begins with a full stop, which hides it.
    HiddenBundle,
    /// It is a TIFF by its content; its name says otherwise.
    OtherName,
    /// It is an image or an archive of another format, by its content.
    OtherFormat(&'static str),
    /// A link that leads to nothing, so nobody knows what it stands for.
    DanglingLink {
        /// Where it leads.
        target: PathBuf,
    },
    /// A folder that is not searched: it is reached by a link, or lies too deep.
    NotSearched,
}

impl fmt::Display for LeftOutReason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deeper => out.write_str("in a folder below <bundle>/<normal|abnormal>/"),
            Self::NoBundle => out.write_str("in no bundle's folder"),
            Self::NoLabel => out.write_str("in a bundle's folder, but not in its normal/ or abnormal/"),
            Self::HiddenBundle => out.write_str(
                "in a bundle's folder whose name begins with a full stop; rename it, or move it out of the data set",
            ),
            Self::OtherName => out.write_str("a TIFF whose name does not end with .tif or .tiff"),
            Self::OtherFormat(format) => write!(out, "{format}, no TIFF"),
            Self::DanglingLink { target } => write!(out, "a link to {}, which does not exist", target.display()),
            Self::NotSearched => out.write_str("a linked or very deep folder, which is not searched for images"),
        }
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} ({})", self.path, self.reason)
    }
}
