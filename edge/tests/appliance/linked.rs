//! Hard links: an image that gets its name by one is judged, and one that gets another name by a backup is the same image.

use crate::SEEN;
use crate::plant::{Plant, wait_for};
use crate::support::*;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

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

#[test]
fn a_hard_link_to_an_image_that_waits_is_no_change_and_other_rights_are_named() {
    let plant = Plant::new("native", "part-id");
    wait_for("readiness", || plant.log().contains("golden images"));
    for (part, gate) in [(1, "PASS"), (2, "REJECT")] {
        let scan = plant.path(&format!("scans/{part}.tif"));
        plant.scan(part, &plant.images[0]);
        std::thread::sleep(SEEN);
        if gate == "PASS" {
            fs::hard_link(&scan, plant.path("backup")).unwrap();
        } else {
            fs::set_permissions(&scan, fs::Permissions::from_mode(0o600)).unwrap();
        }
        let told = lines(&run(&mut plant.plc("native", 1, part), 0));
        assert_eq!(told[0]["gate"], gate, "{told:?}");
    }
    wait_for("both images in the archive", || plant.archived().len() == 2);
    let is_there = |ending: &str| plant.archived().iter().any(|name| name.ends_with(ending));
    assert!(is_there("-1-PASS.tif") && is_there("-2.tif") && plant.lying() == 0, "{:?}", plant.archived());
    let row = &plant.rows()[1];
    assert_eq!(row["reason"], "IMAGE_MISMATCH");
    assert!(row["detail"].as_str().unwrap().contains("its owner, rights, times"), "{row}");
}
