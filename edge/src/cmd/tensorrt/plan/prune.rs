//! `cellgate-edge plan prune`: removes all plans except those of one model, GPU and TensorRT.

use super::place::{ModelArgs, PlaceArgs, gpu_of, target};
use cellgate_models::digest::Digest;
use cellgate_models::plan::cache::{EntryError, Gpu, Listed};
use cellgate_models::plan::{self, ComputeCapability, TensorRt};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// Removes plans of another model, GPU or TensorRT, and unreadable, damaged and foreign plans.
///
/// Prints one line with the reason for each removed file. Reports a folder on stderr and leaves it. Removes nothing if model, GPU
/// or TensorRT is not known.
///
/// Exit status: 0 done, 2 misuse or an error of model, library or key.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cellgate-edge plan prune --config /etc/cellgate/edge.toml --dry-run
  cellgate-edge plan prune --model model --target sm86 --plans plans --key plan.key")]
pub(super) struct Args {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    place: PlaceArgs,
    /// A compute capability such as sm86 [default: this machine's GPU]
    #[arg(long, value_name = "CAPABILITY")]
    target: Option<ComputeCapability>,
    /// Prints what would be removed, and removes nothing
    #[arg(long)]
    dry_run: bool,
    /// Folder with TensorRT's libraries
    #[arg(long, value_name = "FOLDER")]
    tensorrt: Option<PathBuf>,
}

/// The model, GPU and TensorRT whose plans are kept.
struct Wanted {
    model: Digest,
    gpu: Gpu,
    tensorrt: TensorRt,
}

impl Wanted {
    /// Why a plan is removed; `None` if it is kept.
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
            tracing::warn!(event = "plan_folder_skipped", path = %listed.path.display(), reason, "a folder is not removed");
            continue;
        }
        if !args.dry_run {
            cache.remove(&listed)?;
        }
        writeln!(output, "{}: {reason}", listed.path.display())?;
    }
    Ok(ExitCode::SUCCESS)
}
