//! Freezes the archiver's thread, and checks that verdicts continue and that no image is lost.

use crate::assert_agree;
use crate::frozen::Frozen;
use crate::plant::{Plant, wait_for};
use rustix::process::Signal;

#[test]
fn a_frozen_archiver_delays_no_verdict_and_loses_no_image() {
    let mut plant = Plant::new("native", "part-id");
    let mut outcomes = plant.run_parts("native", 1, 1, 0)[..1].to_vec();
    wait_for("the first image in the archive", || plant.archived().len() == 1);
    let frozen = Frozen::new(plant.appliance.as_ref().unwrap(), "archiver");
    for first in [2, 17] {
        // Each call starts again with the first of the three images, so `first` is a part that gets a PASS.
        outcomes.extend_from_slice(&plant.run_parts("native", 15, first, 0)[..15]);
    }
    assert_eq!((plant.scan_count(), plant.archived().len()), (30, 1), "judged images stay in their folder");
    drop(frozen);
    wait_for("all images in the archive", || plant.archived().len() == 31);
    assert_eq!(plant.scan_count(), 0);

    let frozen = Frozen::new(plant.appliance.as_ref().unwrap(), "archiver");
    outcomes.extend_from_slice(&plant.run_parts("native", 3, 32, 0)[..3]);
    crate::plant::signal(plant.appliance.as_ref().unwrap(), Signal::TERM);
    assert_eq!(plant.wait_for_exit(|| frozen.reap()), Some(70), "the wait for the archiver is limited");
    drop(frozen);
    assert_eq!(plant.scan_count(), 3);
    plant.start();
    wait_for("the images left by the previous start", || plant.archived().len() == 34);
    // These images were judged but not yet moved when the appliance ended. The new start does not know that they were judged, so it
    // archives them under names that begin with `unjudged-`.
    assert_eq!(plant.archived().iter().filter(|name| name.starts_with("unjudged-")).count(), 3);
    let rows = plant.rows();
    // One range of parts for each call of `run_parts`.
    for (from, to) in [(0, 1), (1, 16), (16, 31), (31, 34)] {
        assert_agree(&rows[from..to], &outcomes[from..to], from as u64 + 1);
    }
}
