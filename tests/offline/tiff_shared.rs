//! Checks that each TIFF of the shared collections gives an image or an error, in a separate process within 1 s and 512 MiB, without
//! output on stderr. Truncations of each TIFF must also give an image or an error.
//!
//! The collections are in the folder `CELLGATE_SHARED` (default: `shared` beside the repository). Without this folder nothing is
//! tested, and a message says so.

use cellgate_models::radiograph::{RadiographLimits, RadiographReader, ReadError, read};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const CHILD_INPUT: &str = "CELLGATE_TEST_TIFF";
const MAX_TIME: Duration = Duration::from_secs(1);
const MAX_MEMORY_KIB: u64 = 512 << 10;

/// All TIFFs of the collections.
fn files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    for folder in ["tiffs", "xray16"].into_iter().filter_map(cellgate_test_support::shared) {
        files.extend(
            folder
                .read_dir()
                .expect("a folder that is there")
                .map(|entry| entry.expect("an entry of a folder that was opened").path())
                .filter(|path| path.extension().is_some_and(|e| e != "tsv")),
        );
    }
    files.sort();
    files
}

#[test]
fn each_file_ends_quietly_within_time_and_memory() {
    let (mut images, mut refused) = (0, 0);
    for path in files() {
        let start = Instant::now();
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_reads_one_file", "--ignored", "--nocapture"])
            .env(CHILD_INPUT, &path)
            .output()
            .unwrap();
        let (took, name) = (start.elapsed(), path.display());
        let (stdout, stderr) = (String::from_utf8_lossy(&child.stdout), String::from_utf8_lossy(&child.stderr));
        assert!(child.status.success(), "{name}: {}\n{stdout}\n{stderr}", child.status);
        assert_eq!(stderr, "", "{name}");
        assert!(took < MAX_TIME, "{name}: {took:?}");
        let line = stdout.lines().find_map(|line| line.split_once("child: ")).expect("the child's line").1;
        let (peak, outcome) = line.split_once(" KiB, ").unwrap();
        assert!(peak.parse::<u64>().unwrap() < MAX_MEMORY_KIB, "{name}: {peak} KiB");
        println!("{took:>9.2?} {peak:>7} KiB  {outcome}");
        if outcome.starts_with("image") { images += 1 } else { refused += 1 }
    }
    println!("{images} images, {refused} refused");
}

#[test]
#[ignore = "run by each_file_ends_quietly_within_time_and_memory, in a separate process"]
fn child_reads_one_file() {
    let path = PathBuf::from(std::env::var_os(CHILD_INPUT).expect("the file to read"));
    let outcome = match read(&path, &RadiographLimits::default()) {
        Ok(image) => format!("image of {} x {}: {}", image.width(), image.height(), path.display()),
        Err(error) => error.to_string(),
    };
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap().trim();
    println!("child: {}, {outcome}", peak.replace(" kB", " KiB"));
}

#[test]
fn each_truncation_gives_an_image_or_an_error() {
    let mut reader = RadiographReader::new(RadiographLimits::default());
    let (mut images, mut refused) = (0, 0);
    for path in files() {
        let bytes = std::fs::read(&path).unwrap();
        if reader.decode(&bytes, &path).is_err() {
            continue;
        }
        // All lengths of a small file. Of a larger file, the lengths near both ends and about 200 in between.
        let step = (bytes.len() / 200).max(1);
        let near_the_ends = |len: usize| len < 300 || bytes.len() - len < 300;
        for len in (0..bytes.len()).filter(|len| bytes.len() < 10_000 || near_the_ends(*len) || len % step == 0) {
            let start = Instant::now();
            match reader.decode(&bytes[..len], Path::new("truncated.tif")) {
                Ok(_) => images += 1,
                Err(ReadError::Malformed { .. }) => refused += 1,
                Err(error) => panic!("{} cut to {len}: {error}", path.display()),
            }
            assert!(start.elapsed() < MAX_TIME, "{} cut to {len}", path.display());
        }
    }
    println!("{images} images, {refused} refused");
}
