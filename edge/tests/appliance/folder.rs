//! The scanner's folder is gone for a while: no part passes, the appliance lives on, and goes on once the folder is back.

use crate::plant::{Plant, wait_for};
use crate::support::*;
use std::fs;
use std::time::Duration;

#[test]
fn a_folder_that_is_lost_stops_the_line_and_not_the_appliance() {
    let mut plant = Plant::new("native", "part-id");
    plant.tray("native", 3, 1, 0);
    fs::rename(plant.path("scans"), plant.path("elsewhere")).unwrap();
    wait_for("the loss in the log", || plant.log().contains("the scanner's folder is lost"));
    // Longer than a worker may stand still.
    let output = run(plant.impatient_plc("native", 1, 4).args(["--patience", "4"]), 2);
    assert!(stderr(&output).contains("did not get ready within 4 s"), "{}", stderr(&output));
    assert_eq!(plant.log().matches("the scanner's folder is lost").count(), 1, "{}", plant.log());
    fs::create_dir(plant.path("scans")).unwrap();
    wait_for("the folder in the log", || plant.log().contains("the scanner's folder is watched again"));
    let told = plant.tray("native", 3, 4, 0);
    assert_eq!(told[0]["gate"], "PASS");

    // Nothing moves but what the path leads over: the kernel tells nothing of that.
    fs::rename(plant.path("scans"), plant.path("first")).unwrap();
    std::os::unix::fs::symlink(plant.path("first"), plant.path("scans")).unwrap();
    wait_for("the link in the log", || plant.log().matches("watched again").count() == 2);
    fs::create_dir(plant.path("second")).unwrap();
    fs::remove_file(plant.path("scans")).unwrap();
    std::os::unix::fs::symlink(plant.path("second"), plant.path("scans")).unwrap();
    wait_for("the other link in the log", || plant.log().matches("watched again").count() == 3);
    std::thread::sleep(Duration::from_millis(200));
    let told = plant.tray("native", 3, 7, 0);
    assert_eq!(told[0]["gate"], "PASS");
    assert_eq!((plant.rows().len(), plant.stop()), (9, Some(0)));
}
