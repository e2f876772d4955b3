//! One part's way through: read, convert, infer, decide.

mod activate;
mod alive;
mod error;
mod file;
mod no_score;
mod options;
mod proof;
mod scorer;
mod select;
mod stage;

pub use alive::Alive;
pub use error::{ActivationError, ProofError};
pub use no_score::{NoScore, SetupError};
pub use options::{Activation, EngineChoice, EngineOptions, TensorRtOptions};
pub use select::Chosen;
pub use stage::{Stage, Times};

pub(crate) use alive::unwatched;
pub(crate) use scorer::Scorer;

use crate::acquire::{Change, ImageFile};
use crate::sandbox::Sandbox;
use cellgate_models::conversion::ConversionSpec;
use cellgate_models::digest::Digest;
use cellgate_models::engine::Engine;
use cellgate_models::policy::{Decision, Policy};
use cellgate_models::radiograph::BUFFER_START;
use scorer::CpuScorer;
use std::path::Path;
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

impl Pipeline {
    /// A pipeline from a model's conversion and policy, an engine with its network, and the sandbox that decodes.
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

    /// As [`Self::judge`]; with `expected`, only the image that arrived as that. `begins` is told of each stage before it begins,
    /// so that a watcher knows what is under way.
    pub fn judge_telling(
        &mut self,
        path: &Path,
        expected: Option<&ImageFile>,
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
        expected: Option<&ImageFile>,
        times: &mut Times,
        begins: &mut dyn FnMut(Stage),
    ) -> (Result<f32, NoScore>, Option<Digest>) {
        let Self { source: Source { sandbox, memory }, scorer, slowest, .. } = self;
        begins(Stage::Read);
        let start = Instant::now();
        let (bytes, must_be) = match file::read(path, expected, sandbox.limits(), memory) {
            Ok(found) => found,
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
            if must_be.is_some_and(|must_be| must_be != digest) {
                return (Err(NoScore::Changed { path: path.to_owned(), change: Change::Written }), None);
            }
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
