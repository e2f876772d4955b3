//! Draws the axes of the SVG plots.

use maud::{Markup, html};

/// Width of a plot with its labels.
pub(super) const WIDTH: f64 = 264.0;
/// Height of a plot with its labels.
pub(super) const HEIGHT: f64 = 230.0;
/// Left edge of the plotted area, which is inside the labels.
pub(super) const LEFT: f64 = 44.0;
/// Right edge of the plotted area.
pub(super) const RIGHT: f64 = 252.0;
/// Top edge of the plotted area.
pub(super) const TOP: f64 = 10.0;
/// Bottom edge of the plotted area.
pub(super) const BOTTOM: f64 = 188.0;

/// Horizontal coordinate of `share`: 0 is the left edge and 1 the right edge.
pub(super) fn x(share: f64) -> f64 {
    LEFT + share * (RIGHT - LEFT)
}

/// Vertical coordinate of `share`: 0 is the bottom edge and 1 the top edge.
pub(super) fn y(share: f64) -> f64 {
    BOTTOM - share * (BOTTOM - TOP)
}

/// A coordinate as text, to a tenth of a pixel.
pub(super) fn at(coordinate: f64) -> String {
    format!("{coordinate:.1}")
}

/// A label on an axis: its position, 0..=1, and its text.
pub(super) type Tick = (f64, String);

/// Draws grid, ticks and titles around `content`. `titles` are those of the horizontal and the vertical axis.
/// `description` is for screen readers.
pub(super) fn plot(
    description: &str,
    titles: [&str; 2],
    x_ticks: &[Tick],
    y_ticks: &[Tick],
    content: &Markup,
) -> Markup {
    html! {
        svg.plot viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(description) {
            @for (place, text) in x_ticks {
                line.grid x1=(at(x(*place))) x2=(at(x(*place))) y1=(at(TOP)) y2=(at(BOTTOM)) {}
                text.tick x=(at(x(*place))) y=(at(BOTTOM + 14.0)) text-anchor="middle" { (text) }
            }
            @for (place, text) in y_ticks {
                line.grid x1=(at(LEFT)) x2=(at(RIGHT)) y1=(at(y(*place))) y2=(at(y(*place))) {}
                text.tick x=(at(LEFT - 6.0)) y=(at(y(*place) + 3.5)) text-anchor="end" { (text) }
            }
            (content)
            text.title x=(at(f64::midpoint(LEFT, RIGHT))) y=(at(HEIGHT - 8.0)) text-anchor="middle" { (titles[0]) }
            text.title transform={ "translate(11 " (at(f64::midpoint(TOP, BOTTOM))) ") rotate(-90)" }
                text-anchor="middle" { (titles[1]) }
        }
    }
}
