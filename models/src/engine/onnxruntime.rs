//! The reference engine: ONNX Runtime on the CPU, loaded at run time.

use super::contract::{are_outputs, outputs_in_words};
use super::{
    Engine, EngineError, FEATURES_NAME, INPUT_NAME, LIBRARY_ENV, LOGIT_NAME, LogitMap, MAP_NAME, MAX_PIXELS, Output,
    WhitenedFeatures,
};
use crate::conversion::Size;
use crate::library::{LibrarySpec, Search, SearchPlace};
use ort::environment::Environment;
use ort::logging::LogLevel;
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{Session, SessionOutputs};
use ort::value::{Outlet, TensorElementType, TensorRef};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Where to look for the library.
fn wanted() -> LibrarySpec {
    LibrarySpec {
        file_name: "libonnxruntime.so",
        environment: LIBRARY_ENV,
        names_folder: false,
        places: SearchPlace::usual("onnxruntime/capi", "/opt/onnxruntime/lib"),
    }
}

/// Options for finding and running ONNX Runtime.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OnnxRuntimeOptions {
    /// The library file. `None` searches for it in the order of this crate's `README.md`.
    pub library: Option<PathBuf>,
    /// Threads within an operation. `None` leaves the number to the library, which uses one thread per core.
    pub threads: Option<NonZeroUsize>,
}

/// A network loaded into ONNX Runtime on the CPU. Memory that was allocated for one image is reused for the next.
#[derive(Debug)]
pub struct OnnxRuntime {
    session: Session,
    size: Size,
}

impl OnnxRuntime {
    /// Loads the library, unless this process has already loaded it. Then loads the network from the bytes of its ONNX file.
    ///
    /// A network with weights in other files is refused, since no digest covers those files.
    ///
    /// # Errors
    /// [`EngineError`] if the library is missing or unusable, or if the network can't be loaded or has
    /// [other inputs or outputs](super).
    pub fn new(network: &[u8], options: &OnnxRuntimeOptions) -> Result<Self, EngineError> {
        let environment = environment(options.library.as_deref())?;
        let session = open(&environment, network, options.threads)
            .map_err(|error| EngineError::Network { message: error.to_string() })?;
        let size = input_size(session.inputs())?;
        check_outputs(session.outputs(), size)?;
        Ok(Self { session, size })
    }
}

impl Engine for OnnxRuntime {
    fn input_size(&self) -> Size {
        self.size
    }

    fn run(&mut self, input: &[f32]) -> Result<Output, EngineError> {
        let (height, width) = (self.size.height as usize, self.size.width as usize);
        let expected = 3 * height * width;
        if input.len() != expected {
            return Err(EngineError::InputLength { found: input.len(), expected });
        }
        let failed = |error: ort::Error| EngineError::Run { message: error.to_string() };
        let tensor = TensorRef::from_array_view(([1, 3, height, width], input)).map_err(failed)?;
        let outputs = self.session.run(ort::inputs![INPUT_NAME => tensor]).map_err(failed)?;
        let logit = values(&outputs, LOGIT_NAME, 1)?[0];
        let size = LogitMap::size_for(self.size);
        let shares = values(&outputs, MAP_NAME, size.pixels())?;
        let map = LogitMap::new(size, shares.to_vec()).expect("the number of shares was asked for");
        let features = values(&outputs, FEATURES_NAME, WhitenedFeatures::COUNT)?;
        let features = features.try_into().expect("the number of components was asked for");
        Ok(Output { logit, map, features: WhitenedFeatures::new(features) })
    }
}

/// The values of the output called `name`, which must be `expected` in number.
fn values<'o>(outputs: &'o SessionOutputs<'_>, name: &str, expected: usize) -> Result<&'o [f32], EngineError> {
    let failed = |message: String| EngineError::Run { message };
    let output = outputs.get(name).ok_or_else(|| failed(format!("it returned no output `{name}`")))?;
    let (_, values) = output.try_extract_tensor::<f32>().map_err(|error| failed(error.to_string()))?;
    match values.len() {
        found if found == expected => Ok(values),
        found => Err(failed(format!("output `{name}`: it returned {found} values, expected {expected}"))),
    }
}

/// The path of the loaded library, and its environment. A process has one environment of ONNX Runtime, until the process ends.
static LOADED: Mutex<Option<(PathBuf, Environment)>> = Mutex::new(None);

/// Finds, probes and loads the library at the first call. Later calls return the same environment, or an error if `explicit` is
/// another library.
fn environment(explicit: Option<&Path>) -> Result<Environment, EngineError> {
    let mut loaded = LOADED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let path = match (&*loaded, explicit) {
        (Some((_, environment)), None) => return Ok(environment.clone()),
        _ => Search::of_process(wanted(), explicit)
            .find()
            .map_err(|missing| EngineError::LibraryMissing { looked_for: missing.to_string() })?,
    };
    let path = path.canonicalize().unwrap_or(path);
    if let Some((loaded, environment)) = &*loaded {
        return if *loaded == path {
            Ok(environment.clone())
        } else {
            Err(EngineError::LibraryOther { asked: path, loaded: loaded.clone() })
        };
    }
    let unusable = |message: String| EngineError::LibraryUnusable { path: path.clone(), message };
    // `init_from` is the probe: it opens the file and reads its version before `ort` calls any other function of the library.
    // If `init_from` fails, its error is made without a call into the library.
    let builder = ort::init_from(&path).map_err(|error| unusable(error.to_string()))?;
    let environment =
        builder.with_name("cellgate").with_telemetry(false).build().map_err(|error| unusable(error.to_string()))?;
    // Errors are returned as values. At other log levels the library would print them to stderr as well.
    environment.set_log_level(LogLevel::Fatal);
    *loaded = Some((path, environment.clone()));
    Ok(environment)
}

/// Opens a session on the CPU. Graph optimisations are on, for speed.
fn open(environment: &Environment, network: &[u8], threads: Option<NonZeroUsize>) -> ort::Result<Session> {
    let mut builder = Session::builder(environment)?
        .with_log_level(LogLevel::Fatal)?
        .with_execution_providers([ort::ep::CPU::default().with_arena_allocator(true).build()])?
        .with_memory_pattern(true)?
        .with_deterministic_compute(true)?
        .with_optimization_level(GraphOptimizationLevel::All)?
        // The folder in which the library looks for weights outside the ONNX file. No file can lie below /dev/null, so a
        // network with such weights can't be loaded.
        .with_config_entry("session.model_external_initializers_file_folder_path", "/dev/null")?;
    if let Some(threads) = threads {
        builder = builder.with_intra_threads(threads.get())?;
    }
    builder.commit_from_memory(network)
}

/// Checks that the network has only the required input, and returns its height and width.
fn input_size(inputs: &[Outlet]) -> Result<Size, EngineError> {
    let size = |outlet: &Outlet| {
        let &[1, 3, height, width] = f32_shape(outlet)? else { return None };
        let size = Size { height: u32::try_from(height).ok()?, width: u32::try_from(width).ok()? };
        let pixels = u64::from(size.height) * u64::from(size.width);
        (outlet.name() == INPUT_NAME && (1..=MAX_PIXELS).contains(&pixels)).then_some(size)
    };
    match inputs {
        [input] => size(input),
        _ => None,
    }
    .ok_or_else(|| EngineError::Contract {
        side: "inputs",
        found: describe(inputs),
        expected: format!("`{INPUT_NAME}` f32 [1, 3, height, width] with at most {MAX_PIXELS} pixels"),
    })
}

/// Checks that the network with an input of `size` has the required outputs and no other.
fn check_outputs(outputs: &[Outlet], size: Size) -> Result<(), EngineError> {
    let found: Option<Vec<_>> = outputs.iter().map(|outlet| Some((outlet.name(), f32_shape(outlet)?))).collect();
    match found {
        Some(found) if are_outputs(&found, size) => Ok(()),
        _ => Err(EngineError::Contract { side: "outputs", found: describe(outputs), expected: outputs_in_words(size) }),
    }
}

/// The shape of `outlet` if it is an f32 tensor. A dimension that is not fixed is -1.
fn f32_shape(outlet: &Outlet) -> Option<&[i64]> {
    let is_f32 = outlet.dtype().tensor_type() == Some(TensorElementType::Float32);
    is_f32.then(|| outlet.dtype().tensor_shape().map(|shape| &**shape)).flatten()
}

/// Inputs or outputs as text.
fn describe(outlets: &[Outlet]) -> String {
    let words: Vec<_> = outlets.iter().map(|outlet| format!("`{}` {}", outlet.name(), outlet.dtype())).collect();
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}
