//! The overlay: evidence in colours over the radiograph.

use super::axis::{Axis, Between};
use super::cells::Evidence;
use super::colour::Scale;
use super::contour::Contour;
use crate::conversion::{ConversionError, ConversionSpec, Converter, Method, Size};
use crate::radiograph::RadiographView;

/// A picture for people: the radiograph in grey, its evidence in colours over it, and contours around its regions.
///
/// - The grey is the conversion that was judged, at the size of the picture instead of that of the network's input. A method with
///   three channels (mixed) is shown by its second one, the global conversion, since three greys would give colours. So is linear16,
///   which has no 8-bit step.
/// - Colour and opacity rise with the evidence, which is interpolated between the centres of the cells. They are relative to the
///   cell of this image with the highest evidence. So the colours of two images can't be compared: the
///   [total](Evidence::total) says how much evidence an image has. An image without evidence has no colour.
/// - Contours run around all regions, not only those that [`Evidence::regions`] lists. They follow the edges of cells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overlay {
    /// Height and width in pixels, in the proportion of the radiograph.
    pub size: Size,
    /// `height * width` pixels, row by row, each as red, green and blue.
    pub rgb: Vec<u8>,
}

impl Overlay {
    /// Draws `evidence` over `radiograph`.
    ///
    /// `input` is the size of the network's input, and `conversion` the conversion that was judged. The longer side of the picture has
    /// at most `longest_px` pixels. A radiograph with a longer side is reduced to that. A smaller one is enlarged by the largest
    /// integer factor that the limit allows, so that its pixels remain visible.
    ///
    /// # Errors
    /// [`ConversionError`] if `conversion` is invalid, or a side of the radiograph is too long.
    pub fn new<'a>(
        evidence: &Evidence,
        input: Size,
        radiograph: impl Into<RadiographView<'a>>,
        conversion: &ConversionSpec,
        longest_px: u32,
    ) -> Result<Self, ConversionError> {
        let radiograph = radiograph.into();
        let (converted, factor) = fit(Size { height: radiograph.height(), width: radiograph.width() }, longest_px);
        let grey = Converter::new(&shown(conversion).with_size(converted))?.to_levels8(radiograph)?;
        let size = Size { height: converted.height * factor, width: converted.width * factor };
        let rows = Axis { cells: evidence.size.height, input: input.height, pixels: size.height };
        let columns = Axis { cells: evidence.size.width, input: input.width, pixels: size.width };
        let mut rgb = Vec::with_capacity(3 * size.pixels());
        let (scale, contour) = (Scale::new(), Contour::new(evidence, rows, columns));
        let across: Vec<Between> = (0..size.width).map(|column| columns.around(column)).collect();
        let highest = evidence.cells.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        for (row, y) in (0..size.height).zip(0_usize..) {
            let down = rows.around(row);
            let grey = &grey.levels[(row / factor) as usize * converted.width as usize..][..converted.width as usize];
            for (x, &across) in across.iter().enumerate() {
                let colour = || scale.colour(grey[x / factor as usize], evidence.at(down, across) / highest);
                rgb.extend(contour.colour(y, x).unwrap_or_else(colour));
            }
        }
        Ok(Self { size, rgb })
    }

    /// The bytes of a PNG file, 8-bit RGB.
    ///
    /// # Panics
    /// If the length of `rgb` does not fit `size`, or a side is 0. [`Self::new`] makes neither.
    #[must_use]
    pub fn to_png(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, self.size.width, self.size.height);
        encoder.set_color(png::ColorType::Rgb);
        // Takes a third of the time of the default, level 6, for a file that is a seventh larger.
        encoder.set_deflate_compression(png::DeflateCompression::Level(3));
        encoder
            .write_header()
            .and_then(|mut writer| writer.write_image_data(&self.rgb))
            .expect("memory takes all bytes, and the pixels fit the size");
        bytes
    }
}

impl Evidence {
    /// The evidence between four cells.
    fn at(&self, down: Between, across: Between) -> f64 {
        let row = |row: usize| {
            let cells = &self.cells[row * self.size.width as usize..];
            across.value(cells[across.before], cells[across.after])
        };
        down.value(row(down.before), row(down.after))
    }
}

/// The conversion to one channel of 8 bits that shows what `conversion` gives the network.
fn shown(conversion: &ConversionSpec) -> ConversionSpec {
    match conversion.method {
        Method::Mixed | Method::Linear16 => ConversionSpec { method: Method::Global, ..conversion.clone() },
        Method::Naive | Method::Global | Method::Local | Method::Equalize | Method::Clahe | Method::Dhe => {
            conversion.clone()
        }
    }
}

/// The size to which a radiograph is converted, and the factor by which the result is then enlarged.
fn fit(radiograph: Size, longest_px: u32) -> (Size, u32) {
    let longest = radiograph.height.max(radiograph.width);
    if longest <= longest_px {
        return (radiograph, longest_px / longest);
    }
    let side = |pixels: u32| {
        let rounded = (u64::from(pixels) * u64::from(longest_px) + u64::from(longest / 2)) / u64::from(longest);
        u32::try_from(rounded).unwrap_or(longest_px).max(1)
    };
    (Size { height: side(radiograph.height), width: side(radiograph.width) }, 1)
}

#[cfg(test)]
mod tests {
    use super::super::cells::map;
    use super::*;
    use crate::conversion::{Bounds, Distribution, Histogram};
    use crate::digest::Digest;
    use crate::radiograph::Radiograph;

    const INPUT: Size = Size { height: 48, width: 64 };
    const SHARES: [f32; 12] = [0.0, 1.0, 0.0, 0.0, 0.0, 4.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.5];

    fn radiograph(height: u32, width: u32) -> Radiograph {
        let levels = (0..height * width).map(|at| (1500 + 7 * (at % width) + 3 * (at / width)) as u16);
        Radiograph::new(width, height, levels.collect()).unwrap()
    }

    fn spec(method: Method) -> ConversionSpec {
        let distribution = Distribution::of(&Histogram::of(radiograph(24, 32).levels())).unwrap();
        ConversionSpec::new(method)
            .with_bounds(Bounds::new(1500, 1800).unwrap())
            .with_distribution(distribution)
            .with_size(INPUT)
    }

    fn overlay(shares: &[f32], method: Method) -> Overlay {
        let evidence = Evidence::new(&map(4, shares), 0.0).unwrap();
        Overlay::new(&evidence, INPUT, &radiograph(24, 32), &spec(method), 100).unwrap()
    }

    fn pixels(overlay: &Overlay) -> impl Iterator<Item = [u8; 3]> {
        overlay.rgb.as_chunks::<3>().0.iter().copied()
    }

    #[test]
    fn golden_pixels() {
        let overlay = overlay(&SHARES, Method::Global);
        assert_eq!(overlay.size, Size { height: 72, width: 96 });
        let hex = |[red, green, blue]: [u8; 3]| format!("{red:02x}{green:02x}{blue:02x}");
        let all: Vec<String> = pixels(&overlay).map(hex).collect();
        let rows = all
            .chunks(96)
            .step_by(6)
            .map(|row| row.iter().step_by(8).map(String::as_str).collect::<Vec<_>>().join(" "));
        let text = rows.collect::<Vec<_>>().join("\n");
        insta::assert_snapshot!("pixels", format!("{text}\nall pixels: {}", Digest::of(&overlay.rgb)));
    }

    #[test]
    fn an_image_without_evidence_is_the_converted_radiograph() {
        for method in Method::ALL {
            let overlay = overlay(&[0.0; 12], method);
            let method = if matches!(method, Method::Mixed | Method::Linear16) { Method::Global } else { method };
            let own_size = ConversionSpec { size: None, ..spec(method) };
            let grey = Converter::new(&own_size).unwrap().to_levels8(&radiograph(24, 32)).unwrap();
            let enlarged = |at: usize| grey.levels[at / 96 / 3 * 32 + at % 96 / 3];
            assert!(pixels(&overlay).enumerate().all(|(at, pixel)| pixel == [enlarged(at); 3]), "{method}");
        }
    }

    #[test]
    fn colours_are_relative_to_the_highest_cell() {
        let tenth = SHARES.map(|share| share / 8.0);
        assert_eq!(overlay(&SHARES, Method::Local), overlay(&tenth, Method::Local));
        // At the size of the network's input, the centre of the highest cell is the centre of pixel (16, 16).
        let at_input = |shares: &[f32]| {
            let evidence = Evidence::new(&map(4, shares), 0.0).unwrap();
            Overlay::new(&evidence, INPUT, &radiograph(48, 64), &spec(Method::Global), 64).unwrap()
        };
        let pixel = |overlay: &Overlay| pixels(overlay).nth(16 * 64 + 16).unwrap();
        let grey = u16::from(pixel(&at_input(&[0.0; 12]))[0]);
        let yellow = [240, 249, 33].map(|channel: u16| ((grey * 89 + channel * 166 + 127) / 255) as u8);
        assert_eq!(pixel(&at_input(&SHARES)), yellow);
    }

    #[test]
    fn large_radiographs_are_reduced_and_small_ones_enlarged_by_an_integer() {
        let fit = |height, width| fit(Size { height, width }, 1600);
        assert_eq!(fit(4096, 2048), (Size { height: 1600, width: 800 }, 1));
        assert_eq!(fit(1600, 1200), (Size { height: 1600, width: 1200 }, 1));
        assert_eq!(fit(1, 65_535), (Size { height: 1, width: 1600 }, 1));
        assert_eq!(fit(64, 48), (Size { height: 64, width: 48 }, 25));
        assert_eq!(fit(600, 801), (Size { height: 600, width: 801 }, 1));
    }

    #[test]
    fn the_png_has_the_pixels() {
        let overlay = overlay(&SHARES, Method::Local);
        let bytes = overlay.to_png();
        let mut reader = png::Decoder::new(std::io::Cursor::new(&bytes)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.width, info.height, info.color_type), (96, 72, png::ColorType::Rgb));
        assert_eq!(pixels, overlay.rgb);
    }

    #[test]
    fn a_radiograph_that_is_too_long_is_an_error() {
        let evidence = Evidence::new(&map(4, &SHARES), 0.0).unwrap();
        let long = Radiograph::new(65_536, 1, vec![0; 65_536]).unwrap();
        let found = Overlay::new(&evidence, INPUT, &long, &spec(Method::Local), 100);
        assert!(matches!(found, Err(ConversionError::RadiographSize { .. })));
    }
}
