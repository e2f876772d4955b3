//! The specification of a conversion as data, `conversion.json`. It alone decides how the trainer and the device convert a
//! radiograph.

use super::{Bounds, ClaheSettings, ConversionError, DheSettings, Distribution, Method, Size};
use crate::digest::Digest;
use serde::{Deserialize, Serialize};
use std::fmt::Display;
use std::ops::RangeInclusive;

/// The means of ImageNet's red, green and blue, of levels / 255 (torchvision's pretrained models).
pub const IMAGENET_MEAN: [f32; 3] = [0.485, 0.456, 0.406];

/// The standard deviations of ImageNet's red, green and blue, of levels / 255.
pub const IMAGENET_STD: [f32; 3] = [0.229, 0.224, 0.225];

/// The interpolation of levels when the size changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Interpolation {
    /// Bilinear with antialiasing, bit-exact with Pillow's `Image.resize(size, BILINEAR)`.
    Bilinear,
}

/// Everything that decides how a radiograph becomes an input tensor.
///
/// Fields that the method does not use are absent, so that each conversion has exactly one specification and one digest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConversionSpec {
    /// Version of this specification, [`ConversionSpec::VERSION`].
    pub version: u32,
    /// The kind of conversion.
    pub method: Method,
    /// The bounds of all images, for global, mixed, clahe, dhe and linear16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bounds: Option<Bounds>,
    /// The training set's distribution, for equalize.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distribution: Option<Distribution>,
    /// Settings for clahe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clahe: Option<ClaheSettings>,
    /// Settings for dhe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dhe: Option<DheSettings>,
    /// The size of the network's input; `None` keeps the image's own size.
    pub size: Option<Size>,
    /// The interpolation of the resize, which follows the conversion.
    pub interpolation: Interpolation,
    /// Mean of each channel, of levels that are scaled to 0..=1.
    pub mean: [f32; 3],
    /// Standard deviation of each channel, of levels that are scaled to 0..=1.
    pub std: [f32; 3],
}

impl ConversionSpec {
    /// The version that this code implements.
    pub const VERSION: u32 = 1;

    /// The longest side of the network's input in pixels.
    pub const MAX_SIDE: u32 = 1 << 14;

    /// The largest number of pixels of the network's input: 16 Mi, a tensor of 192 MiB.
    pub const MAX_PIXELS: usize = 1 << 24;

    /// A specification of `method` at the image's own size, with ImageNet's normalisation and the default settings of clahe and dhe.
    ///
    /// The caller adds bounds or a distribution if the method needs them.
    #[must_use]
    pub fn new(method: Method) -> Self {
        Self {
            version: Self::VERSION,
            method,
            bounds: None,
            distribution: None,
            clahe: (method == Method::Clahe).then(ClaheSettings::default),
            dhe: (method == Method::Dhe).then(DheSettings::default),
            size: None,
            interpolation: Interpolation::Bilinear,
            mean: IMAGENET_MEAN,
            std: IMAGENET_STD,
        }
    }

    /// Adds the bounds of all images, if the method uses them.
    #[must_use]
    pub fn with_bounds(self, bounds: Bounds) -> Self {
        Self { bounds: self.method.needs_bounds().then_some(bounds), ..self }
    }

    /// Adds the training set's distribution, if the method uses it.
    #[must_use]
    pub fn with_distribution(self, distribution: Distribution) -> Self {
        Self { distribution: (self.method == Method::Equalize).then_some(distribution), ..self }
    }

    /// Sets the size of the network's input.
    #[must_use]
    pub fn with_size(self, size: Size) -> Self {
        Self { size: Some(size), ..self }
    }

    /// The digest of the compact JSON. It is the same for the same conversion, so it can name cached features.
    ///
    /// # Panics
    /// Never: numbers and names always become JSON.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&serde_json::to_vec(self).expect("numbers and names always become JSON"))
    }

    /// Checks that this code can run the specification.
    ///
    /// # Errors
    /// [`ConversionError::Spec`], which names the field that is missing, out of range or not used by the method.
    pub fn validate(&self) -> Result<(), ConversionError> {
        let method = self.method;
        within("version", self.version, Self::VERSION..=Self::VERSION)?;
        present("bounds", self.bounds.is_some(), method.needs_bounds(), method)?;
        present("distribution", self.distribution.is_some(), method == Method::Equalize, method)?;
        present("clahe", self.clahe.is_some(), method == Method::Clahe, method)?;
        present("dhe", self.dhe.is_some(), method == Method::Dhe, method)?;
        if let Some(clahe) = self.clahe {
            let limit = ClaheSettings::CLIP_LIMIT_PERCENT;
            within("clahe.tiles.height", clahe.tiles.height, 1..=ClaheSettings::MAX_TILES)?;
            within("clahe.tiles.width", clahe.tiles.width, 1..=ClaheSettings::MAX_TILES)?;
            within("clahe.clip_limit_percent", clahe.clip_limit_percent, limit..=limit)?;
        }
        if let Some(dhe) = self.dhe {
            within("dhe.emphasis", dhe.emphasis, DheSettings::EMPHASIS..=DheSettings::EMPHASIS)?;
        }
        if let Some(size) = self.size {
            within("size.height", size.height, 1..=Self::MAX_SIDE)?;
            within("size.width", size.width, 1..=Self::MAX_SIDE)?;
            within("size (pixels)", size.pixels(), 1..=Self::MAX_PIXELS)?;
        }
        self.mean.iter().try_for_each(|&mean| within("mean", mean, 0.0..=1.0))?;
        self.std.iter().try_for_each(|&std| within("std", std, 1e-3..=1e3))
    }
}

/// Checks that `found` is in `range`.
fn within<T: PartialOrd + Display + Copy>(
    member: &'static str,
    found: T,
    range: RangeInclusive<T>,
) -> Result<(), ConversionError> {
    if range.contains(&found) {
        return Ok(());
    }
    let (least, most) = range.into_inner();
    let expected = if least == most { least.to_string() } else { format!("{least} to {most}") };
    Err(ConversionError::Spec { member, found: found.to_string(), expected })
}

/// Checks that a field is present if the method needs it, and absent otherwise.
fn present(member: &'static str, found: bool, needed: bool, method: Method) -> Result<(), ConversionError> {
    match (found, needed) {
        (false, true) => Err(ConversionError::Spec {
            member,
            found: "nothing".into(),
            expected: format!("a value, which method {method} needs"),
        }),
        (true, false) => Err(ConversionError::Spec {
            member,
            found: "a value".into(),
            expected: format!("nothing, since method {method} does not use it"),
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn global() -> ConversionSpec {
        ConversionSpec::new(Method::Global).with_bounds(Bounds::new(1700, 2800).unwrap()).with_size(Size::PAPER)
    }

    /// Version 1 as it was first written; never to be edited.
    const GOLDEN: &str = concat!(
        r#"{"version":1,"method":"global","bounds":{"lo":1700,"hi":2800},"size":{"height":2000,"width":1000},"#,
        r#""interpolation":"bilinear","mean":[0.485,0.456,0.406],"std":[0.229,0.224,0.225]}"#
    );

    #[test]
    fn the_golden_json_is_written_and_read() {
        assert_eq!(serde_json::to_string(&global()).unwrap(), GOLDEN);
        assert_eq!(serde_json::from_str::<ConversionSpec>(GOLDEN).unwrap(), global());
        assert_eq!(global().digest(), Digest::of(GOLDEN.as_bytes()));
    }

    /// Specifications of clahe and dhe as they were first written; never to be edited.
    const GOLDEN_ADAPTIVE: [&str; 2] = [
        concat!(
            r#"{"version":1,"method":"clahe","bounds":{"lo":1700,"hi":2800},"clahe":{"tiles":{"height":8,"width":4},"#,
            r#""clip_limit_percent":200},"size":{"height":2000,"width":1000},"interpolation":"bilinear","#,
            r#""mean":[0.485,0.456,0.406],"std":[0.229,0.224,0.225]}"#
        ),
        concat!(
            r#"{"version":1,"method":"dhe","bounds":{"lo":1700,"hi":2800},"dhe":{"emphasis":0},"#,
            r#""size":{"height":2000,"width":1000},"interpolation":"bilinear","mean":[0.485,0.456,0.406],"#,
            r#""std":[0.229,0.224,0.225]}"#
        ),
    ];

    #[test]
    fn settings_of_clahe_and_dhe_are_written_and_values_that_are_not_allowed_are_refused() {
        for (golden, method) in GOLDEN_ADAPTIVE.into_iter().zip([Method::Clahe, Method::Dhe]) {
            let spec = ConversionSpec::new(method).with_bounds(Bounds::new(1700, 2800).unwrap()).with_size(Size::PAPER);
            assert_eq!(serde_json::to_string(&spec).unwrap(), golden);
            let spec: ConversionSpec = serde_json::from_str(golden).unwrap();
            assert_eq!(spec.validate(), Ok(()));
            let other = golden.replace("_percent\":200", "_percent\":300").replace("emphasis\":0", "emphasis\":1");
            let other: ConversionSpec = serde_json::from_str(&other).unwrap();
            let refused = other.validate().unwrap_err();
            assert!(
                matches!(
                    &refused,
                    ConversionError::Spec { member: "clahe.clip_limit_percent" | "dhe.emphasis", expected, .. }
                        if expected == "200" || expected == "0"
                ),
                "{refused}"
            );
        }
    }

    #[test]
    fn unknown_fields_reversed_bounds_and_unknown_interpolations_are_refused() {
        let parse = |json: &str| serde_json::from_str::<ConversionSpec>(json);
        assert!(parse(&GOLDEN.replace("\"size\"", "\"sise\"")).is_err());
        assert!(parse(&GOLDEN.replace("1700", "2900")).is_err());
        assert!(parse(&GOLDEN.replace("bilinear", "cubic")).is_err());
    }

    #[test]
    fn bounds_change_the_digest_only_of_methods_that_need_them() {
        // Cached features are named by the digest. So all folds of a cross-validation share the features of the local method.
        let bounds = |hi| Bounds::new(1700, hi).unwrap();
        let digest = |method, hi| ConversionSpec::new(method).with_bounds(bounds(hi)).digest();
        assert_eq!(digest(Method::Local, 2800), digest(Method::Local, 2900));
        assert_ne!(digest(Method::Mixed, 2800), digest(Method::Mixed, 2900));
    }

    #[test]
    fn each_fault_is_named() {
        let fault = |change: &dyn Fn(&mut ConversionSpec)| {
            let mut spec = global();
            change(&mut spec);
            match spec.validate() {
                Err(ConversionError::Spec { member, .. }) => member,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(global().validate(), Ok(()));
        assert_eq!(fault(&|spec| spec.version = 2), "version");
        assert_eq!(fault(&|spec| spec.bounds = None), "bounds");
        assert_eq!(fault(&|spec| spec.method = Method::Naive), "bounds");
        assert_eq!(fault(&|spec| spec.method = Method::Dhe), "dhe");
        assert_eq!(fault(&|spec| spec.clahe = Some(ClaheSettings::default())), "clahe");
        assert_eq!(fault(&|spec| spec.size = Some(Size { height: 0, width: 5 })), "size.height");
        assert_eq!(fault(&|spec| spec.size = Some(Size { height: 5, width: 16_385 })), "size.width");
        assert_eq!(fault(&|spec| spec.size = Some(Size { height: 16_384, width: 16_384 })), "size (pixels)");
        assert_eq!(fault(&|spec| spec.mean[1] = f32::NAN), "mean");
        assert_eq!(fault(&|spec| spec.std[2] = 0.0), "std");
    }

    #[test]
    fn error_texts() {
        let unused = ConversionSpec { method: Method::Naive, ..global() };
        let too_wide = global().with_size(Size { height: 5, width: 16_385 });
        let old = ConversionSpec { version: 0, ..global() };
        let errors = [ConversionSpec::new(Method::Equalize), unused, too_wide, old].map(|spec| {
            let error = spec.validate().expect_err("an invalid specification");
            error.to_string()
        });
        insta::assert_snapshot!("errors", errors.join("\n"));
    }
}
