//! The plan that this GPU runs: what this device built before, or builds now.

use crate::convert::cuda::CudaError;
use crate::gpu;
use crate::journal::now_unix_ms;
use cellgate_models::bundle::{Bundle, Precision};
use cellgate_models::plan::cache::{
    AuthenticPlan, Cache, CacheError, Description, DeviceKey, DeviceKeyError, Gpu, Lookup, PlanKey,
};
use cellgate_models::plan::{self, Library, PlanError, Progress, Request, Target};
use std::path::{Path, PathBuf};
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
    /// A plan that was stored just now is not there.
    #[error("{}: found no authentic plan right after it was stored, expected one; is somebody else writing there?", .0.display())]
    Gone(PathBuf),
}

/// Where plans are kept, and what builds them.
#[derive(Debug, Clone, Copy)]
pub struct Place<'p> {
    /// The folder of plans.
    pub plans: &'p Path,
    /// The device's key.
    pub key: &'p Path,
    /// The folder with TensorRT's libraries; none searches for it.
    pub libraries: Option<&'p Path>,
}

/// The plan of `network` for the GPU at hand. Where none is kept, or what is kept is not to be used, it is built and kept;
/// `progress` is told of each step, and may stop it.
///
/// # Errors
/// [`NoPlan`].
pub fn find_or_build(
    bundle: &Bundle,
    network: &[u8],
    precision: Precision,
    place: Place<'_>,
    progress: Progress,
) -> Result<AuthenticPlan, NoPlan> {
    let gpu = gpu::at_hand()?;
    let tensorrt = plan::probe(Library::Builder, place.libraries)?.tensorrt;
    let cache = Cache::open(place.plans, DeviceKey::load_or_create(place.key)?)?;
    let of = |gpu: Gpu| PlanKey { bundle: bundle.digest(), precision, gpu, tensorrt };
    // One for this very GPU, else one for any of its compute capability.
    let own = of(gpu.clone());
    for key in [own.clone(), of(Gpu::new(None, gpu.capability()))] {
        match cache.lookup(&key)? {
            Lookup::Hit(plan) => return Ok(plan),
            Lookup::Missing => {}
            Lookup::Refused { path, reason } => tracing::warn!("{}: {reason}; not used", path.display()),
        }
    }
    tracing::info!("building the plan of {precision} for {gpu}");
    let start = Instant::now();
    let request = Request { network, precision, target: Target::Device, library: place.libraries.map(Path::to_owned) };
    let built = plan::build(&request, progress)?;
    let built_unix_s = u64::try_from(now_unix_ms() / 1000).unwrap_or(0);
    let path = cache.store(&Description { key: own.clone(), built_unix_s }, &built.plan)?;
    tracing::info!(seconds = start.elapsed().as_secs(), "built {}", path.display());
    match cache.lookup(&own)? {
        Lookup::Hit(plan) => Ok(plan),
        Lookup::Missing | Lookup::Refused { .. } => Err(NoPlan::Gone(path)),
    }
}
