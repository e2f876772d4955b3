//! Which engine judges, and what becomes of one that fails.

use crate::plant::{Plant, wait_for};
use crate::plc::Plc;
use crate::support::*;
use cellgate_protocol::code::WireVerdict;
use cellgate_protocol::reason::ReasonCode;
use std::fs;

#[test]
fn an_engine_that_fails_costs_its_part_and_is_loaded_anew() {
    let plant = Plant::with_model("native", "part-id", |folder| {
        model(folder, &contents("fails_when_bright.onnx", mean_sigmoid(DARK)))
    });
    let plc = Plc::new(&plant, "native");
    plc.pass(&plant, 1);
    plc.wait_ready();
    plant.scan(2, &plant.images[2]);
    plc.trigger(2, 5_000);
    let (_, outcome) = plc.outcome(2);
    assert_eq!(outcome.decision.verdict(), WireVerdict::Reject, "{outcome:?}");
    assert_eq!(outcome.claim.unwrap().reason, ReasonCode::ENGINE_FAILED);
    wait_for("the engine to be proven again", || plant.log().matches("golden images their scores").count() == 2);
    assert!(plant.log().contains("the engine failed; it is loaded anew"), "{}", plant.log());
    plc.pass(&plant, 3);
    plc.seen().agrees_with(&plant.rows(), 3);
}

#[test]
fn the_engine_that_is_asked_for_judges_or_none() {
    let mut plant = Plant::new("native", "part-id");
    wait_for("the engine", || plant.log().contains("golden images their scores"));
    assert!(plant.log().contains("judging with ONNX Runtime on the CPU, as "), "{}", plant.log());
    assert_eq!(plant.stop(), Some(0));
    let config = fs::read_to_string(plant.path("edge.toml")).unwrap();
    fs::write(plant.path("edge.toml"), config.replace("threads = 1", "threads = 1\nengine = \"tensorrt\"")).unwrap();
    plant.start();
    let plc = Plc::new(&plant, "native");
    wait_for("the engine's refusal", || plant.log().contains("not ready: the engine was refused"));
    assert!(plc.seen().ready.is_none());
    let text = run(&mut plant.program(&["doctor", "--config", "edge.toml"]), 1);
    let text = String::from_utf8(text.stdout).unwrap();
    // Where there is a GPU, this network is too small a reason to have a plan of it here: the folder of plans is not there.
    let what_to_do = if cfg!(feature = "tensorrt") { "install" } else { "engine = \"onnxruntime\"" };
    assert!(text.contains(what_to_do), "what to do: {text}");
}
