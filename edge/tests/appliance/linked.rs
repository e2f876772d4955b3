//! Hard links: an image that gets its name by one is judged, and one that gets another name by a backup is the same image.

use crate::SEEN;
use crate::plant::{Plant, wait_for};
use crate::support::*;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

/// Publishes a part's image as Qt's QFile::rename and atomicwrites do.
fn link(plant: &Plant, part: u64, image: &Path) {
    let hidden = plant.path(&format!("scans/.{part}"));
    fs::copy(image, &hidden).unwrap();
    fs::hard_link(&hidden, plant.path(&format!("scans/{part}.tif"))).unwrap();
    fs::remove_file(&hidden).unwrap();
}

#[test]
fn an_image_that_gets_its_name_by_a_hard_link_is_judged() {
    let plant = Plant::new("native", "part-id");
    wait_for("readiness", || plant.log().contains("golden images"));
    for (part, verdict) in [(1, "PASS"), (2, "REVIEW"), (3, "REJECT")] {
        link(&plant, part, &plant.images[part as usize - 1]);
        let told = lines(&run(&mut plant.plc("native", 1, part), 0));
        assert_eq!((&told[0]["device"], &told[0]["gate"]), (&verdict.into(), &verdict.into()), "{told:?}");
    }
    wait_for("the images in the archive", || plant.archived().len() == 3);
    symlink(&plant.images[0], plant.path("scans/4.tif")).unwrap();
    fs::create_dir(plant.path("scans/5.tif")).unwrap();
    wait_for("both warnings", || plant.log().matches("ignored: a folder, link or pipe is no image").count() == 2);
}

#[test]
fn free_running_an_image_that_gets_its_name_by_a_hard_link_is_judged() {
    let plant = Plant::new("native", "free-running");
    wait_for("readiness", || plant.log().contains("golden images"));
    link(&plant, 1, &plant.images[0]);
    wait_for("the image in the archive", || plant.archived().len() == 1);
    assert_eq!(plant.rows()[0]["verdict"], "PASS");
}

/// Writes other levels into the file, as a program does that keeps its length and sets the time of its last write back.
fn rewrite_unseen(path: &Path, image: &Path) {
    let written = path.metadata().unwrap().modified().unwrap();
    let bytes = fs::read(image).unwrap();
    assert_eq!(path.metadata().unwrap().len(), bytes.len() as u64);
    let mut file = File::options().write(true).open(path).unwrap();
    file.write_all(&bytes).unwrap();
    file.set_modified(written).unwrap();
}

/// A copy of `image` that zeros make `len` bytes long.
fn longer(plant: &Plant, image: &Path, len: usize) -> PathBuf {
    let mut bytes = fs::read(image).unwrap();
    bytes.resize(len, 0);
    let path = plant.path(&format!("{}-{len}", image.file_name().unwrap().to_str().unwrap()));
    fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn a_hard_link_to_an_image_that_waits_is_no_change_and_a_write_through_it_is_one() {
    let plant = Plant::new("native", "part-id");
    wait_for("readiness", || plant.log().contains("golden images"));
    let len = plant.images.iter().map(|image| image.metadata().unwrap().len() as usize).max().unwrap() + 1;
    let (good, bad) = (longer(&plant, &plant.images[0], len), longer(&plant, &plant.images[2], len));
    for (part, image, gate) in [(1, &good, "PASS"), (2, &good, "PASS"), (3, &good, "PASS"), (4, &bad, "REJECT")] {
        let (scan, backup) = (plant.path(&format!("scans/{part}.tif")), plant.path(&format!("backup-{part}")));
        plant.scan(part, image);
        std::thread::sleep(SEEN);
        match part {
            3 => fs::set_permissions(&scan, fs::Permissions::from_mode(0o600)).unwrap(),
            _ => fs::hard_link(&scan, &backup).unwrap(),
        }
        match part {
            2 => fs::remove_file(&backup).unwrap(),
            4 => rewrite_unseen(&backup, &good),
            _ => {}
        }
        let told = lines(&run(&mut plant.plc("native", 1, part), 0));
        assert_eq!(told[0]["gate"], gate, "{told:?}");
    }
    wait_for("all images in the archive", || plant.archived().len() == 4);
    let archived = plant.archived();
    for (part, ending) in [(1, "-1-PASS.tif"), (2, "-2-PASS.tif"), (3, "-3-PASS.tif"), (4, "-4.tif")] {
        assert!(archived.iter().any(|name| name.ends_with(ending)), "{part}: {archived:?}");
    }
    assert_eq!(plant.lying(), 0);
    let row = &plant.rows()[3];
    assert_eq!((&row["reason"], &row["image"]), (&"IMAGE_MISMATCH".into(), &serde_json::Value::Null));
    assert!(row["detail"].as_str().unwrap().contains("it was written to"), "{row}");
}
