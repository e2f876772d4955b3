//! `cellgate-edge plan prune`.

use super::place::{ModelArgs, PlaceArgs, gpu_of, target};
use cellgate_models::digest::Digest;
use cellgate_models::plan::cache::{EntryError, Gpu, Listed};
use cellgate_models::plan::{self, ComputeCapability, TensorRt};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// Removes the plans that are not those of this model, GPU and TensorRT, and the unreadable, damaged and foreign ones.
///
/// One line for each removed file on stdout, with the reason. A folder is named on stderr and left. Nothing is removed where
/// model, GPU or TensorRT is not known.
///
/// Exit status: 0, or 2 for misuse: also a model, a library or a key at fault.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cellgate-edge plan prune --config /etc/cellgate/edge.toml --dry-run
  cellgate-edge plan prune --model model --target sm86 --plans plans --key plan.key")]
pub(super) struct Args {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    place: PlaceArgs,
    /// A compute capability such as sm86 [default: the GPU at hand]
    #[arg(long, value_name = "CAPABILITY")]
    target: Option<ComputeCapability>,
    /// Says what would be removed, and removes nothing
    #[arg(long)]
    dry_run: bool,
    /// The folder with TensorRT's libraries
    #[arg(long, value_name = "FOLDER")]
    tensorrt: Option<PathBuf>,
}

/// What plans must belong to.
struct Wanted {
    model: Digest,
    gpu: Gpu,
    tensorrt: TensorRt,
}

impl Wanted {
    /// Why a plan goes; none for one that stays.
    fn reason(&self, listed: &Listed) -> Option<String> {
        let key = match &listed.entry {
            Err(error) => return Some(error.to_string()),
            Ok(description) => &description.key,
        };
        if key.model != self.model {
            Some(format!("another model: {}", key.model))
        } else if !key.gpu.serves(&self.gpu) {
            Some(format!("another GPU: {}", key.gpu))
        } else if key.tensorrt != self.tensorrt {
            Some(format!("another TensorRT: {}", key.tensorrt))
        } else {
            None
        }
    }
}

/// Runs `plan prune`.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let (model, _) = args.model.open()?;
    let tensorrt = plan::probe(plan::Library::Builder, args.tensorrt.as_deref())?.tensorrt;
    let wanted = Wanted { model: model.digest(), gpu: gpu_of(target(args.target))?, tensorrt };
    let cache = args.place.look()?;
    let mut output = std::io::stdout().lock();
    for listed in cache.list()? {
        let Some(reason) = wanted.reason(&listed) else { continue };
        if listed.entry == Err(EntryError::Folder) {
            tracing::warn!("{}: {reason}", listed.path.display());
            continue;
        }
        if !args.dry_run {
            cache.remove(&listed)?;
        }
        writeln!(output, "{}: {reason}", listed.path.display())?;
    }
    Ok(ExitCode::SUCCESS)
}
