//! Writes the levels of all files `*.tif` and `*.tiff` in a folder, for comparison with other readers: `dump_levels FOLDER OUT`.
//!
//! For each readable file `NAME` it writes `OUT/NAME.levels`: width and height (u32) and the levels (u16), all little-endian.
//! For each file it prints one line of text: the name, a tab, and `WIDTH x HEIGHT` or the error.

use cellgate_models::radiograph::{RadiographLimits, RadiographReader};
use std::error::Error;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [folder, out] = &arguments[..] else {
        return Err("usage: dump_levels FOLDER OUT".into());
    };
    std::fs::create_dir_all(out)?;
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "tif" || extension == "tiff"));
    paths.sort();
    let mut reader = RadiographReader::new(RadiographLimits::default());
    for path in paths {
        let name = path.file_name().unwrap_or_default().display().to_string();
        match reader.read(&path) {
            Ok(image) => {
                let size = [image.width().to_le_bytes(), image.height().to_le_bytes()].concat();
                let levels = image.levels().iter().flat_map(|level| level.to_le_bytes());
                std::fs::write(
                    out.join(format!("{name}.levels")),
                    size.into_iter().chain(levels).collect::<Vec<u8>>(),
                )?;
                println!("{name}\t{} x {}", image.width(), image.height());
            }
            Err(error) => {
                let line = error.to_string();
                println!("{name}\t{}", line.trim_start_matches(&format!("{}: ", path.display())));
            }
        }
    }
    Ok(())
}
