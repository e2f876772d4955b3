//! The thread that moves images to the archive stands still: verdicts go on, and no image is lost.

use crate::agree;
use crate::frozen::Frozen;
use crate::plant::{Plant, wait_for};
use rustix::process::Signal;

#[test]
fn an_archive_that_stands_still_holds_up_no_verdict_and_loses_no_image() {
    let mut plant = Plant::new("native", "part-id");
    let mut outcomes = plant.tray("native", 1, 1, 0)[..1].to_vec();
    wait_for("the first image in the archive", || plant.archived().len() == 1);
    let frozen = Frozen::new(plant.appliance.as_ref().unwrap(), "archiver");
    for first in [2, 17] {
        // The images begin anew with each tray.
        outcomes.extend_from_slice(&plant.tray("native", 15, first, 0)[..15]);
    }
    assert_eq!((plant.lying(), plant.archived().len()), (30, 1), "judged images stay where they are");
    drop(frozen);
    wait_for("all images in the archive", || plant.archived().len() == 31);
    assert_eq!(plant.lying(), 0);

    let frozen = Frozen::new(plant.appliance.as_ref().unwrap(), "archiver");
    outcomes.extend_from_slice(&plant.tray("native", 3, 32, 0)[..3]);
    crate::plant::signal(plant.appliance.as_ref().unwrap(), Signal::TERM);
    assert_eq!(plant.ended(|| frozen.reap()), Some(70), "it does not wait for the archive for ever");
    drop(frozen);
    assert_eq!(plant.lying(), 3);
    plant.start();
    wait_for("the images that lay there", || plant.archived().len() == 34);
    assert_eq!(plant.archived().iter().filter(|name| name.starts_with("unjudged-")).count(), 3);
    let rows = plant.rows();
    let images = |from: usize, to: usize| (&rows[from..to], &outcomes[from..to]);
    for (from, to) in [(0, 1), (1, 16), (16, 31), (31, 34)] {
        let (rows, outcomes) = images(from, to);
        agree(rows, outcomes, from as u64 + 1);
    }
}
