//! Tests with a scanner that reuses a file name. No part may be judged on bytes that its image did not have when the image arrived.

use crate::plant::{Plant, wait_for};
use crate::plc::Plc;
use crate::{ORDER_PAUSE, SEEN};
use cellgate_protocol::code::WireVerdict;
use cellgate_protocol::reason::ReasonCode;
use std::fs::{self, File};
use std::io::Write as _;

/// Writes the next part's good image over this part's bad image, under the same name. The good image must not give this part a PASS.
fn check_a_file_that_is_being_rewritten(matching: &str) {
    let plant = Plant::new("native", matching);
    let plc = Plc::new(&plant, "native");
    plc.wait_ready();
    if matching == "image-first" {
        std::thread::sleep(ORDER_PAUSE);
    }
    let scan = plant.path("scans/7.tif");
    fs::write(&scan, fs::read(&plant.images[2]).unwrap()).unwrap();
    std::thread::sleep(SEEN);
    let mut next = File::create(&scan).unwrap();
    next.write_all(&fs::read(&plant.images[0]).unwrap()).unwrap();
    next.sync_all().unwrap();
    plc.trigger(7, 2_000);
    let (_, outcome) = plc.outcome(7);
    assert_eq!(outcome.decision.verdict(), WireVerdict::Reject, "{outcome:?}");
    assert_eq!(outcome.claim.unwrap().reason, ReasonCode::IMAGE_MISMATCH);
    let rows = plant.rows();
    assert_eq!((&rows[0]["score"], &rows[0]["image"]), (&serde_json::Value::Null, &serde_json::Value::Null));
    drop(next);
    wait_for("the file to be set aside", || plant.scan_count() == 0);
    assert!(plant.archived().iter().all(|name| name.starts_with("unjudged-")), "{:?}", plant.archived());
    if matching == "image-first" {
        plc.wait_ready();
        plant.scan(8, &plant.images[0]);
        std::thread::sleep(SEEN);
        plc.trigger(8, 2_000);
        let (_, outcome) = plc.outcome(8);
        assert_eq!(outcome.claim.unwrap().reason, ReasonCode::IMAGE_MISMATCH, "the order is lost until a pause");
    }
}

#[test]
fn by_order_a_file_that_is_being_rewritten_does_not_pass() {
    check_a_file_that_is_being_rewritten("image-first");
}

#[test]
fn by_number_a_file_that_is_being_rewritten_does_not_pass() {
    check_a_file_that_is_being_rewritten("part-id");
}

/// The next part's image replaces an image of the same name that is judged, but not archived yet. The new file must not be archived
/// under the name of the earlier part.
#[test]
fn images_with_the_same_name_are_not_archived_under_another_part() {
    let mut plant = Plant::new("native", "image-first");
    let plc = Plc::new(&plant, "native");
    plc.wait_ready();
    std::thread::sleep(ORDER_PAUSE);
    let place = |image: usize| {
        fs::copy(&plant.images[image], plant.path(".scan")).unwrap();
        fs::rename(plant.path(".scan"), plant.path("scans/scan.tif")).unwrap();
    };
    let frozen = crate::frozen::Frozen::new(plant.appliance.as_ref().unwrap(), "archiver");
    for (part, image) in [(1, 0), (2, 1), (3, 2)] {
        place(image);
        std::thread::sleep(SEEN);
        plc.wait_ready();
        plc.trigger(part, 3_000);
        plc.outcome(part);
    }
    drop(frozen);
    wait_for("the last image in the archive", || plant.scan_count() == 0);
    drop(plc);
    assert_eq!(plant.stop(), Some(0));
    let verdicts: Vec<_> = plant.rows().iter().map(|row| row["verdict"].as_str().unwrap().to_owned()).collect();
    assert_eq!(verdicts, ["PASS", "REVIEW", "REJECT"]);
    assert_eq!(plant.archived(), ["0000000003-3-REJECT.tif"]);
    let changed = plant.log_lines("judged_image_changed");
    assert!(changed.len() == 2 && changed.iter().all(|line| line.contains("change=Replaced")), "{}", plant.log());
}
