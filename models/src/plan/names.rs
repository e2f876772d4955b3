//! Names TensorRT's libraries and the places where they are searched for.

use super::flavour::{BUILDER, FLAVOUR, PARSER, WHEEL};
use crate::library::{LibrarySpec, SearchPlace};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The environment variable that names the folder with TensorRT's libraries.
pub const LIBRARY_ENV: &str = "CELLGATE_TENSORRT";

/// One of TensorRT's libraries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Library {
    /// Builds plans and runs them.
    Builder,
    /// Reads ONNX. Must be in the same folder as the builder, so that both have the same version.
    Parser,
}

impl Library {
    /// The library's file name without a version.
    #[must_use]
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Builder => BUILDER,
            Self::Parser => PARSER,
        }
    }

    /// Where the library is searched for.
    pub(super) fn wanted(self) -> LibrarySpec {
        LibrarySpec {
            file_name: self.file_name(),
            environment: LIBRARY_ENV,
            names_folder: true,
            places: SearchPlace::usual(WHEEL, "/opt/tensorrt/lib"),
        }
    }
}

impl fmt::Display for Library {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Builder => write!(out, "{FLAVOUR}"),
            Self::Parser => write!(out, "{FLAVOUR}'s ONNX parser"),
        }
    }
}
