//! Writes TensorRT plans beside the model. They are for other programs, on computers that have a GPU of a known
//! architecture and trust the computer that built the plans.
//!
//! The folder `MODEL-plans` holds:
//!
//! | file | content |
//! |---|---|
//! | `sm86-f16.plan` and so on | one plan for each architecture and each precision of the model, in TensorRT's format |
//! | `conversion.json` | the conversion with its bounds; it must be applied to a radiograph before a plan runs |
//! | `plans.json` | the model's digest, TensorRT's version, and the SHA-256 of each plan |
//!
//! The folder is not part of the model and has no signature, although a plan is executable code. Devices never load it.
//! They build their own plans.

pub use cellgate_models::plan::{SUBCOMMAND as PLAN_WORKER, serve as serve_plan_worker};

use cellgate_models::digest::Digest;
use cellgate_models::model::{self, CONVERSION, Existing, Model, ModelError};
use cellgate_models::plan::{
    BuildRequest, ComputeCapability, Library, ParseCapabilityError, PlanError, Target, TensorRt, build_in_child, probe,
};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::Write as _;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// The file that lists the plans.
const INDEX: &str = "plans.json";

/// Error of making plans. If the model was written already, it stays.
#[derive(Debug, thiserror::Error)]
pub enum PlansError {
    /// A value of `--tensorrt` is not a compute capability.
    #[error("--tensorrt: {0}")]
    Capability(#[from] ParseCapabilityError),
    /// TensorRT is missing, or could not build a plan.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The exported model can't be read.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A file or folder can't be written or moved.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The plans' folder exists already.
    #[error("{}: exists already{hint}", path.display())]
    Exists {
        /// The folder.
        path: PathBuf,
        /// What the user can do.
        hint: &'static str,
    },
}

/// The plans to be built.
#[derive(Debug)]
pub struct Plans {
    model: PathBuf,
    folder: PathBuf,
    targets: Vec<ComputeCapability>,
    tensorrt: TensorRt,
}

impl Plans {
    /// Checks everything that can be checked before the model is written: the architectures, TensorRT, and the plans' folder.
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
            Existing::Refuse => Some("; remove it, name another --out, or replace it with --replace"),
            Existing::Replace if folder.join(INDEX).is_file() => None,
            Existing::Replace => Some(" and holds no plans; remove it, or name another --out"),
        };
        match hint {
            Some(hint) => Err(PlansError::Exists { path: folder, hint }),
            None => Ok(Self { model: model.to_owned(), folder, targets, tensorrt }),
        }
    }

    /// Builds the plans of the exported model. The folder with the plans is moved into place once it is complete. Returns the
    /// path of the folder and the content of `plans.json`.
    ///
    /// # Errors
    /// [`PlansError`].
    pub fn write(&self) -> Result<Value, PlansError> {
        let model = Model::open(&self.model, &model::ModelLimits::default())?;
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

    /// Builds one plan into `folder`. Returns its entry for the index.
    fn plan(
        &self,
        model: &Model,
        precision: model::Precision,
        target: ComputeCapability,
        folder: &Path,
    ) -> Result<Value, PlansError> {
        let network = model.network(precision).unwrap_or_default();
        let request = BuildRequest { network, precision, target: Target::Named(target), library: None };
        let built = build_in_child(&request, &|_| ControlFlow::Continue(()))?;
        if built.tensorrt != self.tensorrt {
            return Err(PlanError::Changed { found: built.tensorrt, expected: self.tensorrt }.into());
        }
        let file = format!("{target}-{precision}.plan");
        write_file(&folder.join(&file), &built.plan)?;
        tracing::info!(event = "plan_written", file, bytes = built.plan.len(), "a TensorRT plan was written");
        let tensors = |tensors: &[cellgate_models::plan::TensorInfo]| -> Vec<String> {
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
