//! Gets the plan for this machine's GPU: a kept one, or one that is built now.

use super::gpu;
use crate::convert::cuda::{CudaError, driver_version};
use crate::journal::now_unix_ms;
use cellgate_models::model::{Model, Precision};
use cellgate_models::plan::cache::{AuthenticPlan, Cache, CacheError, DeviceKey, DeviceKeyError, Gpu, Lookup, PlanKey};
use cellgate_models::plan::{self, BuildRequest, BuildStep, Library, PlanError, Target, TensorRt};
use std::collections::BTreeSet;
use std::fmt::Display;
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Why there is no plan for this machine's GPU.
#[derive(Debug, thiserror::Error)]
pub enum NoPlan {
    /// There is no GPU that can be used.
    #[error(transparent)]
    Gpu(#[from] CudaError),
    /// TensorRT is missing, has another version, or could not build the plan.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The device's key can't be used.
    #[error(transparent)]
    Key(#[from] DeviceKeyError),
    /// The folder of plans can't be used.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

/// Where plans are kept, and the TensorRT that builds them.
#[derive(Debug, Clone, Copy)]
pub struct PlanPlace<'p> {
    /// The folder of plans.
    pub plans: &'p Path,
    /// The device's key.
    pub key: &'p Path,
    /// The folder with TensorRT's libraries; `None` searches for it.
    pub libraries: Option<&'p Path>,
}

impl PlanPlace<'_> {
    /// Opens the cache for writing. Creates folder and key if they are missing.
    ///
    /// Warns if the key's folder belongs to another user: an appliance that runs as that user can't read a key of this user.
    ///
    /// # Errors
    /// [`NoPlan`]: the key or the folder can't be used.
    pub fn open(&self) -> Result<Cache, NoPlan> {
        let user = rustix::process::geteuid().as_raw();
        if let Some((folder, owner)) = foreign_folder(self.key, user) {
            tracing::warn!(
                event = "plan_folder_foreign",
                folder = %folder.display(),
                owner,
                user,
                "the folder belongs to another user, who can't use a key and plans that this user creates there: run this program \
                 as the folder's owner"
            );
        }
        Ok(Cache::open(self.plans, DeviceKey::load_or_create(self.key)?)?)
    }

    /// Opens the cache for reading. Creates nothing.
    ///
    /// # Errors
    /// [`NoPlan`]: the key can't be used.
    pub fn look(&self) -> Result<Cache, NoPlan> {
        Ok(Cache::existing(self.plans, DeviceKey::load_or_unknown(self.key)?))
    }
}

/// The folder of the file `key` and the folder's owner. `None` if the owner is `user`, or if there is no such folder.
fn foreign_folder(key: &Path, user: u32) -> Option<(&Path, u32)> {
    let folder = key.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let owner = folder.metadata().ok()?.uid();
    (owner != user).then_some((folder, owner))
}

/// The plan that is requested.
#[derive(Debug, Clone, Copy)]
pub struct PlanRequest<'a> {
    /// The model.
    pub model: &'a Model,
    /// Which of the model's networks.
    pub precision: Precision,
    /// Where the plan is kept.
    pub place: PlanPlace<'a>,
    /// Whether a plan that is built is kept. If it is not, no file is changed.
    pub keep: bool,
}

/// Calls `load` with the plan for this machine's GPU. If no plan is kept, or the kept one can't be used, a plan is built.
/// `progress` receives each step of the build and may stop it.
///
/// TensorRT can refuse an authentic plan if its library was replaced by another build of the same version, or the driver by
/// another one. If `load` returns an error that `is_refusal` accepts as such a refusal, the plan is rebuilt and `load` is called
/// with the new plan. Only a plan that this process itself has built and kept is not rebuilt.
///
/// # Errors
/// [`NoPlan`], or the error of `load`.
pub fn with_plan<T, E: From<NoPlan> + Display>(
    request: &PlanRequest<'_>,
    progress: &dyn Fn(BuildStep<'_>) -> ControlFlow<()>,
    load: impl FnMut(&AuthenticPlan, PlanOrigin) -> Result<T, E>,
    is_refusal: impl Fn(&E) -> bool,
) -> Result<T, E> {
    let wanted = WantedPlan::new(request)?;
    load_kept_or_built(wanted.kept(), || wanted.build(progress), load, |error| is_refusal(error) && !wanted.is_own())
}

/// Where a plan comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlanOrigin {
    /// The plan was kept: this device built it earlier.
    Kept,
    /// The plan was built just now.
    Built,
}

/// Loads the kept plan. Builds and loads a new one if none is kept or TensorRT refuses the kept one.
fn load_kept_or_built<P, T, E: From<NoPlan> + Display>(
    kept: Option<P>,
    build: impl FnOnce() -> Result<P, NoPlan>,
    mut load: impl FnMut(&P, PlanOrigin) -> Result<T, E>,
    is_refusal: impl FnOnce(&E) -> bool,
) -> Result<T, E> {
    if let Some(plan) = kept {
        match load(&plan, PlanOrigin::Kept) {
            Err(error) if is_refusal(&error) => {
                tracing::warn!(event = "plan_refused", %error, "the kept plan is rebuilt");
            }
            loaded => return loaded,
        }
    }
    load(&build()?, PlanOrigin::Built)
}

/// Paths of the plans that this process has built and kept. If TensorRT refuses one of them, it is not built again.
static OWN: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// A request, with everything that identifies the requested plan.
struct WantedPlan<'a> {
    request: &'a PlanRequest<'a>,
    gpu: Gpu,
    tensorrt: TensorRt,
    cache: Cache,
    /// Whether a plan that is built is kept in the cache.
    keep: bool,
}

impl<'a> WantedPlan<'a> {
    fn new(request: &'a PlanRequest<'a>) -> Result<Self, NoPlan> {
        let gpu = gpu::detect()?;
        gpu.capability().check_local()?;
        let tensorrt = plan::probe(Library::Builder, request.place.libraries)?.tensorrt;
        let (cache, keep) = cache(request)?;
        Ok(Self { request, gpu, tensorrt, cache, keep })
    }

    fn key(&self, gpu: Gpu) -> PlanKey {
        let PlanRequest { model, precision, .. } = *self.request;
        PlanKey { model: model.digest(), precision, gpu, tensorrt: self.tensorrt }
    }

    /// The kept plan for exactly this GPU, else one for any GPU of its compute capability. `None` if no kept plan can be used.
    fn kept(&self) -> Option<AuthenticPlan> {
        let gpus = [self.gpu.clone(), Gpu::new(None, self.gpu.capability())];
        gpus.into_iter().find_map(|gpu| match self.cache.lookup(&self.key(gpu)) {
            Lookup::Hit(plan) => Some(plan),
            Lookup::Missing => None,
            Lookup::Refused { path, reason } => {
                tracing::warn!(event = "plan_rejected", path = %path.display(), %reason, "the kept plan is not used");
                None
            }
        })
    }

    fn build(&self, progress: &dyn Fn(BuildStep<'_>) -> ControlFlow<()>) -> Result<AuthenticPlan, NoPlan> {
        let PlanRequest { model, precision, place, .. } = *self.request;
        tracing::info!(event = "plan_build_started", %precision, gpu = %self.gpu, "building a plan");
        let start = Instant::now();
        let network = model.network(precision).unwrap_or_default();
        let library = place.libraries.map(Path::to_owned);
        let plan = build(
            &BuildRequest { network, precision, target: Target::Device, library },
            self.key(self.gpu.clone()),
            progress,
        )?;
        tracing::info!(event = "plan_built", seconds = start.elapsed().as_secs(), "the plan is built");
        if !self.keep {
            return Ok(plan);
        }
        match self.cache.store(&plan) {
            Ok(path) => {
                tracing::info!(event = "plan_kept", path = %path.display(), "the plan is kept");
                OWN.lock().unwrap_or_else(PoisonError::into_inner).insert(path);
            }
            Err(error) => tracing::warn!(event = "plan_not_kept", %error, "{NOT_KEPT}"),
        }
        Ok(plan)
    }

    /// Whether this process has built the kept plan.
    fn is_own(&self) -> bool {
        let path = self.cache.path(&self.key(self.gpu.clone()));
        OWN.lock().unwrap_or_else(PoisonError::into_inner).contains(&path)
    }
}

/// Opens the cache. Also returns whether built plans are kept there: a device that can't write to the cache judges nevertheless.
fn cache(request: &PlanRequest<'_>) -> Result<(Cache, bool), NoPlan> {
    if !request.keep {
        return Ok((request.place.look()?, false));
    }
    match request.place.open() {
        Ok(cache) => Ok((cache, true)),
        Err(error @ (NoPlan::Cache(_) | NoPlan::Key(DeviceKeyError::Io { .. }))) => {
            // Fails if the key exists and can't be read.
            let cache = request.place.look()?;
            tracing::warn!(event = "plan_cache_not_writable", %error, "{NOT_KEPT}");
            Ok((cache, false))
        }
        Err(error) => Err(error),
    }
}

/// The log message if a plan can't be kept.
const NOT_KEPT: &str = "a plan that is built is used but not kept, so that each start builds it again: let this user write to the folder of plans and to the key's folder";

/// Builds the plan that `key` identifies, in a child process.
///
/// # Errors
/// [`PlanError`].
pub fn build(
    request: &BuildRequest<'_>,
    key: PlanKey,
    progress: &dyn Fn(BuildStep<'_>) -> ControlFlow<()>,
) -> Result<AuthenticPlan, PlanError> {
    let built = plan::build_in_child(request, progress)?;
    AuthenticPlan::new(key, u64::try_from(now_unix_ms() / 1000).unwrap_or(0), built)
}

/// The child process of [`build`].
///
/// Loads CUDA's driver first, as the parent did: TensorRT asks the system's loader for `libcuda.so.1`, and the loader does not know a
/// file that `CELLGATE_CUDA` names or that is in a folder of its own. It takes the file that is loaded already.
///
/// # Errors
/// As [`plan::serve`].
pub fn serve() -> io::Result<()> {
    if let Err(error) = driver_version() {
        // TensorRT for RTX needs no driver to build for a named compute capability. For this machine's GPU the parent has found one.
        tracing::debug!(event = "plan_worker_without_driver", %error, "the process that builds plans has no driver");
    }
    plan::serve()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    fn refused() -> NoPlan {
        PlanError::Refused { message: "built by another".to_owned() }.into()
    }

    /// The plans that `load` received in order, and the plan that was loaded. `load` accepts only the plan `good`.
    fn loaded(kept: Option<&str>, good: &str, is_refusal: bool) -> (Vec<String>, Option<String>) {
        let seen = RefCell::new(Vec::new());
        let load = |plan: &String, origin| {
            assert_eq!(origin == PlanOrigin::Built, plan == "built");
            seen.borrow_mut().push(plan.clone());
            if plan == good { Ok(plan.clone()) } else { Err(refused()) }
        };
        let build = || Ok("built".to_owned());
        let result = load_kept_or_built(kept.map(str::to_owned), build, load, |_: &NoPlan| is_refusal);
        if let Err(error) = &result {
            assert!(matches!(error, NoPlan::Plan(PlanError::Refused { .. })), "{error}");
        }
        (seen.take(), result.ok())
    }

    #[test]
    fn a_kept_plan_that_is_refused_is_rebuilt_once() {
        assert_eq!(loaded(Some("kept"), "kept", true), (vec!["kept".to_owned()], Some("kept".to_owned())));
        assert_eq!(loaded(None, "built", true), (vec!["built".to_owned()], Some("built".to_owned())));
        let both = vec!["kept".to_owned(), "built".to_owned()];
        assert_eq!(loaded(Some("kept"), "built", true), (both.clone(), Some("built".to_owned())));
        assert_eq!(loaded(Some("kept"), "none", true), (both, None));
        assert_eq!(loaded(Some("kept"), "built", false), (vec!["kept".to_owned()], None));
    }

    #[test]
    fn a_folder_of_another_user_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let owner = folder.path().metadata().unwrap().uid();
        let key = folder.path().join("plan.key");
        assert_eq!(foreign_folder(&key, owner), None);
        assert_eq!(foreign_folder(&key, owner + 1), Some((folder.path(), owner)));
        let missing = folder.path().join("missing/plan.key");
        assert_eq!(foreign_folder(&missing, owner), None, "creating the key reports a missing folder");
    }
}
