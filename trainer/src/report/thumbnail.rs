//! Makes a small preview of a radiograph.

use super::ReportOptions;
use crate::results::SuspectMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cellgate_models::conversion::{ConversionSpec, Converter, Method, Size};
use cellgate_models::evidence::{Evidence, Overlay};
use cellgate_models::radiograph::{Radiograph, read};
use std::path::{Component, Path};

/// The image `name` of the data set as a PNG in a `data:` URL: with its evidence, or grey if it has no map.
///
/// # Errors
/// The reason why there is no preview, for the reader of the report.
pub(super) fn data_address(name: &str, options: &ReportOptions) -> Result<String, String> {
    let root = options.dataset_root.as_ref().ok_or("the report was made without the data set")?;
    let relative = Path::new(name);
    if !relative.components().all(|component| matches!(component, Component::Normal(_))) {
        return Err("the path leaves the data set's folder".into());
    }
    let radiograph = read(&root.join(relative), &options.limits).map_err(|error| {
        // The path of the data set's folder is removed from the text, because reports are passed on to readers who
        // don't have this folder.
        error.to_string().replace(&format!("{}/", root.display()), "")
    })?;
    let bytes = match options.evidence.iter().find(|map| map.image == name) {
        Some(map) => with_evidence(&radiograph, map, options.thumbnail_px)?,
        None => grey(&radiograph, options.thumbnail_px)?,
    };
    Ok(format!("data:image/png;base64,{}", STANDARD.encode(bytes)))
}

/// A PNG of the converted radiograph with its evidence in colours.
fn with_evidence(radiograph: &Radiograph, map: &SuspectMap, longest_px: u32) -> Result<Vec<u8>, String> {
    let input = map.conversion.size.ok_or("the conversion has no size")?;
    let evidence = map.map().and_then(|shares| Evidence::new(&shares, map.threshold));
    let evidence = evidence.ok_or("the map has a share that is not finite")?;
    let overlay = Overlay::new(&evidence, input, radiograph, &map.conversion, longest_px);
    Ok(overlay.map_err(|error| error.to_string())?.to_png())
}

/// A PNG of the radiograph, stretched to its own range of levels.
fn grey(radiograph: &Radiograph, longest_px: u32) -> Result<Vec<u8>, String> {
    let spec = ConversionSpec::new(Method::Local).with_size(fit(radiograph, longest_px));
    let image = Converter::new(&spec)
        .and_then(|mut converter| converter.to_levels8(radiograph))
        .map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, image.size.width, image.size.height);
    encoder.set_color(png::ColorType::Grayscale);
    encoder
        .write_header()
        .and_then(|mut writer| writer.write_image_data(&image.levels))
        .map_err(|error| error.to_string())?;
    Ok(bytes)
}

/// The size of the preview, whose longer side has at most `longest` pixels. A smaller image keeps its size.
fn fit(radiograph: &Radiograph, longest: u32) -> Size {
    let (height, width) = (radiograph.height(), radiograph.width());
    let scale = (f64::from(longest) / f64::from(height.max(width))).min(1.0);
    let side = |pixels: u32| ((f64::from(pixels) * scale).round() as u32).max(1);
    Size { height: side(height), width: side(width) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longer_side_is_fitted_and_nothing_is_enlarged() {
        let size = |width, height| {
            let radiograph = Radiograph::new(width, height, vec![0; (width * height) as usize]).unwrap();
            let size = fit(&radiograph, 100);
            (size.width, size.height)
        };
        assert_eq!(size(200, 400), (50, 100));
        assert_eq!(size(30, 20), (30, 20));
        assert_eq!(size(1000, 1), (100, 1));
    }
}
