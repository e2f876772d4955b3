//! A flawless electrode: a sheet of substrate with a coated area, each with its texture.

use super::mask::Field;
use super::plan::{BundleStyle, PartPlan};
use super::random::Random;
use super::texture::{Texture, profile, smooth};

/// The uncoated border of the sheet, in pixels at full scale.
const BORDER_PX: f32 = 34.0;

/// A rectangle in the sheet's own coordinates, in pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Area {
    pub(super) left: f32,
    pub(super) top: f32,
    pub(super) right: f32,
    pub(super) bottom: f32,
}

impl Area {
    /// A place at the shares `u` and `v` of width and height.
    pub(super) fn at(&self, u: f32, v: f32) -> (f32, f32) {
        (self.left + u * (self.right - self.left), self.top + v * (self.bottom - self.top))
    }

    fn inset(&self, by: f32) -> Self {
        Self { left: self.left + by, top: self.top + by, right: self.right - by, bottom: self.bottom - by }
    }
}

/// How an electrode lies in its image, and how much of each material is where.
pub(super) struct Electrode {
    /// Length of a full-scale pixel in pixels of this image.
    pub(super) px: f32,
    /// The sheet.
    pub(super) sheet: Area,
    /// The coated area of the sheet; ink enters at the top and leaves at the bottom.
    pub(super) coated: Area,
    /// Thickness of the substrate, 1 nominal.
    pub(super) substrate: Field,
    /// Loading of the coating, 1 nominal.
    pub(super) coating: Field,
    /// Shift in x a pixel of y: a small turn of the sheet.
    tilt: f32,
}

impl Electrode {
    /// The electrode that `plan` describes, made the way of its bundle.
    pub(super) fn new(style: &BundleStyle, plan: &PartPlan, px: f32, random: &mut Random) -> Self {
        let (width, height) = (plan.width as usize, plan.height as usize);
        let mut margin = || random.between(9.0, 20.0) * px;
        let sheet =
            Area { left: margin(), top: margin(), right: width as f32 - margin(), bottom: height as f32 - margin() };
        let tilt = random.normal() * 0.001;
        let mut electrode = Self {
            px,
            sheet,
            coated: sheet.inset(BORDER_PX * px),
            substrate: Field::new(width, height),
            coating: Field::new(width, height),
            tilt,
        };
        electrode.fill(style, random);
        electrode
    }

    /// The image's place of a place in the sheet's coordinates.
    pub(super) fn to_image(&self, (x, y): (f32, f32)) -> (f32, f32) {
        let (width, height) = (self.coating.width as f32, self.coating.height as f32);
        (x + self.tilt * (y - height / 2.0), y - self.tilt * (x - width / 2.0))
    }

    /// Lays the substrate and coats it.
    fn fill(&mut self, style: &BundleStyle, random: &mut Random) {
        let (width, height, px) = (self.coating.width, self.coating.height, self.px);
        let square = |cell: f32| [cell * px, cell * px];
        let fine = Texture::new(width, height, square(style.mottle_px), random);
        let coarse = Texture::new(width, height, square(style.mottle_px * 5.0), random);
        let slow = Texture::new(width, height, square(420.0), random);
        // The coating head runs downwards: what it does unevenly across becomes a streak.
        let streaks = Texture::new(width, height, [7.0 * px, 900.0 * px], random);
        let fibres = Texture::new(width, height, [11.0 * px, 3.0 * px], random);
        let [left, right] = [(); 2].map(|()| profile(height, 70.0 * px, random));
        let [top, bottom] = [(); 2].map(|()| profile(width, 70.0 * px, random));
        let loading = 1.0 + 0.02 * random.normal();

        let wobble = 1.6 * px;
        let mut buffer = Vec::new();
        for y in 0..height {
            let shift_x = self.tilt * (y as f32 - height as f32 / 2.0);
            let span = y * width..(y + 1) * width;
            let coating = &mut self.coating.values[span.clone()];
            coating.fill(loading);
            fine.add_row(y, style.mottle, coating, &mut buffer);
            coarse.add_row(y, style.mottle * 0.7, coating, &mut buffer);
            slow.add_row(y, style.unevenness, coating, &mut buffer);
            streaks.add_row(y, style.streaks, coating, &mut buffer);
            let substrate = &mut self.substrate.values[span];
            substrate.fill(1.0);
            fibres.add_row(y, 0.10, substrate, &mut buffer);
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
                *coating *= smooth(in_coated / (4.0 * px) + 0.5);
            }
        }
    }
}
