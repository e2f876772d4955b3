//! Tests the archive: maps beside the images of judged parts, and the quota while a bundle runs. Freezes the archiver's thread, and
//! checks that verdicts continue and that no image is lost.

use crate::assert_agree;
use crate::bundles::{confirm, judged, with_reference};
use crate::frozen::Frozen;
use crate::plant::{Plant, wait_for};
use crate::plc::Plc;
use crate::support::*;
use cellgate_models::conversion::Size;
use cellgate_models::engine::LogitMap;
use cellgate_protocol::bundle::ConfirmResult;
use cellgate_protocol::reason::ReasonCode;
use rustix::process::Signal;
use std::fs;
use std::io::BufReader;
use std::path::{Path, PathBuf};

/// The input of six_cells.onnx, with 2 x 3 cells.
const INPUT: Size = Size { height: 20, width: 36 };

/// The map of six_cells.onnx: 1/21 to 6/21 of the logit.
fn six_cells(logit: f32) -> LogitMap {
    let shares = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0].map(|part: f32| part / 21.0 * logit);
    LogitMap::new(LogitMap::size_for(INPUT), shares.to_vec()).unwrap()
}

fn with_six_cells(folder: &Path) -> PathBuf {
    let mut contents = contents("six_cells.onnx", mean_logit(DARK));
    contents.conversion = contents.conversion.with_size(INPUT);
    contents.golden[0].map = six_cells(mean_logit(DARK));
    model(folder, &contents)
}

/// The shares in the PNG file of a map, as edge/README.md says how to recover them.
fn shares_in(path: &Path) -> Vec<f32> {
    let mut reader = png::Decoder::new(BufReader::new(fs::File::open(path).unwrap())).read_info().unwrap();
    let mut levels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut levels).unwrap();
    assert_eq!((info.height, info.width, info.color_type), (2, 3, png::ColorType::Grayscale));
    let texts = &reader.info().uncompressed_latin1_text;
    let share =
        |keyword: &str| -> f32 { texts.iter().find(|text| text.keyword == keyword).unwrap().text.parse().unwrap() };
    let (lowest, highest) = (share("Cellgate lowest share"), share("Cellgate highest share"));
    levels.iter().map(|level| lowest + f32::from(*level) / 255.0 * (highest - lowest)).collect()
}

#[test]
fn the_map_of_each_judged_image_is_archived_beside_it() {
    let plant = Plant::with_model("native", "part-id", with_six_cells);
    plant.run_parts("native", 3, 1, 0);
    // A part without a judged image.
    fs::write(plant.path(".4"), b"not a radiograph").unwrap();
    fs::rename(plant.path(".4"), plant.path("scans/4.tif")).unwrap();
    run(&mut plant.plc("native", 1, 4), 0);
    wait_for("the images in the archive", || plant.archived().len() == 4);
    wait_for("the maps in the archive", || plant.archive("png").len() == 3);
    for ((map, image), level) in plant.archive("png").iter().zip(plant.archive("tif")).zip([DARK, MIDDLE, BRIGHT]) {
        assert_eq!(*map, image.with_extension("map.png"));
        let expected = six_cells(mean_logit(level));
        // Within 1/510 of the range, which is 5/21 of the logit, and the rounding of f32.
        let most = mean_logit(level).abs() * (5.0 / 21.0 / 510.0 + 1e-5);
        for (found, expected) in shares_in(map).iter().zip(expected.shares()) {
            assert!((found - expected).abs() <= most, "{}: {found} {expected}", map.display());
        }
    }
}

#[test]
fn without_archive_maps_only_images_are_archived() {
    let mut plant = Plant::new("native", "part-id");
    plant.wait_for_events("engine_proven", 1);
    assert_eq!(plant.stop(), Some(0));
    let config = fs::read_to_string(plant.path("edge.toml")).unwrap();
    fs::write(plant.path("edge.toml"), config.replace("[plc]", "archive_maps = false\n[plc]")).unwrap();
    plant.start();
    plant.run_parts("native", 3, 1, 0);
    assert_eq!(plant.stop(), Some(0), "the archiver has done everything");
    assert_eq!((plant.archived().len(), plant.archive("png").len()), (3, 0));
}

/// Kills the appliance when it has archived `parts` images, exceeds the quota of 1 MiB by an unjudged image that is newer than all
/// others, and starts the appliance again, which enforces the quota at once. Returns the names of the images that are left, each of which
/// must have its map.
fn left_over_quota(plant: &mut Plant, plc: &Plc, parts: usize) -> Vec<String> {
    wait_for("the images in the archive", || plant.archived().len() == parts);
    plant.kill();
    plc.wait_not_ready();
    let newest = plant.archive("tif").pop().unwrap().with_file_name("unjudged-1728000000000-9.tif");
    fs::write(&newest, vec![0; 1 << 20]).unwrap();
    plant.start();
    wait_for("an archive within its quota", || !newest.exists());
    plc.wait_ready();
    let images = plant.archive("tif");
    let maps: Vec<_> = images.iter().map(|image| image.with_extension("map.png")).collect();
    assert_eq!(plant.archive("png"), maps);
    plant.archived()
}

#[test]
fn the_quota_deletes_no_image_of_the_running_bundles_reference_parts() {
    let mut plant = Plant::with_model("native", "part-id", with_reference);
    plant.wait_for_events("engine_proven", 1);
    assert_eq!(plant.stop(), Some(0));
    let config = fs::read_to_string(plant.path("edge.toml")).unwrap();
    fs::write(plant.path("edge.toml"), config.replace("[plc]", "archive_quota_mib = 1\n[plc]")).unwrap();
    plant.start();
    let plc = Plc::new(&plant, "native");
    let (dark, bright) = (plant.images[0].clone(), plant.images[2].clone());
    let first = judged(&plant, &plc, (1, 7), &dark, ReasonCode::REFERENCE_PART);
    judged(&plant, &plc, (2, 7), &bright, ReasonCode::SCORE_FROM_REJECT);
    let third = judged(&plant, &plc, (3, 7), &dark, ReasonCode::REFERENCE_PART);
    assert_eq!(confirm(&plc, &first, 7), ConfirmResult::CONFIRMED);
    let [first, second, third_name] = ["0000000001-1-REVIEW.tif", "0000000002-2-REJECT.tif", "0000000003-3-REVIEW.tif"];
    assert_eq!(
        left_over_quota(&mut plant, &plc, 3),
        [first, second, third_name],
        "the third part may still be confirmed"
    );
    assert_eq!(confirm(&plc, &third, 7), ConfirmResult::CONFIRMED);
    judged(&plant, &plc, (4, 7), &dark, ReasonCode::SCORE_BELOW_REVIEW);
    assert_eq!(left_over_quota(&mut plant, &plc, 4), [first, third_name], "with the offset");
    judged(&plant, &plc, (5, 8), &dark, ReasonCode::REFERENCE_PART);
    assert_eq!(left_over_quota(&mut plant, &plc, 3), ["0000000005-5-REVIEW.tif"], "another bundle is running");
}

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
