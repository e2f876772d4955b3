//! Draws the tray that holds the electrode. The tray has a floor, a raised rim around the pocket, relief holes in the pocket's
//! corners and finger cut-outs at the long sides.

use super::area::Area;
use super::mask::Field;
use super::random::Random;
use super::texture::{Texture, smooth};

/// Optical depth of the tray's floor.
const FLOOR_DEPTH: f32 = 0.022;
/// Optical depth that the rim adds to the floor's.
const RIM_DEPTH: f32 = 0.09;
/// Amplitude of the variation of the floor's depth.
const UNEVENNESS: f32 = 0.0015;
/// Nominal gap between the sheet and the pocket's wall, in pixels at full scale.
const PLAY_PX: f32 = 7.0;
/// Radius of a relief hole and of a finger cut-out, in pixels at full scale.
const HOLE_PX: f32 = 13.0;
const FINGER_PX: f32 = 46.0;

/// Returns the optical depth of a tray with a pocket for `sheet`. The gap between pocket and sheet differs on each side.
pub(super) fn depth(width: usize, height: usize, sheet: Area, px: f32, random: &mut Random) -> Field {
    let mut play = || random.between(0.6, 1.4) * PLAY_PX * px;
    let pocket = Area {
        left: sheet.left - play(),
        top: sheet.top - play(),
        right: sheet.right + play(),
        bottom: sheet.bottom + play(),
    };
    let floor = Texture::new(width, height, [90.0 * px, 90.0 * px], random);
    let mut tray = Field::new(width, height);
    let mut buffer = Vec::new();
    for (y, row) in tray.values.chunks_exact_mut(width).enumerate() {
        row.fill(FLOOR_DEPTH);
        floor.add_row(y, UNEVENNESS, row, &mut buffer);
        let from_top = (y as f32 - pocket.top).min(pocket.bottom - y as f32);
        for (x, depth) in row.iter_mut().enumerate() {
            let inside = from_top.min(x as f32 - pocket.left).min(pocket.right - x as f32);
            *depth += RIM_DEPTH * smooth(0.5 - inside / (3.0 * px));
        }
    }
    let corners = [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)].map(|(u, v)| (pocket.at(u, v), HOLE_PX));
    let fingers = [(0.0, 0.5), (1.0, 0.5)].map(|(u, v)| {
        let (x, y) = pocket.at(u, v);
        // The centre lies in the rim, so that only a shallow arc reaches under the sheet.
        ((x + (2.0 * u - 1.0) * 0.72 * FINGER_PX * px, y), FINGER_PX)
    });
    for (centre, radius) in corners.into_iter().chain(fingers) {
        open(&mut tray, centre, radius * px, px);
    }
    tray
}

/// Sets the tray's depth to 0 in a circle with a soft edge.
fn open(tray: &mut Field, centre: (f32, f32), radius: f32, px: f32) {
    let reach = radius + 2.0;
    // A cast from a negative number gives 0.
    let rows = ((centre.1 - reach) as usize).min(tray.height)..((centre.1 + reach) as usize).min(tray.height);
    let columns = ((centre.0 - reach) as usize).min(tray.width)..((centre.0 + reach) as usize).min(tray.width);
    for y in rows {
        for x in columns.clone() {
            let (dx, dy) = (x as f32 - centre.0, y as f32 - centre.1);
            let inside = radius - (dx * dx + dy * dy).sqrt();
            tray.values[y * tray.width + x] *= 1.0 - smooth(inside / px.max(0.5) + 0.5);
        }
    }
}
