//! Takes the scanner's folder away for a while. No part may pass, and the appliance must continue once the folder is back.

use crate::plant::Plant;
use crate::support::*;
use std::fs;
use std::time::Duration;

#[test]
fn a_lost_folder_stops_the_line_but_not_the_appliance() {
    let mut plant = Plant::new("native", "part-id");
    plant.run_parts("native", 3, 1, 0);
    fs::rename(plant.path("scans"), plant.path("elsewhere")).unwrap();
    plant.wait_for_events("folder_lost", 1);
    // 4 s is longer than a supervised thread may be stuck without ending the appliance.
    let output = run(plant.plc_without_patience("native", 1, 4).args(["--patience", "4"]), 2);
    assert!(stderr(&output).contains(" 4 s"), "{}", stderr(&output));
    assert_eq!(plant.events("folder_lost"), 1, "{}", plant.log());
    fs::create_dir(plant.path("scans")).unwrap();
    plant.wait_for_events("folder_watched_again", 1);
    let outcomes = plant.run_parts("native", 3, 4, 0);
    assert_eq!(outcomes[0]["gate"], "PASS");

    // The path becomes a symbolic link, which then leads to another folder. The Linux kernel reports no event for a changed link.
    fs::rename(plant.path("scans"), plant.path("first")).unwrap();
    std::os::unix::fs::symlink(plant.path("first"), plant.path("scans")).unwrap();
    plant.wait_for_events("folder_watched_again", 2);
    fs::create_dir(plant.path("second")).unwrap();
    fs::remove_file(plant.path("scans")).unwrap();
    std::os::unix::fs::symlink(plant.path("second"), plant.path("scans")).unwrap();
    plant.wait_for_events("folder_watched_again", 3);
    std::thread::sleep(Duration::from_millis(200));
    let outcomes = plant.run_parts("native", 3, 7, 0);
    assert_eq!(outcomes[0]["gate"], "PASS");
    assert_eq!((plant.rows().len(), plant.stop()), (9, Some(0)));
}
