//! Tests the choice of the engine, and what happens when an engine fails.

use crate::flipped::Weights;
use crate::plant::{Plant, wait_for};
use crate::plc::Plc;
use crate::support::*;
use cellgate_models::model::GoldenSource;
use cellgate_protocol::code::WireVerdict;
use cellgate_protocol::reason::ReasonCode;
use std::fs;

#[test]
fn an_engine_that_fails_costs_one_part_and_is_loaded_again() {
    let plant = Plant::with_model("native", "part-id", |folder| {
        model(folder, &contents("fails_when_bright.onnx", mean_logit(DARK)))
    });
    let plc = Plc::new(&plant, "native");
    plc.pass(&plant, 1);
    plc.wait_ready();
    plant.scan(2, &plant.images[2]);
    plc.trigger(2, 5_000);
    let (_, outcome) = plc.outcome(2);
    assert_eq!(outcome.decision.verdict(), WireVerdict::Reject, "{outcome:?}");
    assert_eq!(outcome.claim.unwrap().reason, ReasonCode::ENGINE_FAILED);
    plant.wait_ready_again();
    assert_eq!(plant.events("engine_failed"), 1, "{}", plant.log());
    plc.pass(&plant, 3);
    plc.seen().assert_agrees_with(&plant.rows(), 3);
}

/// The golden image is dark, so these networks pass the proof. Their outputs for a bright image contradict each other.
#[test]
fn an_engine_whose_map_does_not_sum_to_the_logit_costs_one_part_and_is_loaded_again() {
    for network in ["wrong_map_when_bright.onnx", "wrong_logit_when_bright.onnx", "nan_map_when_bright.onnx"] {
        let plant =
            Plant::with_model("native", "part-id", |folder| model(folder, &contents(network, mean_logit(DARK))));
        let plc = Plc::new(&plant, "native");
        plc.pass(&plant, 1);
        plc.wait_ready();
        plant.scan(2, &plant.images[2]);
        plc.trigger(2, 5_000);
        let (_, outcome) = plc.outcome(2);
        assert_eq!(outcome.decision.verdict(), WireVerdict::Reject, "{outcome:?}");
        assert_eq!(outcome.claim.unwrap().reason, ReasonCode::ENGINE_FAILED, "{network}");
        plant.wait_ready_again();
        assert_eq!(plant.events("engine_failed"), 1, "{}", plant.log());
        plc.pass(&plant, 3);
        let rows = plant.rows();
        let detail = rows[1]["detail"].as_str().unwrap();
        assert!(detail.contains("found shares of the map that sum to ") && detail.contains(" within "), "{detail}");
        plc.seen().assert_agrees_with(&rows, 3);
    }
}

/// A plant whose engine is proven on this number of golden images within one minute.
fn proven_every_minute(network: &str, golden_images: u32) -> Plant {
    let mut plant = Plant::with_model("native", "part-id", |folder| {
        let mut contents = contents(network, mean_logit(DARK));
        let golden = contents.golden.remove(0);
        contents.golden =
            (0..golden_images).map(|n| GoldenSource { name: format!("{n:02}.tif"), ..golden.clone() }).collect();
        model(folder, &contents)
    });
    plant.wait_for_events("engine_proven", 1);
    assert_eq!(plant.stop(), Some(0));
    let config = fs::read_to_string(plant.path("edge.toml")).unwrap();
    fs::write(plant.path("edge.toml"), config.replace("threads = 1", "threads = 1\nprove_every_minutes = 1")).unwrap();
    plant.start();
    plant
}

/// Waits until the appliance is ready after the log's entry number `count` with this event.
fn wait_ready_after(plant: &Plant, event: &str, count: usize) {
    let field = format!("event={event:?}");
    wait_for(event, || plant.log().split(&field).nth(count).is_some_and(|after| after.contains("state=READY")));
}

/// 12 golden images in one minute are one every 5 s. The logit of the dark image is -2.0. With the other sign of the first weight it
/// is 1.7.
#[test]
fn a_weight_that_flips_in_memory_is_found_by_the_next_proof_and_by_nothing_before() {
    let plant = proven_every_minute("weighted_mean.onnx", 12);
    let plc = Plc::new(&plant, "native");
    plc.pass(&plant, 1);
    // In the ONNX file, which the appliance keeps in memory to load the engine again, they are not at a multiple of 16 bytes.
    let weights = Weights::find(plant.appliance.as_ref().unwrap(), [3.7, 0.1, 0.11, 0.09]);
    let (proofs, again) = (plant.events("engine_proven"), plant.events("engine_proven_again") + 1);
    wait_ready_after(&plant, "engine_proven_again", again);
    assert!(weights.flip_first_sign() > 0);
    plc.wait_ready();
    plant.scan(2, &plant.images[0]);
    plc.trigger(2, 5_000);
    assert_eq!(
        plc.outcome(2).1.claim.unwrap().reason,
        ReasonCode::SCORE_FROM_REJECT,
        "the map sums to the wrong logit"
    );
    plant.wait_for_events("engine_refused", 1);
    assert_eq!((plant.events("engine_failed"), plant.events("engine_proven_again")), (0, again), "{}", plant.log());
    wait_ready_after(&plant, "engine_proven", proofs + 1);
    plc.pass(&plant, 3);
    plc.seen().assert_agrees_with(&plant.rows(), 3);
}

/// 20 golden images in one minute are one every 3 s.
#[test]
fn a_running_engine_is_proven_on_one_golden_image_after_the_other() {
    let plant = proven_every_minute("mean.onnx", 20);
    let plc = Plc::new(&plant, "native");
    for part in 1..=3 {
        wait_ready_after(&plant, "engine_proven_again", part as usize);
        plc.pass(&plant, part);
    }
    for (golden, line) in plant.log_lines("engine_proven_again")[..3].iter().enumerate() {
        assert!(line.contains(&format!(" golden={golden} ")), "{line}");
    }
    plc.seen().assert_agrees_with(&plant.rows(), 3);
}

#[test]
fn only_the_configured_engine_judges() {
    let mut plant = Plant::new("native", "part-id");
    plant.wait_for_events("engine_proven", 1);
    let chosen = [plant.log_lines("engine_chosen"), plant.log_lines("engine_fallback")].concat();
    assert!(chosen.len() == 1 && chosen[0].contains("engine=\"ONNX Runtime on the CPU\""), "{}", plant.log());
    assert_eq!(plant.stop(), Some(0));
    let config = fs::read_to_string(plant.path("edge.toml")).unwrap();
    fs::write(plant.path("edge.toml"), config.replace("threads = 1", "threads = 1\nengine = \"tensorrt\"")).unwrap();
    plant.start();
    let plc = Plc::new(&plant, "native");
    plant.wait_for_events("engine_refused", 1);
    assert!(plc.seen().ready.is_none());
    let text = run(&mut plant.program(&["doctor", "--config", "edge.toml"]), 1);
    let text = String::from_utf8(text.stdout).unwrap();
    let advice = if cfg!(feature = "tensorrt") { "NVIDIA driver" } else { "engine = \"onnxruntime\"" };
    assert!(text.contains(advice), "{text}");
}
