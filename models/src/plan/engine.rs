//! Runs a plan on the GPU.
#![expect(unsafe_code, reason = "hands addresses and streams to TensorRT")]

use super::cache::AuthenticPlan;
use super::error::of;
use super::inspect::{TensorInfo, contract};
use super::log::Log;
use super::{PlanError, library};
use crate::conversion::Size;
use crate::engine::{FEATURES_NAME, INPUT_NAME, LOGIT_NAME, MAP_NAME};
use std::ffi::c_void;
use std::path::Path;
use std::sync::OnceLock;
use trtx::{CudaEngine, ExecutionContext, Logger, Runtime, TensorIOMode};

/// The one logger of all plans that run; `None` if TensorRT refused it. TensorRT keeps the logger for the life of the process.
static LOGGER: OnceLock<Option<(Logger, Log)>> = OnceLock::new();

/// A deserialised plan with its execution context. Both belong to the CUDA context that is current when they are created, and
/// must be dropped before that context.
pub struct PlanEngine {
    // Declared in this order, so that each field is dropped before the object that created it.
    context: ExecutionContext<'static>,
    _engine: CudaEngine<'static>,
    _runtime: Runtime<'static>,
    log: Log,
    size: Size,
}

/// The addresses of a network's input and outputs in GPU memory, where all values are f32.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    /// The input: 3 x height x width values.
    pub input: u64,
    /// The raw logit: one value.
    pub logit: u64,
    /// The map: one value for each cell that [`LogitMap::size_for`](crate::engine::LogitMap::size_for) has for the input's size.
    pub map: u64,
    /// The whitened features: [`WhitenedFeatures::COUNT`](crate::engine::WhitenedFeatures::COUNT) values.
    pub features: u64,
}

impl PlanEngine {
    /// Deserialises a plan that this device built, and checks its inputs and outputs against the contract of
    /// [`engine`](crate::engine). A CUDA context must be current.
    ///
    /// # Errors
    /// [`PlanError`]: TensorRT is missing, has another version or refuses the plan; or the plan breaks the contract.
    pub fn new(plan: &AuthenticPlan, folder: Option<&Path>) -> Result<Self, PlanError> {
        library::load(folder)?;
        let (logger, log) = LOGGER
            .get_or_init(|| {
                let log = Log::default();
                Some((Logger::new(log.clone()).ok()?, log))
            })
            .as_ref()
            .ok_or_else(|| PlanError::TensorRt { message: "it did not accept a logger".to_owned() })?;
        let failed = |error: trtx::Error| PlanError::TensorRt { message: log.take_errors(&error.to_string()) };
        let mut runtime = Runtime::new(logger).map_err(failed)?;
        let refused = |error: trtx::Error| PlanError::Refused { message: log.take_errors(&error.to_string()) };
        let mut engine = runtime.deserialize_cuda_engine(plan.plan()).map_err(refused)?;
        let size = size(&engine)?;
        let context = engine.create_execution_context().map_err(failed)?;
        log.flush();
        Ok(Self { context, _engine: engine, _runtime: runtime, log: log.clone(), size })
    }

    /// Height and width of the input in pixels.
    #[must_use]
    pub fn input_size(&self) -> Size {
        self.size
    }

    /// Sets the addresses of input and outputs in GPU memory.
    ///
    /// # Safety
    /// All addresses of `tensors` must point to GPU memory that is as large as [`Addresses`] says, and stay valid while runs are queued.
    ///
    /// # Errors
    /// [`PlanError::TensorRt`]: TensorRT refuses an address.
    pub unsafe fn bind(&mut self, tensors: Addresses) -> Result<(), PlanError> {
        let Addresses { input, logit, map, features } = tensors;
        for (name, address) in [(INPUT_NAME, input), (LOGIT_NAME, logit), (MAP_NAME, map), (FEATURES_NAME, features)] {
            // SAFETY: as this function demands.
            unsafe { self.context.set_tensor_address(name, address as *mut c_void) }
                .map_err(|error| PlanError::TensorRt { message: self.log.take_errors(&error.to_string()) })?;
        }
        Ok(())
    }

    /// Queues a run on a CUDA stream; does not wait for it.
    ///
    /// # Safety
    /// `stream` must be a `CUstream` of the context that the plan was deserialised in. The memory that was passed to
    /// [`bind`](Self::bind) must exist until the stream has executed the run.
    ///
    /// # Errors
    /// [`PlanError::TensorRt`]: TensorRT could not start the run.
    pub unsafe fn enqueue(&mut self, stream: *mut c_void) -> Result<(), PlanError> {
        // SAFETY: as this function demands.
        unsafe { self.context.enqueue_v3(stream) }
            .map_err(|error| PlanError::TensorRt { message: self.log.take_errors(&error.to_string()) })?;
        // Logs errors that TensorRT reported although the run was started.
        self.log.flush();
        Ok(())
    }
}

/// The input's size, if inputs and outputs meet the contract.
fn size(engine: &CudaEngine<'_>) -> Result<Size, PlanError> {
    let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
    for index in 0..engine.nb_io_tensors().map_err(of)? {
        let name = engine.io_tensor_name(index).map_err(of)?;
        let element = engine.tensor_data_type(&name).map_err(of)?.into();
        let shape = engine.tensor_shape(&name).map_err(of)?;
        let side =
            if engine.tensor_io_mode(&name).map_err(of)? == TensorIOMode::kINPUT { &mut inputs } else { &mut outputs };
        side.push(TensorInfo { name, element, shape });
    }
    contract(&inputs, &outputs)
}
