//! `cellgate-trainer audit`: compares the verdicts of an appliance with labels.

use super::{percent, print, print_json};
use anyhow::Context as _;
use cellgate_models::digest::Digest;
use cellgate_models::image_list;
use cellgate_models::policy::Verdict;
use cellgate_trainer::audit::{Audit, AuditedPart, Calls, read_verdicts};
use cellgate_trainer::dataset::Dataset;
use comfy_table::{CellAlignment, Table, presets};
use std::fmt::Write;
use std::io::Read as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `audit`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
FILE holds lines of `cellgate-edge journal export --format jsonl` or of `cellgate-edge inspect`. A verdict is assigned to the \
part whose image file has the same SHA-256. If an image has several verdicts, the last one counts.

Exit status: 0 success, 1 no part has a verdict or an error occurred, 2 wrong arguments.

Examples:
  The verdicts in an appliance's journal:
    cellgate-edge journal export verdicts.sqlite --format jsonl > verdicts.jsonl
    cellgate-trainer audit tray --verdicts verdicts.jsonl
  List the correct verdicts too:
    cellgate-trainer audit tray --verdicts verdicts.jsonl --all
  Verdicts of `inspect --reference`, without the reference parts:
    cellgate-trainer audit tray --verdicts verdicts.jsonl --reference bundle-7/good
  The escape rate as JSON:
    cellgate-trainer audit tray --verdicts verdicts.jsonl --json | jq .escapes")]
pub(crate) struct Args {
    /// Folder of the labelled parts, with manifest.csv or <bundle>/<normal|abnormal>/*.tif
    dataset: PathBuf,
    /// The verdicts, one JSON object per line; `-` reads stdin
    #[arg(long, value_name = "FILE")]
    verdicts: PathBuf,
    /// Reference parts, which no rate counts: a folder, or image files with commas between them
    #[arg(long, value_name = "FOLDER|IMAGE,IMAGE")]
    reference: Option<PathBuf>,
    /// List all judged parts, not only escapes, overkill and reviews
    #[arg(long)]
    all: bool,
    /// Print the comparison as JSON instead of tables
    #[arg(long)]
    json: bool,
}

/// Runs `audit`.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let path = args.verdicts.display();
    let text = if args.verdicts.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().lock().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(&args.verdicts)
    };
    let verdicts = read_verdicts(&text.with_context(|| path.to_string())?).with_context(|| path.to_string())?;
    let images = args.reference.as_deref().map(image_list).transpose().context("--reference")?.unwrap_or_default();
    let digest = |image: &PathBuf| Digest::of_file(image).with_context(|| image.display().to_string());
    let references = images.iter().map(digest).collect::<Result<_, _>>()?;
    let audit =
        Audit::new(&Dataset::of_listing(super::dataset::listing(&args.dataset)?)?.parts, &verdicts, &references);
    if args.json {
        print_json(&audit)?;
    } else {
        print(&self::text(&audit, args.all)?)?;
    }
    Ok(if audit.parts.is_empty() { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

fn text(audit: &Audit, all: bool) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    let shown: Vec<_> = audit.parts.iter().filter(|part| all || !remark(part).is_empty()).collect();
    if !shown.is_empty() {
        let mut table = Table::new();
        table.load_style(presets::UTF8_BORDERS_ONLY).set_header([
            "part",
            "image",
            "bundle",
            "label",
            "verdict",
            "score",
            "anomalies",
            "",
        ]);
        for part in shown {
            table.add_row([
                part.part.map_or_else(|| "-".to_owned(), |part| part.to_string()),
                part.image.clone(),
                part.bundle.clone(),
                part.label.to_string(),
                part.verdict.to_string(),
                part.score.map_or_else(|| part.reason.clone(), |score| format!("{score:.3}")),
                part.anomalies.join(", "),
                remark(part).to_owned(),
            ]);
        }
        writeln!(text, "{table}")?;
    }
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY).set_header(["label", "PASS", "REVIEW", "REJECT"]);
    for (label, Calls { pass, review, reject }) in [("normal", audit.normal), ("abnormal", audit.abnormal)] {
        table.add_row([label.to_owned(), pass.to_string(), review.to_string(), reject.to_string()]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    writeln!(text, "{table}")?;
    let rates = [
        ("escapes (abnormal, PASS)", audit.escapes),
        ("overkill (normal, REJECT)", audit.overkill),
        ("reviews", audit.reviews),
    ];
    for (name, rate) in rates {
        writeln!(text, "{name:31} {}", rate.map_or_else(|| "n/a".to_owned(), percent))?;
    }
    let name = "balanced accuracy (PASS=normal)";
    match (audit.balanced_accuracy, audit.balanced_accuracy95) {
        (Some(found), Some([lo, hi])) => {
            writeln!(text, "{name:31} {:5.1} % ({:.1} to {:.1})", 100.0 * found, 100.0 * lo, 100.0 * hi)?;
        }
        (Some(found), None) => writeln!(text, "{name:31} {:5.1} % (no interval: only one bundle)", 100.0 * found)?,
        (None, _) => writeln!(text, "{name:31} n/a (it needs parts of both labels)")?,
    }
    if let Some(auroc) = audit.auroc {
        writeln!(text, "{:31} {:5.1} %", "AUROC of the scores", 100.0 * auroc)?;
    }
    for (count, what) in [
        (audit.unlike_normal, "of the reviews are false reviews: normal parts with the reason UNLIKE_TRAINING"),
        (
            audit.unlike_abnormal,
            "of the reviews are of abnormal parts with the reason UNLIKE_TRAINING: their score passes them",
        ),
        (
            audit.of_reference_phase,
            "of the reviews have the reason REFERENCE_PART: their bundle's reference parts were being judged, or they had no bundle",
        ),
        (audit.reference.len(), "reference parts (not counted in any rate)"),
        (
            audit.abnormal_reference.len(),
            "of the reference parts are LABELLED ABNORMAL: their bundle's offset is wrong",
        ),
        (audit.other_references, "reference images that are not in the data set (ignored)"),
        (audit.not_judged.len(), "images of the data set without a verdict"),
        (audit.on_others, "verdicts on images that are not in the data set (ignored)"),
        (audit.without_image, "verdicts without a readable image (not counted in any rate)"),
        (audit.superseded, "verdicts replaced by a later verdict on the same image"),
        (audit.superseded_escapes, "of the replaced verdicts were PASS on an abnormal part"),
        (if audit.models > 1 { audit.models } else { 0 }, "different models judged; each rate covers all of them"),
    ] {
        if count > 0 {
            writeln!(text, "{count:5} {what}")?;
        }
    }
    Ok(text)
}

/// The text in the last column of the table. Empty for a correct verdict that is no review.
fn remark(part: &AuditedPart) -> &'static str {
    match part.verdict {
        _ if part.is_escape() => "ESCAPE",
        _ if part.is_overkill() => "overkill",
        _ if part.is_unlike_training() => "review, unlike training",
        _ if part.is_of_reference_phase() => "review, reference phase",
        Verdict::Review => "review",
        _ => "",
    }
}
