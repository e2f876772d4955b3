//! The engine that would judge: what there is for it, whether it is proven, and why it is the one.

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

/// The model with its engine, and before it what the GPU's engine needs, where that one is wanted.
pub(super) fn examine(config: &Config) -> Vec<Finding> {
    let mut findings = tensorrt::findings(&config.model);
    findings.push(model_and_engine(config));
    findings
}

/// Model, engine, sandbox and golden images, as `run` takes them.
fn model_and_engine(config: &Config) -> Finding {
    let what = "model and engine";
    let model = match Model::open(&config.model.path, &model::ModelLimits::default()) {
        Ok(model) => model,
        Err(error) => {
            return Finding::failure(what, format!("{}; set [model] path to an exported one", one_line(&error)));
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
                "{}: {chosen}; the golden images got their scores in {ms} ms, the slowest in {slowest} ms",
                config.model.path.display()
            );
            let is_unasked = config.model.engine == EngineChoice::Auto && !chosen.is_on_gpu;
            let gpu = gpu_node(Path::new("/dev")).filter(|_| is_unasked);
            let hints = [
                chosen.is_plan_new.then(|| plan_hint(&config.model.plans)),
                (!missing.required().is_empty())
                    .then(|| format!("the decoder lacks {missing}: a newer kernel has them")),
                gpu.map(|node| gpu_hint(&node)),
            ];
            let hints: String = hints.into_iter().flatten().map(|hint| format!("; {hint}")).collect();
            let state = if hints.is_empty() && !chosen.is_fallback { FindingState::Ok } else { FindingState::Warning };
            Finding::new(what, state, found + &hints)
        }
        Err(error) => Finding::failure(what, error.in_one_line()),
    }
}

/// What to do about a plan that is not kept.
fn plan_hint(plans: &Path) -> String {
    let place = if plans.is_dir() { plans } else { or_here(plans.parent().unwrap_or(plans)) };
    let kept = if folder("plans", place).state == FindingState::Ok { "keeps" } else { "can't keep" };
    format!(
        "the plan was built for this look and is not kept: the appliance builds it before it is ready, and {kept} it in {}; \
         `cellgate-edge plan build` does that now",
        plans.display()
    )
}

/// The first node of an NVIDIA GPU in `devices`: of a card, of a Jetson, of Windows' Linux.
fn gpu_node(devices: &Path) -> Option<PathBuf> {
    const NODES: [&str; 5] = ["nvidia0", "nvhost-gpu", "nvhost-ctrl-gpu", "nvgpu", "dxg"];
    NODES.into_iter().map(|node| devices.join(node)).find(|node| node.exists())
}

/// What to do about a GPU that is there and does not judge.
fn gpu_hint(node: &Path) -> String {
    format!(
        "{} is there: let the GPU judge, or say engine = \"onnxruntime\"; a Jetson's is for the groups video and render, which \
         edge/systemd/jetson.conf gives",
        node.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_that_is_not_kept_is_told_of_with_what_becomes_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let hint = plan_hint(&folder.path().join("plans"));
        assert!(hint.contains("and keeps it in") && hint.contains("plan build"), "{hint}");
        assert!(
            plan_hint(Path::new("plans-beside-the-configuration")).contains("and keeps it in"),
            "the working folder"
        );
        assert!(plan_hint(Path::new("/nowhere/at/all")).contains("and can't keep it in /nowhere/at/all"));
    }

    #[test]
    fn a_gpu_that_is_there_is_seen_by_its_node() {
        let devices = tempfile::tempdir().unwrap();
        assert_eq!(gpu_node(devices.path()), None);
        std::fs::create_dir(devices.path().join("nvgpu")).unwrap();
        assert_eq!(gpu_node(devices.path()), Some(devices.path().join("nvgpu")));
        std::fs::write(devices.path().join("nvidia0"), "").unwrap();
        let node = gpu_node(devices.path()).unwrap();
        assert!(gpu_hint(&node).contains("nvidia0 is there"));
    }
}
