//! Recognises the file names of radiographs.

use std::path::Path;

/// Whether the name of `path` ends with `.tif` or `.tiff`, in any case.
#[must_use]
pub fn has_tiff_name(path: &Path) -> bool {
    let is_tiff =
        |extension: &std::ffi::OsStr| ["tif", "tiff"].iter().any(|known| extension.eq_ignore_ascii_case(known));
    path.extension().is_some_and(is_tiff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extension_decides_in_any_case() {
        assert!(["a.tif", "a.TIFF", "x/b.c.Tif"].iter().all(|name| has_tiff_name(Path::new(name))));
        assert!(["a.png", "tif", ".tif", "a.tif.gz", "a.tif "].iter().all(|name| !has_tiff_name(Path::new(name))));
    }
}
