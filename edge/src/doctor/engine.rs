//! Checks the engine that would judge: whether all that it needs exists, whether it passes its proof, and why it was chosen.

use super::folder::{folder, or_here};
use crate::appliance::activation;
use crate::config::Config;
use crate::finding::{Finding, FindingState};
use crate::gpu_files::GpuFiles;
use crate::pipeline::{EngineChoice, Pipeline};
use crate::tensorrt;
use cellgate_models::model::{self, Model};
use cellgate_models::one_line;
use std::path::Path;
use std::time::Instant;

/// Checks what TensorRT needs and the GPU's device files, if the configuration asks for the GPU, then the model with its engine.
pub(super) fn examine(config: &Config) -> Vec<Finding> {
    let mut findings = tensorrt::findings(&config.model);
    findings.extend(gpu_files(config.model.engine, Path::new("/")));
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
            let hints = [
                chosen.is_plan_new.then(|| plan_hint(&config.model.plans)),
                (!missing.required().is_empty())
                    .then(|| format!("the image decoder lacks {missing}: a newer Linux kernel has them")),
                chosen.unused_gpu.as_ref().map(gpu_hint),
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

/// Checks the device files of the GPU, if there is one and the engine may use it. `root` is the machine's root folder (`/`).
fn gpu_files(engine: EngineChoice, root: &Path) -> Option<Finding> {
    let what = "GPU's files";
    let state_if_unusable = match engine {
        EngineChoice::OnnxRuntime => return None,
        EngineChoice::Auto => FindingState::Warning,
        EngineChoice::TensorRt => FindingState::Failure,
    };
    let found = GpuFiles::find(root)?;
    let state = if found.fault.is_some() { state_if_unusable } else { FindingState::Ok };
    Some(Finding::new(what, state, found.to_string()))
}

/// Says what to do about a GPU that exists but does not judge.
fn gpu_hint(gpu: &GpuFiles) -> String {
    format!(
        "{} exists, but the GPU does not judge: make TensorRT usable, or set engine = \"onnxruntime\"",
        gpu.sign.display()
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
    fn device_files_that_can_not_be_used_are_a_failure_only_if_the_engine_needs_the_gpu() {
        let root = tempfile::tempdir().unwrap();
        let states = || {
            [EngineChoice::OnnxRuntime, EngineChoice::Auto, EngineChoice::TensorRt]
                .map(|engine| gpu_files(engine, root.path()).map(|finding| finding.state))
        };
        assert_eq!(states(), [None; 3], "no GPU");
        let add = |file: &str| {
            let path = root.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        };
        ["proc/driver/nvidia/version", "dev/nvidiactl", "dev/nvidia0"].iter().for_each(|file| add(file));
        assert_eq!(states(), [None, Some(FindingState::Warning), Some(FindingState::Failure)], "no dev/nvidia-uvm");
        add("dev/nvidia-uvm");
        assert_eq!(states(), [None, Some(FindingState::Ok), Some(FindingState::Ok)]);
    }
}
