//! The plan that this GPU runs: what this device built before, or builds now.

use super::gpu;
use crate::convert::cuda::CudaError;
use crate::journal::now_unix_ms;
use cellgate_models::model::{Model, Precision};
use cellgate_models::plan::cache::{AuthenticPlan, Cache, CacheError, DeviceKey, DeviceKeyError, Gpu, Lookup, PlanKey};
use cellgate_models::plan::{self, BuildRequest, BuildStep, Library, PlanError, Target, TensorRt};
use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Why there is no plan for the GPU at hand.
#[derive(Debug, thiserror::Error)]
pub enum NoPlan {
    /// There is no GPU.
    #[error(transparent)]
    Gpu(#[from] CudaError),
    /// TensorRT is missing, another one, or built none.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The device's key can't be used.
    #[error(transparent)]
    Key(#[from] DeviceKeyError),
    /// The folder of plans can't be used.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

/// Where plans are kept, and what builds them.
#[derive(Debug, Clone, Copy)]
pub struct PlanPlace<'p> {
    /// The folder of plans.
    pub plans: &'p Path,
    /// The device's key.
    pub key: &'p Path,
    /// The folder with TensorRT's libraries; none searches for it.
    pub libraries: Option<&'p Path>,
}

impl PlanPlace<'_> {
    /// The cache to be written to; folder and key are made where they are missing. A folder of another user's is warned of:
    /// the appliance as that user can't read what is made here.
    ///
    /// # Errors
    /// [`NoPlan`]: the key or the folder can't be used.
    pub fn open(&self) -> Result<Cache, NoPlan> {
        if let Some(words) = foreign_folder(self.key, rustix::process::geteuid().as_raw()) {
            tracing::warn!("{words}");
        }
        Ok(Cache::open(self.plans, DeviceKey::load_or_create(self.key)?)?)
    }

    /// The cache to be looked at; nothing is made.
    ///
    /// # Errors
    /// [`NoPlan`]: the key can't be used.
    pub fn look(&self) -> Result<Cache, NoPlan> {
        Ok(Cache::existing(self.plans, DeviceKey::load_or_unknown(self.key)?))
    }
}

/// What is wrong with `user` making files beside `key`.
fn foreign_folder(key: &Path, user: u32) -> Option<String> {
    let folder = key.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let owner = folder.metadata().ok()?.uid();
    (owner != user).then(|| {
        format!(
            "{} belongs to user {owner}, and this runs as user {user}: a key and plans that it makes there user {owner} can't \
             use; run it as that user",
            folder.display()
        )
    })
}

/// Which plan.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The model.
    pub model: &'a Model,
    /// Which of its networks.
    pub precision: Precision,
    /// Where it is kept.
    pub place: PlanPlace<'a>,
    /// Whether one that is built now is kept; else nothing is changed.
    pub keep: bool,
}

/// Has `load` take the plan for the GPU at hand. Where none is kept, or what is kept is not to be used, it is built; `progress`
/// is told of each step, and may stop it.
///
/// An authentic plan can be refused nevertheless: by a TensorRT that was replaced by another build of the same version, or after
/// a new driver. So where `is_refusal` says that an error of `load`'s is one, the plan is built anew and `load` gets that; not
/// where this process itself has built and kept what is refused.
///
/// # Errors
/// [`NoPlan`], or `load`'s.
pub fn with_plan<T, E: From<NoPlan> + Display>(
    asked: &Asked<'_>,
    progress: &dyn Fn(BuildStep<'_>) -> ControlFlow<()>,
    load: impl FnMut(&AuthenticPlan, PlanOrigin) -> Result<T, E>,
    is_refusal: impl Fn(&E) -> bool,
) -> Result<T, E> {
    let wanted = WantedPlan::new(asked)?;
    take(wanted.kept(), || wanted.build(progress), load, |error| is_refusal(error) && !wanted.is_own())
}

/// Where a plan comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlanOrigin {
    /// This device built it before, and has kept it.
    Kept,
    /// It was built just now.
    Built,
}

/// The kept plan, else one that is built, or both where the kept one is refused.
fn take<P, T, E: From<NoPlan> + Display>(
    kept: Option<P>,
    build: impl FnOnce() -> Result<P, NoPlan>,
    mut load: impl FnMut(&P, PlanOrigin) -> Result<T, E>,
    is_refusal: impl FnOnce(&E) -> bool,
) -> Result<T, E> {
    if let Some(plan) = kept {
        match load(&plan, PlanOrigin::Kept) {
            Err(error) if is_refusal(&error) => tracing::warn!("{error}; it is built anew"),
            loaded => return loaded,
        }
    }
    load(&build()?, PlanOrigin::Built)
}

/// Plans that this process has built and kept: where they are refused, they are not built again and again.
static OWN: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// What is asked for, with all that decides on it.
struct WantedPlan<'a> {
    asked: &'a Asked<'a>,
    gpu: Gpu,
    tensorrt: TensorRt,
    cache: Cache,
    /// Whether a plan that is built is kept in the cache.
    keep: bool,
}

impl<'a> WantedPlan<'a> {
    fn new(asked: &'a Asked<'a>) -> Result<Self, NoPlan> {
        let gpu = gpu::detect()?;
        gpu.capability().check_at_hand()?;
        let tensorrt = plan::probe(Library::Builder, asked.place.libraries)?.tensorrt;
        let (cache, keep) = cache(asked)?;
        Ok(Self { asked, gpu, tensorrt, cache, keep })
    }

    fn key(&self, gpu: Gpu) -> PlanKey {
        let Asked { model, precision, .. } = *self.asked;
        PlanKey { model: model.digest(), precision, gpu, tensorrt: self.tensorrt }
    }

    /// One for this very GPU, else one for any of its compute capability.
    fn kept(&self) -> Option<AuthenticPlan> {
        let gpus = [self.gpu.clone(), Gpu::new(None, self.gpu.capability())];
        gpus.into_iter().find_map(|gpu| match self.cache.lookup(&self.key(gpu)) {
            Lookup::Hit(plan) => Some(plan),
            Lookup::Missing => None,
            Lookup::Refused { path, reason } => {
                tracing::warn!("{}: {reason}; not used", path.display());
                None
            }
        })
    }

    fn build(&self, progress: &dyn Fn(BuildStep<'_>) -> ControlFlow<()>) -> Result<AuthenticPlan, NoPlan> {
        let Asked { model, precision, place, .. } = *self.asked;
        tracing::info!("building the plan of {precision} for {}", self.gpu);
        let start = Instant::now();
        let network = model.network(precision).unwrap_or_default();
        let library = place.libraries.map(Path::to_owned);
        let plan = build(
            &BuildRequest { network, precision, target: Target::Device, library },
            self.key(self.gpu.clone()),
            progress,
        )?;
        tracing::info!(seconds = start.elapsed().as_secs(), "the plan is built");
        if !self.keep {
            return Ok(plan);
        }
        match self.cache.store(&plan) {
            Ok(path) => {
                tracing::info!("kept {}", path.display());
                OWN.lock().unwrap_or_else(PoisonError::into_inner).insert(path);
            }
            Err(error) => tracing::warn!("{error}; {NOT_KEPT}"),
        }
        Ok(plan)
    }

    /// Whether what is kept was built by this process.
    fn is_own(&self) -> bool {
        let path = self.cache.path(&self.key(self.gpu.clone()));
        OWN.lock().unwrap_or_else(PoisonError::into_inner).contains(&path)
    }
}

/// The cache, and whether what is built is kept there: a device that can't write judges nevertheless.
fn cache(asked: &Asked<'_>) -> Result<(Cache, bool), NoPlan> {
    if !asked.keep {
        return Ok((asked.place.look()?, false));
    }
    match asked.place.open() {
        Ok(cache) => Ok((cache, true)),
        Err(error @ (NoPlan::Cache(_) | NoPlan::Key(DeviceKeyError::Io { .. }))) => {
            // A key that is there and can't be read is an error here too.
            let cache = asked.place.look()?;
            tracing::warn!("{error}; {NOT_KEPT}");
            Ok((cache, false))
        }
        Err(error) => Err(error),
    }
}

/// What follows where a plan can't be stored.
const NOT_KEPT: &str =
    "a plan that is built is used and not kept, so it is built anew each time: let this user write there";

/// Builds the plan of `key` in a child process.
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::{Cell, RefCell};

    fn refused() -> NoPlan {
        PlanError::Refused { message: "built by another".to_owned() }.into()
    }

    /// What `load` was given, and the result, where only `good` is taken.
    fn taken(kept: Option<&str>, good: &str, is_refusal: bool) -> (Vec<String>, Result<String, String>) {
        let seen = RefCell::new(Vec::new());
        let builds = Cell::new(0);
        let load = |plan: &String, origin| {
            assert_eq!(origin == PlanOrigin::Built, plan == "built");
            seen.borrow_mut().push(plan.clone());
            if plan == good { Ok(plan.clone()) } else { Err(refused()) }
        };
        let build = || {
            builds.set(builds.get() + 1);
            Ok("built".to_owned())
        };
        let result = take(kept.map(str::to_owned), build, load, |_: &NoPlan| is_refusal);
        (seen.take(), result.map_err(|error| error.to_string()))
    }

    #[test]
    fn a_kept_plan_that_is_refused_is_built_anew_once() {
        let no = || Err("TensorRT refuses the plan: built by another".to_owned());
        assert_eq!(taken(Some("kept"), "kept", true), (vec!["kept".to_owned()], Ok("kept".to_owned())));
        assert_eq!(taken(None, "built", true), (vec!["built".to_owned()], Ok("built".to_owned())));
        let both = vec!["kept".to_owned(), "built".to_owned()];
        assert_eq!(taken(Some("kept"), "built", true), (both.clone(), Ok("built".to_owned())));
        assert_eq!(taken(Some("kept"), "none", true), (both, no()));
        assert_eq!(taken(Some("kept"), "built", false), (vec!["kept".to_owned()], no()));
    }

    #[test]
    fn a_folder_of_another_users_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let owner = folder.path().metadata().unwrap().uid();
        let key = folder.path().join("plan.key");
        assert_eq!(foreign_folder(&key, owner), None);
        let words = foreign_folder(&key, owner + 1).unwrap();
        assert!(words.contains(&format!("belongs to user {owner}, and this runs as user {}", owner + 1)), "{words}");
        assert_eq!(foreign_folder(&folder.path().join("none/plan.key"), owner), None, "making the key says why");
    }
}
