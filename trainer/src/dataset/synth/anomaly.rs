//! Draws the paper's eleven kinds of anomaly (section 2.1) into an electrode. We chose the counts, lengths and
//! strengths of each kind. Lengths are in pixels at full scale and are multiplied by [`Electrode::px`]. Strengths are shares of the
//! coating's loading.

use super::area::Area;
use super::electrode::Electrode;
use super::kind::AnomalyKind;
use super::mask::Mask;
use super::random::Random;
use super::texture::{profile, smooth};

impl AnomalyKind {
    /// Draws an anomaly of this kind into `electrode`. A higher `severity` (0..=1) makes the anomaly larger, stronger and
    /// more numerous.
    pub(super) fn draw(self, electrode: &mut Electrode, severity: f32, random: &mut Random) {
        match self {
            Self::Scratches => scratches(electrode, severity, random),
            Self::Lines => lines(electrode, severity, random),
            Self::EdgeCuts => edge_cuts(electrode, severity, random),
            Self::EdgeTensions => edge_tensions(electrode, severity, random),
            Self::Smudges => smudges(electrode, severity, random),
            Self::EdgeInkFlow => edge_ink_flow(electrode, severity, random),
            Self::Bubbles => bubbles(electrode, severity, random),
            Self::MissingInk => missing_ink(electrode, severity, random),
            Self::Agglomerate => agglomerate(electrode, severity, random),
            Self::InkFluctuations => ink_fluctuations(electrode, severity, random),
            Self::InkEntryExit => ink_entry_exit(electrode, severity, random),
        }
    }
}

/// Returns a random count: `least` at severity 0, and up to `most` at severity 1.
fn count(least: usize, most: usize, severity: f32, random: &mut Random) -> usize {
    least + ((most - least) as f32 * severity * random.between(0.6, 1.0) + 0.5) as usize
}

/// Returns a random point of the coated area, in the image's coordinates.
fn anywhere(electrode: &Electrode, random: &mut Random) -> (f32, f32) {
    electrode.to_image(electrode.coated.at(random.between(0.03, 0.97), random.between(0.03, 0.97)))
}

/// Draws scratches: an object was dragged over the coating and removed some of it. The traces are thin, long and slightly bent.
fn scratches(electrode: &mut Electrode, severity: f32, random: &mut Random) {
    for _ in 0..count(1, 9, severity, random) {
        let (mut x, mut y) = anywhere(electrode, random);
        let length = random.between(120.0, 300.0 + 500.0 * severity) * electrode.px;
        let (mut step_x, mut step_y) = (random.normal(), random.normal());
        let norm = (step_x * step_x + step_y * step_y).sqrt().max(0.1) * 12.0;
        (step_x, step_y) = (step_x / norm * length, step_y / norm * length);
        let bend = random.normal() * 0.06;
        let mut points = vec![(x, y)];
        for _ in 0..12 {
            (x, y) = (x + step_x, y + step_y);
            (step_x, step_y) = (step_x - bend * step_y, step_y + bend * step_x);
            points.push((x, y));
        }
        let half_width = random.between(0.9, 1.6 + 3.2 * severity) * electrode.px;
        let taken = random.between(0.25, 0.4 + 0.5 * severity);
        // The removed material lies at both sides.
        let sides = Mask::stroke(&electrode.coating, &points, half_width * 2.2, 1.0);
        electrode.coating.change(&sides, |coating, strength| coating * (1.0 + 0.2 * taken * strength));
        let mask = Mask::stroke(&electrode.coating, &points, half_width, 1.0);
        electrode.coating.change(&mask, |coating, strength| coating * (1.0 - taken * strength));
    }
}

/// Draws lines: the coating head left straight lines along the coating's direction.
fn lines(electrode: &mut Electrode, severity: f32, random: &mut Random) {
    for _ in 0..count(1, 6, severity, random) {
        let u = random.between(0.03, 0.97);
        let start = if random.happens(0.6) { 0.0 } else { random.between(0.0, 0.5) };
        let end = if random.happens(0.6) { 1.0 } else { random.between(start + 0.2, 1.0) };
        let points = [start, end].map(|along| electrode.coated_point(u, along));
        let half_width = random.between(1.0, 2.0 + 5.0 * severity) * electrode.px;
        let change = random.sign() * random.between(0.03 + 0.06 * severity, 0.08 + 0.34 * severity);
        let mask = Mask::stroke(&electrode.coating, &points, half_width, 1.0);
        electrode.coating.change(&mask, |coating, strength| coating * (1.0 + change * strength));
    }
}

/// Returns a random point on one of the four edges of `area`, in the sheet's coordinates, and the direction into the area.
fn on_an_edge(area: Area, random: &mut Random) -> ((f32, f32), (f32, f32)) {
    let along = random.between(0.05, 0.95);
    match random.below(6) {
        0 => (area.at(along, 0.0), (0.0, 1.0)),
        1 => (area.at(along, 1.0), (0.0, -1.0)),
        // The left and right edges are about twice as long as the upper and lower ones, so they are twice as likely.
        2 | 3 => (area.at(0.0, along), (1.0, 0.0)),
        _ => (area.at(1.0, along), (-1.0, 0.0)),
    }
}

/// Draws edge cuts: pieces of the sheet's edge are missing.
fn edge_cuts(electrode: &mut Electrode, severity: f32, random: &mut Random) {
    for _ in 0..count(1, 3, severity, random) {
        let (place, (in_x, in_y)) = on_an_edge(electrode.sheet, random);
        let depth = random.between(10.0, 22.0 + 75.0 * severity) * electrode.px;
        let breadth = depth * random.between(0.4, 1.3);
        let radius = (breadth + (depth - breadth) * in_x.abs(), breadth + (depth - breadth) * in_y.abs());
        let mask =
            Mask::blob(&electrode.substrate, electrode.to_image(place), radius, 0.25, 2.0 / depth.max(4.0), random);
        electrode.substrate.change(&mask, |substrate, strength| substrate * (1.0 - strength));
        electrode.coating.change(&mask, |coating, strength| coating * (1.0 - strength));
    }
}

/// Draws edge tensions: the coating was stretched at an edge. Fine cracks point into the sheet, and the area around them is
/// thicker.
fn edge_tensions(electrode: &mut Electrode, severity: f32, random: &mut Random) {
    let (place, (in_x, in_y)) = on_an_edge(electrode.coated, random);
    let px = electrode.px;
    for _ in 0..count(4, 26, severity, random) {
        let along = random.normal() * 170.0 * px;
        let (mut x, mut y) = electrode.to_image((place.0 + along * in_y.abs(), place.1 + along * in_x.abs()));
        let step = random.between(6.0, 12.0 + 26.0 * severity) * px;
        let mut points = vec![(x, y)];
        for _ in 0..6 {
            let aside = random.normal() * 0.4 * step;
            (x, y) = (x + in_x * step + in_y * aside, y + in_y * step + in_x * aside);
            points.push((x, y));
        }
        let taken = random.between(0.15, 0.3 + 0.5 * severity);
        let mask = Mask::stroke(&electrode.coating, &points, random.between(0.7, 1.2 + 2.2 * severity) * px, 1.0);
        electrode.coating.change(&mask, |coating, strength| coating * (1.0 - taken * strength));
    }
    let radius = (60.0 + 150.0 * in_y.abs(), 60.0 + 150.0 * in_x.abs());
    let centre = electrode.to_image(place);
    let mask = Mask::blob(&electrode.coating, centre, (radius.0 * px, radius.1 * px), 0.3, 0.9, random);
    let change = 0.03 + 0.2 * severity;
    electrode.coating.change(&mask, |coating, strength| coating * (1.0 + change * strength));
}

/// Draws smudges: wet ink was wiped. Soft parallel traces of thinner coating each have a thicker spot at the end.
fn smudges(electrode: &mut Electrode, severity: f32, random: &mut Random) {
    for _ in 0..count(1, 3, severity, random) {
        let px = electrode.px;
        let (x, y) = anywhere(electrode, random);
        let (mut unit_x, mut unit_y) = (random.normal(), random.normal());
        let norm = (unit_x * unit_x + unit_y * unit_y).sqrt().max(0.1);
        (unit_x, unit_y) = (unit_x / norm, unit_y / norm);
        let length = random.between(90.0, 150.0 + 260.0 * severity) * px;
        let bend = random.normal() * 0.25;
        let change = random.between(0.05 + 0.14 * severity, 0.08 + 0.32 * severity);
        let traces = count(2, 6, severity, random);
        let breadth = random.between(14.0, 22.0 + 12.0 * severity) * px;
        for trace in 0..traces {
            let aside = (trace as f32 - traces as f32 / 2.0) * 1.6 * breadth + 0.4 * breadth * random.normal();
            let (start, end) = (random.between(-0.1, 0.1), random.between(0.8, 1.1));
            let points: Vec<_> = (0..=6)
                .map(|step| {
                    let along = start + (end - start) * step as f32 / 6.0;
                    let (forth, side) = (along * length, aside + bend * along * along * length);
                    (x + unit_x * forth - unit_y * side, y + unit_y * forth + unit_x * side)
                })
                .collect();
            let taken = change * random.between(0.5, 1.0);
            let mask = Mask::stroke(&electrode.coating, &points, 0.6 * breadth, breadth);
            electrode.coating.change(&mask, |coating, strength| coating * (1.0 - taken * strength));
            let heap = breadth * 1.1;
            let mask = Mask::blob(&electrode.coating, points[6], (heap, heap), 0.4, 0.8, random);
            electrode.coating.change(&mask, |coating, strength| coating * (1.0 + 1.2 * taken * strength));
        }
    }
}

/// Draws edge ink flow: ink flowed over the edge of the coated area into the border.
fn edge_ink_flow(electrode: &mut Electrode, severity: f32, random: &mut Random) {
    for _ in 0..count(1, 5, severity, random) {
        let (place, (in_x, in_y)) = on_an_edge(electrode.coated, random);
        let depth = random.between(6.0 + 6.0 * severity, 12.0 + 30.0 * severity) * electrode.px;
        let breadth = random.between(20.0, 50.0 + 160.0 * severity) * electrode.px;
        let radius = (breadth + (depth - breadth) * in_x.abs(), breadth + (depth - breadth) * in_y.abs());
        let loading = random.between(0.5, 0.8 + 0.6 * severity);
        let mask = Mask::blob(&electrode.coating, electrode.to_image(place), radius, 0.35, 0.3, random);
        electrode.coating.change(&mask, |coating, strength| coating.max(loading * strength));
    }
}

/// Draws bubbles: air in or under the ink gave spots of thin coating with a thicker rim.
fn bubbles(electrode: &mut Electrode, severity: f32, random: &mut Random) {
    let group = anywhere(electrode, random);
    for _ in 0..count(2, 45, severity, random) {
        let spread = 130.0 * electrode.px;
        let centre = if random.happens(0.6) {
            (group.0 + random.normal() * spread, group.1 + random.normal() * spread)
        } else {
            anywhere(electrode, random)
        };
        let radius = random.between(3.0, 6.0 + 10.0 * severity) * electrode.px;
        let taken = random.between(0.3, 0.45 + 0.45 * severity);
        let rim = Mask::blob(&electrode.coating, centre, (radius * 1.5, radius * 1.5), 0.1, 0.5, random);
        electrode.coating.change(&rim, |coating, strength| coating * (1.0 + 0.35 * taken * strength));
        let inside = Mask::blob(&electrode.coating, centre, (radius, radius), 0.1, 0.4, random);
        electrode.coating.change(&inside, |coating, strength| coating * (1.0 - taken * strength));
    }
}

/// Draws missing ink: patches with little or no ink.
fn missing_ink(electrode: &mut Electrode, severity: f32, random: &mut Random) {
    for _ in 0..count(1, 3, severity, random) {
        let radius = random.between(12.0, 22.0 + 95.0 * severity) * electrode.px;
        let shape = random.between(0.5, 1.6);
        let taken = random.between(0.35, 0.5 + 0.5 * severity);
        let centre = anywhere(electrode, random);
        let mask = Mask::blob(&electrode.coating, centre, (radius * shape, radius), 0.5, 0.15, random);
        electrode.coating.change(&mask, |coating, strength| coating * (1.0 - taken * strength));
    }
}

/// Draws agglomerate: lumps of catalyst, which are small, compact and strongly absorbing.
fn agglomerate(electrode: &mut Electrode, severity: f32, random: &mut Random) {
    for _ in 0..count(1, 20, severity, random) {
        let radius = random.between(2.5, 5.0 + 13.0 * severity) * electrode.px;
        let added = random.between(0.2 + 0.15 * severity, 0.3 + 0.35 * severity);
        let centre = anywhere(electrode, random);
        let mask = Mask::blob(&electrode.coating, centre, (radius, radius), 0.4, 0.8, random);
        electrode.coating.change(&mask, |coating, strength| coating * (1.0 + added * strength));
    }
}

/// Draws ink fluctuations: the flow of ink varied over time, which gave bands across the coating's direction.
fn ink_fluctuations(electrode: &mut Electrode, severity: f32, random: &mut Random) {
    let (length, px) = (electrode.length_and_breadth().0, electrode.px);
    let mut bands = profile(length, random.between(25.0, 70.0) * px, random);
    let reach = random.between(0.2, 0.35 + 0.6 * severity) * length as f32;
    let (middle, amplitude) = (random.unit() * length as f32, 0.025 + 0.11 * severity);
    for (along, band) in bands.iter_mut().enumerate() {
        let share = smooth(1.0 - ((along as f32 - middle) / reach).abs());
        *band = 1.0 + amplitude * share * *band;
    }
    electrode.scale_coating(|along, _| bands[along]);
}

/// Draws ink entry or exit: the start or the end of the coating has a thick, ragged ridge, and too little ink next to the ridge.
fn ink_entry_exit(electrode: &mut Electrode, severity: f32, random: &mut Random) {
    let (breadth, px) = (electrode.length_and_breadth().1, electrode.px);
    let at_entry = random.happens(0.5);
    let Area { left, top, right, bottom } = electrode.coated;
    let (entry, exit) = if electrode.crosswise { (left, right) } else { (top, bottom) };
    let ridge = random.between(10.0, 16.0 + 30.0 * severity) * px;
    let thin = ridge * random.between(1.5, 3.0);
    let (added, taken) = (0.08 + 0.45 * severity, 0.04 + 0.3 * severity);
    let ragged = profile(breadth, 30.0 * px, random);
    electrode.scale_coating(|along, across| {
        let depth = if at_entry { along as f32 - entry } else { exit - along as f32 };
        if depth > 2.0 * (ridge + thin) {
            return 1.0;
        }
        let depth = depth + ragged[across] * ridge * 0.4;
        let in_ridge = smooth((ridge - depth) / (0.3 * ridge));
        let in_thin = smooth((ridge + thin - depth) / (0.5 * thin)) - in_ridge;
        1.0 + added * in_ridge - taken * in_thin.max(0.0)
    });
}
