//! Lists the kernels by name, and embeds their sources from `edge/kernels`.

use std::collections::BTreeSet;
use std::fmt::Write as _;

/// A source file: its path, which the compiler's messages name, and its text.
type File = (&'static str, &'static str);

/// Embeds a file of `edge/kernels` in the program.
macro_rules! file {
    ($name:literal) => {
        (concat!("edge/kernels/", $name), include_str!(concat!("../../kernels/", $name)))
    };
}

/// Definitions that every kernel uses.
const BASE: [File; 2] = [file!("gpu.h"), file!("common.h")];
const HISTOGRAM: File = file!("histogram.cu");
const BOUNDS: File = file!("bounds.cu");
const CONVERT: File = file!("convert.cu");
/// The definitions of the kernels of `CONVERT`, each on its own line of text.
const CONVERT_KERNELS: &str = file!("convert_kernels.cu").1;

/// A CUDA kernel. Its source documents its work, its arguments and its shared memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kernel {
    /// `histogram`
    Histogram,
    /// `local_bounds`
    LocalBounds,
    /// `convert_tile_8`
    ConvertTile8,
    /// `convert_tile_16`
    ConvertTile16,
    /// `convert_pixel_8`
    ConvertPixel8,
    /// `convert_pixel_16`
    ConvertPixel16,
}

impl Kernel {
    /// All kernels.
    pub const ALL: [Self; 6] = [
        Self::Histogram,
        Self::LocalBounds,
        Self::ConvertTile8,
        Self::ConvertTile16,
        Self::ConvertPixel8,
        Self::ConvertPixel16,
    ];

    /// The kernel's name in the source.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Histogram => "histogram",
            Self::LocalBounds => "local_bounds",
            Self::ConvertTile8 => "convert_tile_8",
            Self::ConvertTile16 => "convert_tile_16",
            Self::ConvertPixel8 => "convert_pixel_8",
            Self::ConvertPixel16 => "convert_pixel_16",
        }
    }

    /// Threads per block: a multiple of 32, equal to the number in the source. A kernel has more than 256 if it runs in a single
    /// block, or if its shared memory allows few blocks at once.
    #[must_use]
    pub const fn threads(self) -> u32 {
        match self {
            Self::Histogram => 512,
            Self::LocalBounds => 1024,
            _ => 256,
        }
    }

    /// The source file that defines the kernel.
    fn file(self) -> File {
        match self {
            Self::Histogram => HISTOGRAM,
            Self::LocalBounds => BOUNDS,
            _ => CONVERT,
        }
    }

    /// A complete source text with `kernels`, without `#include`. Files that none of `kernels` needs are left out, because each
    /// start compiles the text, which takes about a second.
    #[must_use]
    pub fn source(kernels: &[Self]) -> String {
        let mut text = String::new();
        let files: BTreeSet<File> = kernels.iter().map(|kernel| kernel.file()).collect();
        for (name, content) in BASE.into_iter().chain(files) {
            // Writing to a String can't fail.
            let _ = writeln!(text, "#line 1 \"{name}\"\n{content}");
        }
        for kernel in kernels {
            // Only the kernels of `CONVERT` have a definition in `CONVERT_KERNELS`.
            let definition = CONVERT_KERNELS.lines().find(|text| text.contains(&format!("({},", kernel.name())));
            text.extend(definition.into_iter().chain(["\n"]));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_source_has_the_wanted_kernels_and_no_others() {
        for wanted in Kernel::ALL {
            let source = Kernel::source(&[wanted]);
            let is_defined = |kernel: Kernel| {
                source.contains(&format!("KERNEL({}) {}(", kernel.threads(), kernel.name()))
                    || source.contains(&format!("CONVERT_KERNEL({},", kernel.name()))
            };
            assert!(is_defined(wanted), "{wanted:?}");
            assert!(Kernel::ALL.into_iter().all(|other| !is_defined(other) || other.file() == wanted.file()));
            assert_eq!(source.matches("CONVERT_KERNEL(convert").count(), usize::from(wanted.file() == CONVERT));
        }
    }

    #[test]
    fn the_source_includes_no_other_file() {
        assert!(!Kernel::source(&Kernel::ALL).contains("#include"));
    }
}
