//! Tests with hard links: an image that the scanner publishes by a hard link is judged, and a hard link that a backup makes does not
//! count as a change of the image.

use crate::SEEN;
use crate::plant::{Plant, wait_for};
use crate::support::*;
use cellgate_edge::acquire::Change;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

/// Publishes a part's image with a hard link, as Qt's QFile::rename and atomicwrites do.
fn publish_by_link(plant: &Plant, part: u64, image: &Path) {
    let hidden = plant.path(&format!("scans/.{part}"));
    fs::copy(image, &hidden).unwrap();
    fs::hard_link(&hidden, plant.path(&format!("scans/{part}.tif"))).unwrap();
    fs::remove_file(&hidden).unwrap();
}

#[test]
fn an_image_published_by_a_hard_link_is_judged() {
    let plant = Plant::new("native", "part-id");
    plant.wait_for_events("engine_proven", 1);
    for (part, verdict) in [(1, "PASS"), (2, "REVIEW"), (3, "REJECT")] {
        publish_by_link(&plant, part, &plant.images[part as usize - 1]);
        let outcomes = lines(&run(&mut plant.plc("native", 1, part), 0));
        assert_eq!((&outcomes[0]["device"], &outcomes[0]["gate"]), (&verdict.into(), &verdict.into()), "{outcomes:?}");
    }
    wait_for("the images in the archive", || plant.archived().len() == 3);
    symlink(&plant.images[0], plant.path("scans/4.tif")).unwrap();
    fs::create_dir(plant.path("scans/5.tif")).unwrap();
    plant.wait_for_events("not_a_file", 2);
}

#[test]
fn free_running_an_image_published_by_a_hard_link_is_judged() {
    let plant = Plant::new("native", "free-running");
    plant.wait_for_events("engine_proven", 1);
    publish_by_link(&plant, 1, &plant.images[0]);
    wait_for("the image in the archive", || plant.archived().len() == 1);
    assert_eq!(plant.rows()[0]["verdict"], "PASS");
}

/// Overwrites the file with the bytes of `image`, keeps the file's length and restores the time of its last write.
fn rewrite_unnoticed(path: &Path, image: &Path) {
    let written = path.metadata().unwrap().modified().unwrap();
    let bytes = fs::read(image).unwrap();
    assert_eq!(path.metadata().unwrap().len(), bytes.len() as u64);
    let mut file = File::options().write(true).open(path).unwrap();
    file.write_all(&bytes).unwrap();
    file.set_modified(written).unwrap();
}

/// The path of a copy of `image` that is padded with zeros to `len` bytes.
fn longer(plant: &Plant, image: &Path, len: usize) -> PathBuf {
    let mut bytes = fs::read(image).unwrap();
    bytes.resize(len, 0);
    let path = plant.path(&format!("{}-{len}", image.file_name().unwrap().to_str().unwrap()));
    fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn a_hard_link_to_a_waiting_image_is_no_change_but_a_write_through_it_is() {
    let plant = Plant::new("native", "part-id");
    plant.wait_for_events("engine_proven", 1);
    let len = plant.images.iter().map(|image| image.metadata().unwrap().len() as usize).max().unwrap() + 1;
    let (good, bad) = (longer(&plant, &plant.images[0], len), longer(&plant, &plant.images[2], len));
    // Part 1 keeps its hard link, 2 loses it again, 3 gets other permissions instead, 4 is overwritten through its hard link.
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
            4 => rewrite_unnoticed(&backup, &good),
            _ => {}
        }
        let outcomes = lines(&run(&mut plant.plc("native", 1, part), 0));
        assert_eq!(outcomes[0]["gate"], gate, "{outcomes:?}");
    }
    wait_for("all images in the archive", || plant.archived().len() == 4);
    let archived = plant.archived();
    for (part, ending) in [(1, "-1-PASS.tif"), (2, "-2-PASS.tif"), (3, "-3-PASS.tif"), (4, "-4.tif")] {
        assert!(archived.iter().any(|name| name.ends_with(ending)), "{part}: {archived:?}");
    }
    assert_eq!(plant.scan_count(), 0);
    let row = &plant.rows()[3];
    assert_eq!((&row["reason"], &row["image"]), (&"IMAGE_MISMATCH".into(), &serde_json::Value::Null));
    assert!(row["detail"].as_str().unwrap().contains(&Change::Written.to_string()), "{row}");
}
