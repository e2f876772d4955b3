//! TensorRT plans beside the model, for hosts of known GPU architectures that trust this one.
//!
//! The folder `MODEL-plans` holds
//!
//! | file | content |
//! |---|---|
//! | `sm86-f16.plan` and so on | one plan for each architecture and precision of the model, as TensorRT reads it |
//! | `conversion.json` | the model's conversion with its bounds: what a radiograph must go through before the plan |
//! | `plans.json` | of which model and by which TensorRT, and each plan's SHA-256 |
//!
//! It is no part of the model and has no signature: a plan is executable code. Devices never load it; they build their own.

pub use cellgate_models::plan::{SUBCOMMAND as PLAN_WORKER, serve as serve_plan_worker};

use cellgate_models::model::{self, Model, ModelError, CONVERSION, Existing};
use cellgate_models::digest::Digest;
use cellgate_models::plan::{
    ComputeCapability, Library, ParseCapabilityError, PlanError, Request, Target, TensorRt, build_in_child, probe,
};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::Write as _;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// The file that lists the plans.
const INDEX: &str = "plans.json";

/// Why there are no plans. The model is there if it was written before.
#[derive(Debug, thiserror::Error)]
pub enum PlansError {
    /// No compute capability.
    #[error("--tensorrt: {0}")]
    Capability(#[from] ParseCapabilityError),
    /// TensorRT is missing, or built none.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The model that was written can't be read.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Something is at the place of the plans.
    #[error("{}: exists already{hint}", path.display())]
    Exists {
        /// The place.
        path: PathBuf,
        /// What can be done about it.
        hint: &'static str,
    },
}

/// Plans to be built.
#[derive(Debug)]
pub struct Plans {
    model: PathBuf,
    folder: PathBuf,
    targets: Vec<ComputeCapability>,
    tensorrt: TensorRt,
}

impl Plans {
    /// Checks all that can be checked before the model is there: the architectures, TensorRT, and the place.
    ///
    /// # Errors
    /// [`PlansError`].
    pub fn prepare(targets: &[String], model: &Path, existing: Existing) -> Result<Self, PlansError> {
        let targets = targets.iter().map(|text| text.parse()).collect::<Result<Vec<ComputeCapability>, _>>()?;
        let tensorrt = probe(Library::Builder, None)?.tensorrt;
        targets.iter().try_for_each(|target| target.check_named())?;
        let mut name = model.file_name().unwrap_or_default().to_owned();
        name.push("-plans");
        let folder = model.with_file_name(name);
        let hint = match existing {
            _ if folder.symlink_metadata().is_err() => None,
            Existing::Refuse => Some("; remove it, name another place, or replace it with --replace"),
            Existing::Replace if folder.join(INDEX).is_file() => None,
            Existing::Replace => Some(" and holds no plans; remove it or name another place"),
        };
        match hint {
            Some(hint) => Err(PlansError::Exists { path: folder, hint }),
            None => Ok(Self { model: model.to_owned(), folder, targets, tensorrt }),
        }
    }

    /// Builds the plans of the model that was written, and moves their folder into place when it is complete.
    ///
    /// # Errors
    /// [`PlansError`].
    pub fn write(&self) -> Result<Value, PlansError> {
        let model = Model::open(&self.model, &model::Limits::default())?;
        let parent = match self.folder.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let temporary =
            tempfile::Builder::new().prefix(".plans.").suffix(".tmp").tempdir_in(parent).map_err(io(parent))?;
        let new = temporary.path().join("new");
        fs::create_dir(&new).map_err(io(&new))?;
        let mut plans = Vec::new();
        for &target in &self.targets {
            for network in &model.manifest().networks {
                plans.push(self.plan(&model, network.precision, target, &new)?);
            }
        }
        write_file(&new.join(CONVERSION), &pretty(model.conversion()))?;
        let index = json!({
            "model": model.digest(),
            "tensorrt": self.tensorrt.to_string(),
            "conversion": CONVERSION,
            "plans": plans,
        });
        write_file(&new.join(INDEX), &pretty(&index))?;
        if self.folder.symlink_metadata().is_ok() {
            fs::rename(&self.folder, temporary.path().join("old")).map_err(io(&self.folder))?;
        }
        fs::rename(&new, &self.folder).map_err(io(&self.folder))?;
        Ok(json!({"folder": self.folder, "index": index}))
    }

    /// Builds one plan into `folder`; gives its line of the index.
    fn plan(
        &self,
        model: &Model,
        precision: model::Precision,
        target: ComputeCapability,
        folder: &Path,
    ) -> Result<Value, PlansError> {
        let network = model.network(precision).unwrap_or_default();
        let request = Request { network, precision, target: Target::Named(target), library: None };
        let built = build_in_child(&request, &|_| ControlFlow::Continue(()))?;
        if built.tensorrt != self.tensorrt {
            return Err(PlanError::Changed { found: built.tensorrt, expected: self.tensorrt }.into());
        }
        let file = format!("{target}-{precision}.plan");
        write_file(&folder.join(&file), &built.plan)?;
        tracing::info!("{file}: {:.1} MB", built.plan.len() as f64 / 1e6);
        let tensors = |tensors: &[cellgate_models::plan::Tensor]| -> Vec<String> {
            tensors.iter().map(ToString::to_string).collect()
        };
        Ok(json!({
            "file": file,
            "target": target.to_string(),
            "precision": precision,
            "bytes": built.plan.len(),
            "sha256": Digest::of(&built.plan),
            "inputs": tensors(&built.network.inputs),
            "outputs": tensors(&built.network.outputs),
        }))
    }
}

fn pretty(value: &impl serde::Serialize) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(value).expect("these types are always JSON");
    bytes.push(b'\n');
    bytes
}

fn write_file(path: &Path, bytes: &[u8]) -> Result<(), PlansError> {
    let mut file = File::create_new(path).map_err(io(path))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(io(path))
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> PlansError {
    let path = path.to_owned();
    |source| PlansError::Io { path, source }
}
