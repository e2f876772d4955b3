//! Makes a flawless electrode in its tray: a sheet of substrate with a coated area. Sheet and coating have a texture.

use super::area::Area;
use super::design::PartDesign;
use super::mask::Field;
use super::random::Random;
use super::style::BundleStyle;
use super::texture::{Texture, profile, smooth, wave};
use super::tray;

/// Width of the sheet's uncoated border, in pixels at full scale.
const BORDER_PX: f32 = 32.0;
/// Least and largest distance from the image's edge to the sheet, in pixels at full scale.
const MARGIN_PX: (f32, f32) = (18.0, 32.0);

/// Where an electrode lies in its image, and the amount of each material at each pixel.
pub(super) struct Electrode {
    /// Length of a full-scale pixel in pixels of this image.
    pub(super) px: f32,
    /// The sheet, coated area and border together.
    pub(super) sheet: Area,
    /// The coated area of the sheet.
    pub(super) coated: Area,
    /// Whether the coating head moved from left to right instead of from top to bottom.
    pub(super) crosswise: bool,
    /// Optical depth of the tray.
    pub(super) tray: Field,
    /// Thickness of the substrate: 1 is nominal, 0 is outside the sheet.
    pub(super) substrate: Field,
    /// Loading of the coating, which is its material per area: 1 is nominal, 0 is without coating.
    pub(super) coating: Field,
    /// Tangent of the sheet's small rotation: the shift in x for each pixel of y.
    tilt: f32,
}

impl Electrode {
    /// Makes the electrode that `design` describes, in the style of its bundle.
    pub(super) fn new(style: &BundleStyle, design: &PartDesign, px: f32, random: &mut Random) -> Self {
        let (width, height) = (design.width as usize, design.height as usize);
        let mut margin = || random.between(MARGIN_PX.0, MARGIN_PX.1) * px;
        let sheet =
            Area { left: margin(), top: margin(), right: width as f32 - margin(), bottom: height as f32 - margin() };
        let tilt = random.normal() * 0.001;
        let mut electrode = Self {
            px,
            sheet,
            coated: sheet.inset(BORDER_PX * px),
            crosswise: style.crosswise,
            tray: tray::depth(width, height, sheet, px, random),
            substrate: Field::new(width, height),
            coating: Field::new(width, height),
            tilt,
        };
        electrode.fill(style, design.loading, random);
        electrode
    }

    /// Converts a point from the sheet's coordinates to the image's.
    pub(super) fn to_image(&self, (x, y): (f32, f32)) -> (f32, f32) {
        let (width, height) = (self.coating.width as f32, self.coating.height as f32);
        (x + self.tilt * (y - height / 2.0), y - self.tilt * (x - width / 2.0))
    }

    /// Returns a point of the coated area in the image's coordinates. `along` is the point's position along the coating's direction
    /// and `across` its position across this direction, both 0..=1.
    pub(super) fn coated_point(&self, across: f32, along: f32) -> (f32, f32) {
        let (u, v) = if self.crosswise { (along, across) } else { (across, along) };
        self.to_image(self.coated.at(u, v))
    }

    /// Returns the image's size along the coating's direction and across it, in pixels.
    pub(super) fn length_and_breadth(&self) -> (usize, usize) {
        let (width, height) = (self.coating.width, self.coating.height);
        if self.crosswise { (width, height) } else { (height, width) }
    }

    /// Multiplies the coating at each pixel by `factor(along, across)`. The arguments are the pixel's coordinates along the
    /// coating's direction and across it.
    pub(super) fn scale_coating(&mut self, factor: impl Fn(usize, usize) -> f32) {
        let width = self.coating.width;
        for (y, row) in self.coating.values.chunks_exact_mut(width).enumerate() {
            for (x, coating) in row.iter_mut().enumerate() {
                *coating *= if self.crosswise { factor(x, y) } else { factor(y, x) };
            }
        }
    }

    /// Fills in the substrate and its coating. `loading` is the mean loading of the coating; 1 is nominal.
    fn fill(&mut self, style: &BundleStyle, loading: f32, random: &mut Random) {
        let (width, height, px) = (self.coating.width, self.coating.height, self.px);
        let square = |cell: f32| [cell * px, cell * px];
        let fine = Texture::new(width, height, square(style.mottle_px), random);
        let coarse = Texture::new(width, height, square(style.mottle_px * 5.0), random);
        let slow = Texture::new(width, height, square(420.0), random);
        // Unevenness across the coating head becomes streaks along the coating's direction.
        let (across, along) = (style.streak_px * px, 1100.0 * px);
        let streak_cell = if self.crosswise { [along, across] } else { [across, along] };
        let streaks = Texture::new(width, height, streak_cell, random);
        let fibres = Texture::new(width, height, [11.0 * px, 3.0 * px], random);
        let [left, right] = [(); 2].map(|()| profile(height, 70.0 * px, random));
        let [top, bottom] = [(); 2].map(|()| profile(width, 70.0 * px, random));
        let (column, row) = self.regular(style, random);

        let wobble = 1.6 * px;
        let mut buffer = Vec::new();
        for y in 0..height {
            let shift_x = self.tilt * (y as f32 - height as f32 / 2.0);
            let span = y * width..(y + 1) * width;
            let coating = &mut self.coating.values[span.clone()];
            coating.copy_from_slice(&column);
            fine.add_row(y, style.mottle, coating, &mut buffer);
            coarse.add_row(y, style.mottle * 0.7, coating, &mut buffer);
            slow.add_row(y, style.unevenness, coating, &mut buffer);
            streaks.add_row(y, style.streaks, coating, &mut buffer);
            let substrate = &mut self.substrate.values[span];
            substrate.fill(1.0);
            fibres.add_row(y, style.fibres, substrate, &mut buffer);
            for (x, (coating, substrate)) in coating.iter_mut().zip(substrate).enumerate() {
                let at_x = x as f32 - shift_x;
                let at_y = y as f32 + self.tilt * (x as f32 - width as f32 / 2.0);
                let in_sheet = (at_x - self.sheet.left)
                    .min(self.sheet.right - at_x)
                    .min(at_y - self.sheet.top)
                    .min(self.sheet.bottom - at_y);
                let in_coated = (at_x - self.coated.left + wobble * left[y])
                    .min(self.coated.right - at_x + wobble * right[y])
                    .min(at_y - self.coated.top + wobble * top[x])
                    .min(self.coated.bottom - at_y + wobble * bottom[x]);
                *substrate *= (in_sheet + 0.5).clamp(0.0, 1.0);
                *coating = loading * (*coating + row[y]) * smooth(in_coated / (style.edge_px * px) + 0.5);
            }
        }
    }

    /// Returns the regular pattern of the coating method: the loading of each column, and the loading that each row adds.
    fn regular(&self, style: &BundleStyle, random: &mut Random) -> (Vec<f32>, Vec<f32>) {
        let (width, height, px) = (self.coating.width, self.coating.height, self.px);
        // The image can't show a weave with a period below two pixels. Such a weave is left out. A weave with a period of two to
        // four pixels is weaker.
        let weave = style.weave * smooth(style.weave_px * px / 2.0 - 1.0);
        let mut along_x = vec![1.0; width];
        let mut along_y = vec![0.0; height];
        for profile in [&mut along_x, &mut along_y] {
            let phase = random.unit();
            for (place, loading) in profile.iter_mut().enumerate() {
                *loading += weave * wave(place as f32 / (style.weave_px * px) + phase);
            }
        }
        let (across, start, end) = if self.crosswise {
            (&mut along_y, self.coated.top, self.coated.bottom)
        } else {
            (&mut along_x, self.coated.left, self.coated.right)
        };
        let phase = random.unit();
        for (place, loading) in across.iter_mut().enumerate() {
            let place = place as f32;
            // The bead lies 9 pixels from each side and falls off within 11 pixels, at full scale.
            let to_side = (place - start).min(end - place) / px;
            *loading += style.wedge * ((place - start) / (end - start) - 0.5)
                + style.bead * smooth(1.0 - (to_side - 9.0).abs() / 11.0)
                + style.passes * wave(place / (style.pass_px * px) + phase);
        }
        (along_x, along_y)
    }
}
