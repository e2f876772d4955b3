//! Tests the choice of the engine, and what happens when an engine fails.

use crate::plant::Plant;
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

/// 20 golden images in one minute are one every 3 s.
#[test]
fn a_running_engine_is_proven_on_one_golden_image_after_the_other() {
    let mut plant = Plant::with_model("native", "part-id", |folder| {
        let mut contents = contents("mean.onnx", mean_logit(DARK));
        let golden = contents.golden.remove(0);
        contents.golden = (0..20).map(|n| GoldenSource { name: format!("{n:02}.tif"), ..golden.clone() }).collect();
        model(folder, &contents)
    });
    plant.wait_for_events("engine_proven", 1);
    assert_eq!(plant.stop(), Some(0));
    let config = fs::read_to_string(plant.path("edge.toml")).unwrap();
    fs::write(plant.path("edge.toml"), config.replace("threads = 1", "threads = 1\nprove_every_minutes = 1")).unwrap();
    plant.start();
    let plc = Plc::new(&plant, "native");
    for part in 1..=3 {
        plant.wait_for_events("engine_proven_again", part as usize);
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
