//! Finds the folder of the libtorch that this process has loaded.

use std::io;
use std::path::{Path, PathBuf};

/// The library of libtorch that the program is linked with.
const LIBRARY: &str = "libtorch_cpu.so";
/// The system's list of this process's loaded libraries.
const LOADED: &str = "/proc/self/maps";

/// The folder that the running libtorch was loaded from.
///
/// # Errors
/// The list of loaded libraries can't be read, or libtorch is not found in it. libtorch is not found if its file was
/// replaced after the start: the list then shows the file's path with the ending ` (deleted)`.
pub(super) fn folder() -> io::Result<PathBuf> {
    let not_found = || io::Error::new(io::ErrorKind::NotFound, format!("found no {LIBRARY} in {LOADED}"));
    folder_of(LIBRARY, &std::fs::read_to_string(LOADED)?).ok_or_else(not_found)
}

/// The folder of the loaded library called `name`. `maps` has the format of `/proc/self/maps`: the path in a line of text
/// begins at the first slash.
fn folder_of(name: &str, maps: &str) -> Option<PathBuf> {
    let mut paths = maps.lines().filter_map(|line| line.find('/').map(|start| Path::new(&line[start..])));
    paths.find(|path| path.file_name().is_some_and(|file| file == name))?.parent().map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPS: &str = "\
55d0c0a00000-55d0c0b00000 r--p 00000000 08:01 1 /opt/cell gate/cellgate-trainer
7f1000000000-7f1000001000 r--p 00000000 08:01 2 /opt/cell gate/torch/lib/libtorch_cpu.so
7f1000001000-7f1000002000 rw-p 00000000 00:00 0 [heap]
7f1000002000-7f1000003000 r--p 00000000 08:01 3 /usr/lib/libtorch_cpu.so.2 (deleted)
";

    #[test]
    fn the_folder_of_the_loaded_library_is_found() {
        assert_eq!(folder_of(LIBRARY, MAPS), Some("/opt/cell gate/torch/lib".into()));
        assert_eq!(folder_of("libtorch_cpu.so.2", MAPS), None);
        assert!(folder().unwrap().join(LIBRARY).is_file());
    }
}
