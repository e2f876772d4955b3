//! Draws the contact sheet: an overview of a data set as one image.
//!
//! From top to bottom the sheet shows:
//!
//! 1. a normal and an abnormal part of each bundle, converted with the same bounds,
//! 2. a close-up of each kind of anomaly, with the outline of its mask,
//! 3. one part after each of the paper's four conversions.

mod canvas;
mod font;

use super::design::{PartDesign, SetDesign};
use super::kind::AnomalyKind;
use super::png::{self, Pixels};
use super::render::{Rendered, Renderer};
use super::write::write_whole;
use super::{SynthConfig, SynthError};
use crate::dataset::Label;
use crate::dataset::images::percentiles;
use crate::progress;
use canvas::Canvas;
use cellgate_models::conversion::{Bounds, ConversionSpec, Converter, Histogram, Method};
use cellgate_models::radiograph::Radiograph;
use rayon::prelude::*;
use std::io;
use std::path::Path;

// Widths, heights and distances are in pixels of the sheet. Sizes are (width, height).
const THUMB: (usize, usize) = (190, 344);
const CLOSE_UP: (usize, usize) = (190, 190);
const GAP: usize = 12;
const BUNDLES_A_ROW: usize = 6;
/// Height of the captions below a row of bundles.
const CAPTION: usize = 5 * font::LINE + GAP;
const WIDTH: usize = GAP + 2 * BUNDLES_A_ROW * (THUMB.0 + GAP);

const WHITE: [u8; 3] = [235; 3];
const GREEN: [u8; 3] = [130, 210, 130];
const ORANGE: [u8; 3] = [255, 160, 50];

/// Severity of the anomalies in the close-ups.
const CLOSE_UP_SEVERITY: f32 = 0.7;

/// What a contact sheet shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// Number of parts.
    pub parts: usize,
    /// The levels that are shown as black and as white: the global bounds over these parts.
    pub bounds: Bounds,
}

/// A part on the sheet.
struct Picture {
    design: PartDesign,
    rendered: Rendered,
}

/// Writes the contact sheet of the data set of `config` to the PNG file `path`. The data set itself is not written.
///
/// # Errors
/// [`SynthError::Config`] if a value of `config` is out of its range, and [`SynthError::Io`] if the file can't be written.
pub fn preview(path: &Path, config: &SynthConfig) -> Result<Shown, SynthError> {
    let design = SetDesign::new(config)?;
    let error = |source| SynthError::Io { path: path.to_owned(), source };
    let sheet = Sheet::draw(config, &design).map_err(error)?;
    let bytes = sheet.canvas.pixels.concat();
    write_whole(path.to_owned(), |path| png::write(path, sheet.canvas.width as u32, Pixels::Rgb(&bytes)))?;
    Ok(Shown { parts: sheet.parts, bounds: sheet.bounds })
}

/// The contact sheet while it is drawn.
struct Sheet {
    canvas: Canvas,
    /// Number of parts that the sheet shows.
    parts: usize,
    bounds: Bounds,
}

impl Sheet {
    fn draw(config: &SynthConfig, design: &SetDesign) -> io::Result<Self> {
        let mut designs: Vec<PartDesign> =
            (0..design.bundles.len()).flat_map(|bundle| pair(design, bundle)).flatten().collect();
        let in_bundles = designs.len();
        designs.extend(close_ups(design));
        let renderer = Renderer::new(config);
        let bar = progress::bar(designs.len() as u64, "electrodes");
        let pictures: Vec<Picture> = designs
            .into_par_iter()
            .map(|part| {
                let rendered = renderer.render(&design.bundles[part.bundle], &part).map_err(io::Error::other)?;
                bar.inc(1);
                Ok(Picture { design: part, rendered })
            })
            .collect::<io::Result<_>>()?;
        bar.finish_and_clear();
        let (in_bundles, close_ups) = pictures.split_at(in_bundles);
        let bounds = Bounds::global(
            pictures.iter().map(|picture| percentiles(&Histogram::of(picture.rendered.radiograph.levels()))),
        )
        .ok_or_else(|| io::Error::other("no parts"))?;

        let rows = design.bundles.len().div_ceil(BUNDLES_A_ROW);
        let heading = 2 * font::LINE + GAP;
        let close_up_rows = 2 * (CLOSE_UP.1 + GAP) + 2 * font::LINE;
        let height = 4 * heading + rows * (THUMB.1 + CAPTION) + close_up_rows + 2 * THUMB.1 + CAPTION;
        let mut sheet = Self { canvas: Canvas::new(WIDTH, height), parts: pictures.len(), bounds };

        let title = format!(
            "{} synthetic electrodes in {} bundles, scale {}, seed {}; level {} is black, {} is white",
            config.parts,
            config.bundles,
            config.scale,
            config.seed,
            bounds.lo(),
            bounds.hi()
        );
        let mut top = sheet.heading(&title, GAP);
        sheet.bundles(design, in_bundles, top)?;
        top = sheet.heading("each kind of anomaly, and the outline of its mask", top + rows * (THUMB.1 + CAPTION));
        sheet.close_ups(close_ups, top)?;
        top = sheet.heading("one part after the four conversions from 16 to 8 bits", top + close_up_rows);
        if let Some(part) =
            in_bundles.iter().find(|picture| picture.design.label == Label::Abnormal).or(in_bundles.first())
        {
            sheet.conversions(&part.rendered.radiograph, top)?;
        }
        Ok(sheet)
    }

    /// Writes a heading at `top`, and returns the top of what follows.
    fn heading(&mut self, text: &str, top: usize) -> usize {
        self.canvas.text(text, (GAP, top), 2, WHITE);
        top + 2 * font::LINE + GAP / 2
    }

    /// Draws a normal and an abnormal part of each bundle, with captions.
    fn bundles(&mut self, design: &SetDesign, pictures: &[Picture], top: usize) -> io::Result<()> {
        for (bundle, style) in design.bundles.iter().enumerate() {
            let top = top + bundle / BUNDLES_A_ROW * (THUMB.1 + CAPTION);
            for (column, label) in [Label::Normal, Label::Abnormal].into_iter().enumerate() {
                let left = GAP + (2 * (bundle % BUNDLES_A_ROW) + column) * (THUMB.0 + GAP);
                let is_here = |picture: &&Picture| picture.design.bundle == bundle && picture.design.label == label;
                let mut lines = vec![format!("{}, {label}", style.name)];
                if let Some(picture) = pictures.iter().find(is_here) {
                    let image = self.converted(&picture.rendered.radiograph, Method::Global)?;
                    self.canvas.put(&image.resized(THUMB.0, THUMB.1), left, top);
                    lines.extend(
                        picture
                            .design
                            .anomalies
                            .iter()
                            .map(|(kind, severity)| format!("{} {severity:.2}", kind.name())),
                    );
                } else {
                    lines.push("(no such part)".into());
                }
                lines.insert(1, style.coating());
                let color = if label == Label::Normal { GREEN } else { ORANGE };
                for (line, text) in lines.iter().enumerate() {
                    let color = if line == 0 { color } else { WHITE };
                    self.canvas.text(text, (left, top + THUMB.1 + 5 + line * font::LINE), 1, color);
                }
            }
        }
        Ok(())
    }

    /// Draws a close-up of each kind of anomaly, and below it the same close-up with the outline of its mask.
    fn close_ups(&mut self, pictures: &[Picture], top: usize) -> io::Result<()> {
        for (column, picture) in pictures.iter().enumerate() {
            let (kind, severity) = picture.design.anomalies[0];
            let (width, mask) = (picture.design.width as usize, &picture.rendered.masks[0]);
            let image = self.converted(&picture.rendered.radiograph, Method::Global)?;
            let window = window(mask, width);
            let left = GAP + column * (CLOSE_UP.0 + GAP);
            let plain = cut(&image, window).resized(CLOSE_UP.0, CLOSE_UP.1);
            self.canvas.put(&plain, left, top);
            let mask = Canvas::of(width, mask.iter().map(|level| [*level; 3]).collect());
            let mask = cut(&mask, window).resized(CLOSE_UP.0, CLOSE_UP.1);
            self.canvas.put(&outlined(plain, &mask), left, top + CLOSE_UP.1 + 4);
            let text = format!("{} {severity:.2}", kind.name());
            self.canvas.text(&text, (left, top + 2 * CLOSE_UP.1 + 9), 1, ORANGE);
        }
        Ok(())
    }

    /// Draws one part after each of the paper's four conversions.
    fn conversions(&mut self, radiograph: &Radiograph, top: usize) -> io::Result<()> {
        for (column, method) in [Method::Naive, Method::Global, Method::Local, Method::Mixed].into_iter().enumerate() {
            let image = self.converted(radiograph, method)?;
            let sum: usize = image.pixels.iter().flatten().map(|level| usize::from(*level)).sum();
            let mean = sum as f64 / (3 * image.pixels.len()) as f64;
            let left = GAP + column * (2 * THUMB.0 + GAP);
            self.canvas.put(&image.resized(2 * THUMB.0, 2 * THUMB.1), left, top);
            let text = format!("{method}, mean level {mean:.1} of 255");
            self.canvas.text(&text, (left, top + 2 * THUMB.1 + 5), 2, WHITE);
        }
        Ok(())
    }

    /// Returns `radiograph` after a conversion, in grey, or for `mixed` in colour.
    fn converted(&self, radiograph: &Radiograph, method: Method) -> io::Result<Canvas> {
        let spec = ConversionSpec::new(method);
        let spec = if method.needs_bounds() { spec.with_bounds(self.bounds) } else { spec };
        let image = Converter::new(&spec)
            .and_then(|mut converter| converter.to_levels8(radiograph))
            .map_err(io::Error::other)?;
        let pixels = image.size.pixels();
        // A grey image has one channel, which is repeated for red, green and blue.
        let channel = |pixel: usize, channel: usize| image.levels[channel % image.channels * pixels + pixel];
        let colors = (0..pixels).map(|pixel| [0, 1, 2].map(|number| channel(pixel, number)));
        Ok(Canvas::of(image.size.width as usize, colors.collect()))
    }
}

/// Returns the clearest part of each label in `bundle`: the normal part with the least severe anomalies, and the abnormal
/// part with the most severe one.
fn pair(design: &SetDesign, bundle: usize) -> [Option<PartDesign>; 2] {
    let worst = |part: &&PartDesign| part.anomalies.iter().map(|(_, severity)| (severity * 1000.0) as u32).max();
    let of_label = |label| design.parts.iter().filter(move |part| part.bundle == bundle && part.label == label);
    [of_label(Label::Normal).min_by_key(worst).cloned(), of_label(Label::Abnormal).max_by_key(worst).cloned()]
}

/// For each kind of anomaly, designs a part that shows this kind only. All these parts equal the first part of a bundle of medium
/// thickness, where anomalies are well visible, except for the anomaly and the label.
fn close_ups(design: &SetDesign) -> impl Iterator<Item = PartDesign> {
    let mut by_thickness: Vec<_> = (0..design.bundles.len()).collect();
    by_thickness.sort_by(|a, b| design.bundles[*a].coating_depth.total_cmp(&design.bundles[*b].coating_depth));
    let middle = by_thickness[design.bundles.len() / 2];
    let part = design.parts.iter().find(|part| part.bundle == middle);
    part.into_iter().flat_map(|part| {
        AnomalyKind::ALL.into_iter().map(|kind| PartDesign {
            anomalies: vec![(kind, CLOSE_UP_SEVERITY)],
            label: Label::Abnormal,
            ..part.clone()
        })
    })
}

/// Left, top and side of a square.
type Square = (usize, usize, usize);

/// Returns a square around the marked pixels of `mask`. If the marked pixels do not fit into the largest allowed square, the square
/// holds as many of them as possible.
fn window(mask: &[u8], width: usize) -> Square {
    let height = mask.len() / width;
    let marked: Vec<(usize, usize)> =
        (0..mask.len()).filter(|&index| mask[index] > 0).map(|index| (index % width, index / width)).collect();
    // A sample of about 300 marked pixels is enough to place the square.
    let sampled: Vec<_> = marked.iter().copied().step_by(marked.len() / 300 + 1).collect();
    let extent = |along: fn(&(usize, usize)) -> usize| {
        let all = || marked.iter().map(along);
        all().max().unwrap_or(0) - all().min().unwrap_or(0)
    };
    // The side is at least a fifth of the width. It is at most half of the width, or a third if less than 5 % is marked.
    let largest = if 20 * marked.len() > mask.len() { width / 2 } else { width / 3 };
    let side = (extent(|(x, _)| *x).max(extent(|(_, y)| *y)) * 5 / 4).clamp(width / 5, largest).max(1).min(height);
    let start = |middle: usize, length: usize| middle.saturating_sub(side / 2).min(length - side);
    let around = |(x, y): (usize, usize)| (start(x, width), start(y, height));
    let held = |&(left, top): &(usize, usize)| {
        let is_held = |(x, y): &&(usize, usize)| (left..left + side).contains(x) && (top..top + side).contains(y);
        sampled.iter().filter(is_held).count()
    };
    let (left, top) =
        sampled.iter().copied().map(around).max_by_key(held).unwrap_or_else(|| around((width / 2, height / 2)));
    (left, top, side)
}

/// Returns the given square of `picture`.
fn cut(picture: &Canvas, (left, top, side): Square) -> Canvas {
    let rows = picture.pixels.chunks_exact(picture.width).skip(top).take(side);
    Canvas::of(side, rows.flat_map(|row| &row[left..left + side]).copied().collect())
}

/// Returns `picture` with a line around the marked pixels of `mask`, which has the same size.
fn outlined(mut picture: Canvas, mask: &Canvas) -> Canvas {
    let marked = |index: usize| mask.pixels[index][0] > 127;
    for index in mask.width..mask.pixels.len() {
        // The first pixel of a row has no left neighbour.
        let left = if index % mask.width == 0 { index } else { index - 1 };
        let is_border = marked(index) != marked(index - mask.width) || marked(index) != marked(left);
        if is_border {
            picture.pixels[index] = ORANGE;
        }
    }
    picture
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sheet_shows_both_labels_of_each_bundle_and_each_kind() {
        let config = SynthConfig { parts: 40, bundles: 4, scale: 0.06, seed: 1 };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sheet.png");
        let shown = preview(&path, &config).unwrap();
        let design = SetDesign::new(&config).unwrap();
        let with_both = (0..4).filter(|bundle| pair(&design, *bundle).iter().all(Option::is_some)).count();
        assert_eq!((with_both, shown.parts), (2, 6 + AnomalyKind::ALL.len()), "no abnormal part in two of the bundles");
        assert!(shown.bounds.lo() > 1500 && shown.bounds.hi() < 2900, "{}", shown.bounds);
        let (width, height) = png::size(&path).unwrap();
        assert!(width as usize == WIDTH && height > 1000, "{width} {height}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_window_lies_in_the_image_and_shows_the_marked_pixel() {
        let (width, height) = (40, 80);
        for place in [0, 39, 40 * 79, 40 * 80 - 1, 40 * 33 + 12] {
            let mut mask = vec![0; width * height];
            mask[place] = 255;
            let (left, top, side) = window(&mask, width);
            assert!((left..left + side).contains(&(place % width)) && (top..top + side).contains(&(place / width)));
            assert!(left + side <= width && top + side <= height);
        }
        assert_eq!(window(&vec![0; width * height], width).2, 8);
    }

    #[test]
    fn an_outline_at_the_right_edge_does_not_continue_at_the_left_edge() {
        let (width, height) = (4, 3);
        let mask = (0..width * height).map(|index| if index % width == width - 1 { [255; 3] } else { [0; 3] });
        let outlined = outlined(Canvas::new(width, height), &Canvas::of(width, mask.collect()));
        let is_line = |index: usize| outlined.pixels[index] == ORANGE;
        let lines: Vec<usize> = (0..width * height).filter(|&index| is_line(index)).collect();
        assert_eq!(lines, [7, 11]);
    }
}
