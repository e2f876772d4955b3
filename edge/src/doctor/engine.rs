//! Checks the engine that would judge: whether all that it needs exists, whether it passes its proof, and why it was chosen.

use super::folder::{folder, or_here};
use crate::appliance::activation;
use crate::config::Config;
use crate::finding::{Finding, FindingState};
use crate::pipeline::{EngineChoice, Pipeline};
use crate::tensorrt;
use cellgate_models::model::{self, Model};
use cellgate_models::one_line;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Checks what TensorRT needs, if the configuration asks for it, then the model with its engine.
pub(super) fn examine(config: &Config) -> Vec<Finding> {
    let mut findings = tensorrt::findings(&config.model);
    findings.push(model_and_engine(config));
    findings
}

/// Checks model, engine, sandbox and golden images as `run` would use them, but keeps no plan.
fn model_and_engine(config: &Config) -> Finding {
    let what = "model and engine";
    let model = match Model::open(&config.model.path, &model::ModelLimits::default()) {
        Ok(model) => model,
        Err(error) => {
            return Finding::failure(what, format!("{}; set [model] path to an exported model", one_line(&error)));
        }
    };
    let start = Instant::now();
    let mut activation = activation(config);
    activation.engine.tensorrt.keep = false;
    match Pipeline::activate(&model, &activation) {
        Ok((pipeline, chosen)) => {
            let (ms, slowest) = (start.elapsed().as_millis(), pipeline.slowest_inference().as_millis());
            let missing = pipeline.sandbox().protections().missing();
            let found = format!(
                "{}: {chosen}; the golden images have their expected outputs ({ms} ms, the slowest {slowest} ms)",
                config.model.path.display()
            );
            // `auto` chose the CPU, which is a problem if there is a GPU.
            let is_cpu_by_auto = config.model.engine == EngineChoice::Auto && !chosen.is_on_gpu;
            let gpu = gpu_node(Path::new("/dev")).filter(|_| is_cpu_by_auto);
            let hints = [
                chosen.is_plan_new.then(|| plan_hint(&config.model.plans)),
                (!missing.required().is_empty())
                    .then(|| format!("the image decoder lacks {missing}: a newer Linux kernel has them")),
                gpu.map(|node| gpu_hint(&node)),
            ];
            let hints: String = hints.into_iter().flatten().map(|hint| format!("; {hint}")).collect();
            let state = if hints.is_empty() && !chosen.is_fallback { FindingState::Ok } else { FindingState::Warning };
            Finding::new(what, state, found + &hints)
        }
        Err(error) => Finding::failure(what, error.in_one_line()),
    }
}

/// Says what to do about a plan that was built for this check.
fn plan_hint(plans: &Path) -> String {
    let place = if plans.is_dir() { plans } else { or_here(plans.parent().unwrap_or(plans)) };
    let (built, plans) = ("the plan was built for this check and not kept", plans.display());
    if folder("plans", place).state == FindingState::Ok {
        format!(
            "{built}; at its start the appliance builds the plan again before it gets ready, and keeps the plan in {plans}; run \
             `cellgate-edge plan build` to build and keep the plan now"
        )
    } else {
        format!(
            "{built}; at each start the appliance builds the plan again before it gets ready, because it can't keep the plan in \
             {plans}: make that a folder in which this user may write"
        )
    }
}

/// Returns the first file in the folder `devices` (`/dev`) that stands for an NVIDIA GPU: on a card, in a Jetson, or in WSL.
fn gpu_node(devices: &Path) -> Option<PathBuf> {
    const NODES: [&str; 5] = ["nvidia0", "nvhost-gpu", "nvhost-ctrl-gpu", "nvgpu", "dxg"];
    NODES.into_iter().map(|node| devices.join(node)).find(|node| node.exists())
}

/// Says what to do about a GPU that exists but does not judge.
fn gpu_hint(node: &Path) -> String {
    format!(
        "{} exists, but the GPU does not judge: make TensorRT usable, or set engine = \"onnxruntime\"; on a Jetson the user needs \
         the groups video and render, which edge/systemd/jetson.conf grants",
        node.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hint_about_a_new_plan_says_whether_it_can_be_kept() {
        let folder = tempfile::tempdir().unwrap();
        let plans = [folder.path().join("plans"), "plans-beside-the-configuration".into(), "/nowhere/at/all".into()];
        let hints = plans.map(|plans| plan_hint(&plans)).join("\n");
        insta::assert_snapshot!("plan_hints", hints.replace(folder.path().to_str().unwrap(), "FOLDER"));
    }

    #[test]
    fn a_gpu_is_found_by_its_device_node() {
        let devices = tempfile::tempdir().unwrap();
        assert_eq!(gpu_node(devices.path()), None);
        std::fs::create_dir(devices.path().join("nvgpu")).unwrap();
        assert_eq!(gpu_node(devices.path()), Some(devices.path().join("nvgpu")));
        std::fs::write(devices.path().join("nvidia0"), "").unwrap();
        let node = gpu_node(devices.path()).unwrap();
        assert!(gpu_hint(&node).contains("nvidia0"));
    }
}
