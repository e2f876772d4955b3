//! A plan at work on the GPU.
#![expect(unsafe_code, reason = "hands addresses and streams to TensorRT")]

use super::cache::AuthenticPlan;
use super::error::of;
use super::inspect::{TensorInfo, contract};
use super::log::Log;
use super::{PlanError, library};
use crate::conversion::Size;
use crate::engine::{INPUT_NAME, OUTPUT_NAME};
use std::ffi::c_void;
use std::path::Path;
use std::sync::OnceLock;
use trtx::{CudaEngine, ExecutionContext, Logger, Runtime, TensorIOMode};

/// What takes the lines of all plans that run: TensorRT keeps it for the life of the process.
static LOGGER: OnceLock<Option<(Logger, Log)>> = OnceLock::new();

/// A deserialised plan with its execution context, both made once; it belongs to the CUDA context that is current then, and
/// must go before that.
pub struct PlanEngine {
    // In this order, so that each is dropped before what it came from.
    context: ExecutionContext<'static>,
    _engine: CudaEngine<'static>,
    _runtime: Runtime<'static>,
    log: Log,
    size: Size,
}

impl PlanEngine {
    /// Deserialises a plan that this device built, and checks what it takes and gives against the contract of
    /// [`engine`](crate::engine). A CUDA context must be current.
    ///
    /// # Errors
    /// [`PlanError`]: TensorRT is missing or another one, refuses the plan, or it breaks the contract.
    pub fn new(plan: &AuthenticPlan, folder: Option<&Path>) -> Result<Self, PlanError> {
        library::load(folder)?;
        let (logger, log) = LOGGER
            .get_or_init(|| {
                let log = Log::default();
                Some((Logger::new(log.clone()).ok()?, log))
            })
            .as_ref()
            .ok_or_else(|| PlanError::TensorRt { message: "it takes no logger".to_owned() })?;
        let said = |error: trtx::Error| PlanError::TensorRt { message: log.take_errors(&error.to_string()) };
        let mut runtime = Runtime::new(logger).map_err(said)?;
        let refused = |error: trtx::Error| PlanError::Refused { message: log.take_errors(&error.to_string()) };
        let mut engine = runtime.deserialize_cuda_engine(plan.plan()).map_err(refused)?;
        let size = size(&engine)?;
        let context = engine.create_execution_context().map_err(said)?;
        log.flush();
        Ok(Self { context, _engine: engine, _runtime: runtime, log: log.clone(), size })
    }

    /// Height and width of the input in pixels.
    #[must_use]
    pub fn input_size(&self) -> Size {
        self.size
    }

    /// Says where on the device the input and the score lie.
    ///
    /// # Safety
    /// `input` must be the address of 3 x height x width values of f32 in device memory, `output` that of one, both for as long
    /// as anything is started.
    ///
    /// # Errors
    /// [`PlanError::TensorRt`]: it does not take them.
    pub unsafe fn bind(&mut self, input: u64, output: u64) -> Result<(), PlanError> {
        for (name, address) in [(INPUT_NAME, input), (OUTPUT_NAME, output)] {
            // SAFETY: as this function demands.
            unsafe { self.context.set_tensor_address(name, address as *mut c_void) }
                .map_err(|error| PlanError::TensorRt { message: self.log.take_errors(&error.to_string()) })?;
        }
        Ok(())
    }

    /// Starts the network on a CUDA stream; does not wait for it.
    ///
    /// # Safety
    /// `stream` must be a `CUstream` of the context that the plan was deserialised in, and [`bind`](Self::bind)'s memory must
    /// be there until it has come so far.
    ///
    /// # Errors
    /// [`PlanError::TensorRt`]: it could not be started.
    pub unsafe fn enqueue(&mut self, stream: *mut c_void) -> Result<(), PlanError> {
        // SAFETY: as this function demands.
        unsafe { self.context.enqueue_v3(stream) }
            .map_err(|error| PlanError::TensorRt { message: self.log.take_errors(&error.to_string()) })?;
        // What it complains about although it starts.
        self.log.flush();
        Ok(())
    }
}

/// The input's size, where inputs and outputs are what the contract wants.
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
