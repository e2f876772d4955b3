//! `cellgate-trainer convert`: converts one radiograph to an 8-bit PNG.

use super::misuse;
use anyhow::Context;
use cellgate_models::conversion::{Bounds, ConversionSpec, Converter, Distribution, Histogram, Image8, Method, Size};
use cellgate_models::radiograph;
use cellgate_trainer::dataset::Listing;
use cellgate_trainer::dataset::images::{self, limits};
use cellgate_trainer::files;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Arguments of `convert`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The PNG is grey. With `--method mixed` it has colours: red is naive, green is global, blue is local.

Examples:
  Bounds from the image itself:
    cellgate-trainer convert part.tif part.png --method local
  The same bounds for all images, at the network's size:
    cellgate-trainer convert part.tif part.png --method global --bounds 1700,2800 --size 2000x1000
  Equalised with the levels of a whole data set:
    cellgate-trainer convert part.tif part.png --method equalize --training electrodes")]
pub(crate) struct Args {
    /// The radiograph, a 16-bit grey TIFF
    image: PathBuf,
    /// The PNG to write; an existing file is replaced
    out: PathBuf,
    /// The conversion: naive, global, local, mixed, equalize, clahe or dhe
    #[arg(long)]
    method: Method,
    /// The levels that become 0 and 255; needed for global, mixed, clahe and dhe (see `cellgate-trainer bounds`)
    #[arg(long, value_name = "LO,HI")]
    bounds: Option<Bounds>,
    /// Height and width of the PNG [default: those of the radiograph]
    #[arg(long, value_name = "HxW")]
    size: Option<Size>,
    /// The data set whose distribution of levels equalises the radiograph; needed for equalize
    #[arg(long, value_name = "DATASET")]
    training: Option<PathBuf>,
}

/// Runs `convert`.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if args.out.canonicalize().is_ok_and(|out| args.image.canonicalize().is_ok_and(|image| image == out)) {
        return Err(misuse(format!("{}: OUT is the radiograph itself; give another file", args.out.display())));
    }
    let mut converter = Converter::new(&spec(args)?)?;
    let radiograph = radiograph::read(&args.image, &limits())?;
    let image = converter.to_levels8(&radiograph)?;
    files::write(&args.out, &png(&image)?).with_context(|| format!("{} can't be written", args.out.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// The conversion that the arguments ask for.
fn spec(args: &Args) -> anyhow::Result<ConversionSpec> {
    let method = args.method;
    if method == Method::Linear16 {
        return Err(misuse(
            "--method: found linear16, which does not convert to 8 bits; expected naive, global, local, mixed, equalize, clahe or dhe",
        ));
    }
    let mut spec = ConversionSpec::new(method);
    match args.bounds {
        Some(bounds) if method.needs_bounds() => spec = spec.with_bounds(bounds),
        Some(_) => return Err(misuse(format!("--method {method} does not use --bounds"))),
        None if method.needs_bounds() => {
            return Err(misuse(format!(
                "--method {method} needs --bounds LO,HI; `cellgate-trainer bounds DATASET` computes them"
            )));
        }
        None => {}
    }
    match &args.training {
        Some(training) if method == Method::Equalize => spec = spec.with_distribution(distribution(training)?),
        Some(_) => return Err(misuse(format!("--method {method} does not use --training"))),
        None if method == Method::Equalize => return Err(misuse("--method equalize needs --training DATASET")),
        None => {}
    }
    Ok(match args.size {
        Some(size) => spec.with_size(size),
        None => spec,
    })
}

/// The distribution of the levels over all images of the data set in the folder `training`.
fn distribution(training: &Path) -> anyhow::Result<Distribution> {
    let listing = Listing::read(training)?;
    listing.check_files()?;
    let mut histogram = Histogram::new();
    for entry in &listing.entries {
        histogram.add(images::read(&listing.path(entry))?.levels());
    }
    Distribution::of(&histogram).context("the data set has no images")
}

/// `image` as a PNG.
fn png(image: &Image8) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, image.size.width, image.size.height);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_color(if image.channels == 1 { png::ColorType::Grayscale } else { png::ColorType::Rgb });
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&interleaved(image))?;
    writer.finish()?;
    Ok(bytes)
}

/// The levels of `image`, channels interleaved, as in a PNG. `image.levels` holds one channel after the other.
fn interleaved(image: &Image8) -> Vec<u8> {
    let pixels = image.size.pixels();
    (0..pixels)
        .flat_map(|pixel| (0..image.channels).map(move |channel| image.levels[channel * pixels + pixel]))
        .collect()
}
