//! One part's way through: read, convert, infer, decide.

mod activate;
mod file;
#[cfg(feature = "tensorrt")]
mod gpu;
mod proof;
mod scorer;
mod select;

#[cfg(feature = "tensorrt")]
pub(crate) use activate::in_one_line;
pub use activate::{Activation, ActivationError};
#[cfg(feature = "tensorrt")]
pub use gpu::GpuScorerError;
pub use proof::ProofError;
pub use select::{Alive, Chosen, EngineChoice, EngineOptions, TensorRtOptions};

use crate::acquire::{Change, Identity};
use crate::sandbox::{Sandbox, SandboxFailure};
use cellgate_models::conversion::{ConversionError, ConversionSpec, Size};
use cellgate_models::digest::Digest;
use cellgate_models::engine::{Engine, EngineError};
use cellgate_models::policy::{Decision, Policy, Reason};
use cellgate_models::radiograph::{BUFFER_START, ReadError};
use scorer::{CpuScorer, Scorer};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Judges one radiograph after another. Buffers are kept between images; one pipeline a thread.
pub struct Pipeline {
    source: Source,
    scorer: Box<dyn Scorer>,
    policy: Policy,
    /// The longest that the network has taken since the last proof began.
    slowest: Duration,
}

/// From a path to a radiograph.
struct Source {
    sandbox: Sandbox,
    /// For the file's bytes.
    memory: Vec<u8>,
}

/// What the gate says about one image, and how it came to it.
#[derive(Debug)]
pub struct Judgement {
    /// The verdict and its reason.
    pub decision: Decision,
    /// The network's score as it came, where there is one.
    pub score: Option<f32>,
    /// The digest of the file's bytes, where they could be read.
    pub image: Option<Digest>,
    /// What went wrong, where something did.
    pub detail: Option<String>,
    /// The same without the image's path, for where that is named beside it.
    pub detail_without_path: Option<String>,
    /// How long each stage took.
    pub times: Times,
}

/// A stage of judging that takes time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The file to memory, and decoding.
    Read,
    /// The radiograph to the network's input.
    Convert,
    /// The network.
    Infer,
}

/// How long each stage took; zero for a stage that was not reached.
#[derive(Debug, Default, Clone, Copy)]
pub struct Times {
    /// The file to memory, decoding, and what of its digest is left when the score is there.
    pub read: Duration,
    /// The radiograph to the network's input.
    pub convert: Duration,
    /// The network.
    pub infer: Duration,
    /// The thresholds.
    pub decide: Duration,
}

impl Times {
    /// All stages.
    pub fn total(&self) -> Duration {
        self.read + self.convert + self.infer + self.decide
    }
}

/// Why a pipeline can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The conversion can't be carried out.
    #[error(transparent)]
    Conversion(#[from] ConversionError),
    /// The conversion makes another input than the network takes.
    #[error("the conversion's size is {}, but the network takes {}", in_words(*conversion), in_words(Some(*network)))]
    Size {
        /// What the conversion makes.
        conversion: Option<Size>,
        /// What the network takes.
        network: Size,
    },
    /// No memory for the longest file.
    #[error("no memory for files of {file_bytes} bytes; lower the limits")]
    Memory {
        /// The longest file.
        file_bytes: u64,
    },
}

fn in_words(size: Option<Size>) -> String {
    size.map_or_else(|| "the image's own".to_owned(), |size| format!("{}x{}", size.height, size.width))
}

/// Why there is no score.
#[derive(Debug, thiserror::Error)]
pub enum NoScore {
    /// The image could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It is not the image that it was taken for.
    #[error("{}: {}", path.display(), self.without_path())]
    Changed {
        /// The file.
        path: PathBuf,
        /// What is known of it.
        change: Change,
    },
    /// The process that decodes it failed, or refused it.
    #[error(transparent)]
    Sandbox(#[from] SandboxFailure),
    /// It could not be converted.
    #[error(transparent)]
    Conversion(#[from] ConversionError),
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The GPU did not convert it.
    #[cfg(feature = "tensorrt")]
    #[error(transparent)]
    Gpu(#[from] crate::convert::cuda::CudaError),
}

impl NoScore {
    /// What went wrong, without the image's path.
    fn without_path(&self) -> String {
        match self {
            Self::Read(error) => error.without_path(),
            Self::Changed { change, .. } => format!("changed before it was judged: {change}"),
            Self::Sandbox(error) => error.without_path(),
            Self::Conversion(error) => error.to_string(),
            Self::Engine(error) => error.to_string(),
            #[cfg(feature = "tensorrt")]
            Self::Gpu(error) => error.to_string(),
        }
    }

    /// The reason that the verdict carries.
    fn reason(&self) -> Reason {
        match self {
            Self::Read(error) | Self::Sandbox(SandboxFailure::Refused(error)) => match error {
                ReadError::Malformed { .. } => Reason::ImageMalformed,
                ReadError::Unsupported { .. } => Reason::ImageUnsupported,
                ReadError::Limit { .. } => Reason::ImageOverLimit,
                _ => Reason::ImageUnreadable,
            },
            Self::Changed { .. } => Reason::ImageMismatch,
            Self::Sandbox(SandboxFailure::TimedOut { .. }) => Reason::DecoderTimedOut,
            Self::Sandbox(_) => Reason::DecoderFailed,
            Self::Conversion(_) => Reason::ConversionFailed,
            Self::Engine(_) => Reason::EngineFailed,
            #[cfg(feature = "tensorrt")]
            Self::Gpu(error) if error.is_of_the_image() => Reason::ConversionFailed,
            #[cfg(feature = "tensorrt")]
            Self::Gpu(_) => Reason::EngineFailed,
        }
    }
}

impl Pipeline {
    /// A pipeline from a bundle's conversion and policy, an engine with its network, and the sandbox that decodes.
    ///
    /// # Errors
    /// [`SetupError`]: the conversion and the network don't go together, or there is too little memory.
    pub fn new(
        conversion: &ConversionSpec,
        policy: Policy,
        engine: Box<dyn Engine>,
        sandbox: Sandbox,
    ) -> Result<Self, SetupError> {
        Self::with_scorer(Box::new(CpuScorer::new(conversion, engine)?), policy, sandbox)
    }

    fn with_scorer(scorer: Box<dyn Scorer>, policy: Policy, sandbox: Sandbox) -> Result<Self, SetupError> {
        Ok(Self { source: Source::new(sandbox)?, scorer, policy, slowest: Duration::ZERO })
    }

    /// The sandbox that decodes.
    #[must_use]
    pub fn sandbox(&self) -> &Sandbox {
        &self.source.sandbox
    }

    /// The longest that the network has taken for an image since its last proof began.
    #[must_use]
    pub fn slowest_inference(&self) -> Duration {
        self.slowest
    }

    /// Whether what runs the network failed so that only a new process can use it again.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.scorer.is_lost()
    }

    /// Judges the image in the file at `path`. Whatever goes wrong is a REJECT with its reason.
    pub fn judge(&mut self, path: &Path) -> Judgement {
        self.judge_telling(path, None, &mut |_| {})
    }

    /// As [`Self::judge`]; with `expected`, only the file that it identifies. `begins` is told of each stage before it begins,
    /// so that a watcher knows what is under way.
    pub fn judge_telling(
        &mut self,
        path: &Path,
        expected: Option<&Identity>,
        begins: &mut dyn FnMut(Stage),
    ) -> Judgement {
        let mut times = Times::default();
        let (score, image) = self.score(path, expected, &mut times, begins);
        let start = Instant::now();
        let (decision, error) = match &score {
            Ok(score) => (self.policy.decide(*score), None),
            Err(error) => (error.reason().into(), Some(error)),
        };
        let (detail, detail_without_path) = (error.map(ToString::to_string), error.map(NoScore::without_path));
        times.decide = start.elapsed();
        Judgement { decision, score: score.ok(), image, detail, detail_without_path, times }
    }

    /// The score and the digest of the file's bytes, which are read once: the digest is that of the very bytes that are
    /// decoded. It takes about as long as the conversion, so both are done at once.
    fn score(
        &mut self,
        path: &Path,
        expected: Option<&Identity>,
        times: &mut Times,
        begins: &mut dyn FnMut(Stage),
    ) -> (Result<f32, NoScore>, Option<Digest>) {
        let Self { source: Source { sandbox, memory }, scorer, slowest, .. } = self;
        begins(Stage::Read);
        let start = Instant::now();
        let bytes = match file::read(path, expected, sandbox.limits(), memory) {
            Ok(bytes) => bytes,
            Err(error) => {
                times.read = start.elapsed();
                return (Err(error), None);
            }
        };
        let radiograph = sandbox.decode(bytes, path);
        times.read = start.elapsed();
        std::thread::scope(|scope| {
            let digest =
                std::thread::Builder::new().name("digest".to_owned()).spawn_scoped(scope, || Digest::of(bytes));
            let score =
                radiograph.map_err(NoScore::from).and_then(|radiograph| scorer.score(radiograph, times, begins));
            *slowest = (*slowest).max(times.infer);
            begins(Stage::Read);
            let rest = Instant::now();
            // Without a thread for it, it comes afterwards.
            let digest = digest.ok().and_then(|digest| digest.join().ok()).unwrap_or_else(|| Digest::of(bytes));
            times.read += rest.elapsed();
            (score, Some(digest))
        })
    }
}

impl Source {
    /// Takes the memory for the longest file.
    fn new(sandbox: Sandbox) -> Result<Self, SetupError> {
        let file_bytes = sandbox.limits().max_file_bytes;
        let most = usize::try_from(file_bytes).unwrap_or(usize::MAX).saturating_add(BUFFER_START + 1);
        let mut memory = Vec::new();
        memory.try_reserve_exact(most).map_err(|_| SetupError::Memory { file_bytes })?;
        Ok(Self { sandbox, memory })
    }
}
