//! `cellgate-trainer localize`: compares where the network of a model looks with the masks of a data set.

use super::{percent, print, print_json};
use anyhow::Context as _;
use cellgate_models::model::{Model, ModelLimits};
use cellgate_trainer::localize::{Figures, Localization};
use comfy_table::{CellAlignment, Table, presets};
use std::fmt::Write;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `localize`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The network runs in f32 on all images. Its maps are compared with the masks of the abnormal images. Random maps and a map that falls \
with the distance from the centre are compared in the same way: a network that finds anomalies has higher figures.

Figures:
  pointing game  the abnormal images whose cell with the highest share touches a mask
  AUPRO          the mean overlap of the map with the pieces of the masks, over false positive rates up to 30 %. Random maps \
have about 15 %

The column `masks` of manifest.csv names a PNG for each of an image's anomalies, with `;` between them. A PNG is grey and has the \
image's size; a pixel above 0 is in the mask. Abnormal images without a mask are left out.

Examples:
  The figures of a model on synthetic electrodes that it was not trained on:
    cellgate-trainer synth fresh --parts 120 --scale 0.2 --seed 2
    cellgate-trainer localize fresh --model model
  AUPRO as JSON:
    cellgate-trainer localize fresh --model model --json | jq '.network.aupro, .centre.aupro'")]
pub(crate) struct Args {
    /// Folder of the data set, with a manifest.csv that has the column `masks`
    dataset: PathBuf,
    /// Folder of the model, with a network in f32
    #[arg(long, value_name = "FOLDER")]
    model: PathBuf,
    /// Threads, at most one per core [default: one per core]
    #[arg(long, value_name = "NUMBER", value_parser = threads)]
    threads: Option<NonZeroUsize>,
    /// Print the figures as JSON instead of tables
    #[arg(long)]
    json: bool,
}

/// Reads the value of `--threads`. ONNX Runtime is slower with more threads than cores.
fn threads(text: &str) -> Result<NonZeroUsize, String> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = text.parse().ok().filter(|threads: &NonZeroUsize| threads.get() <= cores);
    threads.ok_or_else(|| format!("found {text}, expected 1 to {cores}, the number of cores of this machine"))
}

/// Runs `localize`.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if let Some(threads) = args.threads {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.get());
        pool.build_global().context("the threads can't be started")?;
    }
    let listing = super::dataset::listing(&args.dataset)?;
    let model = Model::open(&args.model, &ModelLimits::default())?;
    let localization = Localization::measure(&listing, &model, args.threads)?;
    if args.json {
        print_json(&localization)?;
    } else {
        print(&text(&localization)?)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn text(found: &Localization) -> Result<String, std::fmt::Error> {
    let sources = [("network", &found.network), ("random", &found.random), ("centre", &found.centre)];
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY).set_header(["map", "pointing game", "AUPRO"]);
    for (name, figures) in sources {
        let pointing = figures.pointing.map_or_else(|| "n/a".to_owned(), percent);
        table.add_row([name.to_owned(), pointing.trim_start().to_owned(), aupro(figures)]);
    }
    let mut text = format!("{table}\n{}\n", kinds(found, sources.map(|(_, figures)| figures)));
    let pieces: usize = found.kinds.iter().map(|kind| kind.pieces).sum();
    writeln!(text, "{:5} abnormal images, whose masks have {pieces} pieces", found.abnormal)?;
    writeln!(text, "{:5} normal images", found.normal)?;
    if found.without_mask > 0 {
        writeln!(text, "{:5} abnormal images without a mask (left out)", found.without_mask)?;
    }
    writeln!(text, "model {}, input of {} pixels", found.model, found.input)?;
    Ok(text)
}

/// The figures of each kind of anomaly, for each source of maps.
fn kinds(found: &Localization, sources: [&Figures; 3]) -> Table {
    let mut table = Table::new();
    let header =
        ["anomaly", "images", "pieces", "pointing", "by random", "by centre", "AUPRO", "of random", "of centre"];
    table.load_style(presets::UTF8_BORDERS_ONLY).set_header(header);
    let percent =
        |share: Option<f64>| share.map_or_else(|| "n/a".to_owned(), |share| format!("{:.1} %", 100.0 * share));
    for (at, kind) in found.kinds.iter().enumerate() {
        let figures = sources.map(|source| &source.kinds[at]);
        let mut row = vec![kind.anomaly.clone(), kind.images.to_string(), kind.pieces.to_string()];
        row.extend(figures.map(|figures| percent(figures.pointing.map(|rate| rate.rate))));
        row.extend(figures.map(|figures| percent(figures.aupro)));
        table.add_row(row);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn aupro(figures: &Figures) -> String {
    match (figures.aupro, figures.aupro95) {
        (Some(found), Some([lo, hi])) => format!("{:.1} % ({:.1} to {:.1})", 100.0 * found, 100.0 * lo, 100.0 * hi),
        (Some(found), None) => format!("{:.1} % (no interval: only one bundle)", 100.0 * found),
        (None, _) => "n/a (the masks cover all images)".to_owned(),
    }
}
