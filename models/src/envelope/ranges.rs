//! Defines the envelope: one range for each measure.

use super::outside::{Outside, OutsideEnvelope};
use super::{Measure, Measures, Range};
use serde::{Deserialize, Serialize};

/// The content of a model's `envelope.json`: a range for each measure, which the images of parts to be judged should be in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "File", into = "File")]
pub struct Envelope([Range; Measure::ALL.len()]);

/// A range is empty, or its measure never has some of its values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{}: found {} to {}, expected a range within {} to {}", measure.name(), found.low, found.high, measure.possible().low,
    measure.possible().high
)]
pub struct EnvelopeError {
    /// The measure.
    pub measure: Measure,
    /// Its range.
    pub found: Range,
}

/// The content of the file, not yet checked. All fields must be present.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    height: Range,
    width: Range,
    zeros_ppm: Range,
    saturated_ppm: Range,
    level_p50: Range,
    level_p1: Range,
    level_p99: Range,
    sharpness_ppm: Range,
}

impl TryFrom<File> for Envelope {
    type Error = EnvelopeError;

    fn try_from(file: File) -> Result<Self, EnvelopeError> {
        Self::new(|measure| match measure {
            Measure::Height => file.height,
            Measure::Width => file.width,
            Measure::Zeros => file.zeros_ppm,
            Measure::Saturated => file.saturated_ppm,
            Measure::LevelP50 => file.level_p50,
            Measure::LevelP1 => file.level_p1,
            Measure::LevelP99 => file.level_p99,
            Measure::Sharpness => file.sharpness_ppm,
        })
    }
}

impl From<Envelope> for File {
    fn from(envelope: Envelope) -> Self {
        Self {
            height: envelope.range(Measure::Height),
            width: envelope.range(Measure::Width),
            zeros_ppm: envelope.range(Measure::Zeros),
            saturated_ppm: envelope.range(Measure::Saturated),
            level_p50: envelope.range(Measure::LevelP50),
            level_p1: envelope.range(Measure::LevelP1),
            level_p99: envelope.range(Measure::LevelP99),
            sharpness_ppm: envelope.range(Measure::Sharpness),
        }
    }
}

impl Envelope {
    /// The envelope in which each measure has the range that `range` returns for it.
    ///
    /// # Errors
    /// [`EnvelopeError`] if a range is empty or not within [`Measure::possible`].
    pub fn new(range: impl Fn(Measure) -> Range) -> Result<Self, EnvelopeError> {
        let ranges = Measure::ALL.map(range);
        let is_sound = |measure: Measure, Range { low, high }: Range| {
            low <= high && measure.possible().contains(low) && measure.possible().contains(high)
        };
        match Measure::ALL.into_iter().zip(ranges).find(|&(measure, range)| !is_sound(measure, range)) {
            Some((measure, found)) => Err(EnvelopeError { measure, found }),
            None => Ok(Self(ranges)),
        }
    }

    /// The range of `measure`.
    #[must_use]
    pub fn range(&self, measure: Measure) -> Range {
        self.0[measure.index()]
    }

    /// The measures of an image that are outside of their ranges. `None` if all are inside.
    #[must_use]
    pub fn outside(&self, measures: &Measures) -> Option<OutsideEnvelope> {
        let all = Measure::ALL.into_iter().map(|measure| Outside {
            measure,
            found: measures.get(measure),
            expected: self.range(measure),
        });
        OutsideEnvelope::new(all.filter(|outside| !outside.expected.contains(outside.found)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"{"height":{"low":369,"high":465},"width":{"low":201,"high":267},"zeros_ppm":{"low":0,"high":10000},"saturated_ppm":{"low":0,"high":10000},"level_p50":{"low":1748,"high":2579},"level_p1":{"low":1677,"high":2559},"level_p99":{"low":2589,"high":2694},"sharpness_ppm":{"low":4491,"high":11697}}"#;

    #[test]
    fn an_envelope_is_read_back_as_it_was_written() {
        let envelope: Envelope = serde_json::from_str(FILE).unwrap();
        assert_eq!(envelope.range(Measure::LevelP1), Range { low: 1677, high: 2559 });
        assert_eq!(serde_json::to_string(&envelope).unwrap(), FILE);
    }

    #[test]
    fn every_field_is_named_as_its_measure() {
        let json: serde_json::Value = serde_json::from_str(FILE).unwrap();
        let envelope: Envelope = serde_json::from_str(FILE).unwrap();
        for measure in Measure::ALL {
            let range = envelope.range(measure);
            assert_eq!(json[measure.name()], serde_json::json!({ "low": range.low, "high": range.high }));
        }
    }

    #[test]
    fn an_incomplete_or_impossible_envelope_is_refused() {
        for (sound, unsound) in [
            (r#""level_p1":{"low":1677,"high":2559},"#, ""),
            (r#""level_p1""#, r#""level_p2""#),
            (r#"{"height""#, r#"{"pass":true,"height""#),
            (r#""low":1748,"high":2579"#, r#""low":2580,"high":2579"#),
            ("2579", "65536"),
            ("2579", "2579.5"),
            ("2579", "-1"),
            ("2579", "null"),
            (r#""low":369"#, r#""low":0"#),
            ("10000", "1000001"),
            ("11697", "2000001"),
            (r#","high":465"#, ""),
            (r#""high":465"#, r#""high":465,"mean":400"#),
            (r#""high":465"#, r#""high":465,"high":466"#),
        ] {
            let text = FILE.replacen(sound, unsound, 1);
            assert!(text != FILE && serde_json::from_str::<Envelope>(&text).is_err(), "{text}");
        }
    }

    #[test]
    fn both_ends_belong_to_a_range() {
        let envelope: Envelope = serde_json::from_str(FILE).unwrap();
        let ends = [|range: Range| range.low, |range: Range| range.high];
        for end in ends {
            let measures = Measures::from_values(Measure::ALL.map(|measure| end(envelope.range(measure))));
            assert_eq!(envelope.outside(&measures), None);
        }
        for measure in Measure::ALL {
            let values = |value| Measure::ALL.map(|of| if of == measure { value } else { envelope.range(of).low });
            let Range { low, high } = envelope.range(measure);
            for value in low.checked_sub(1).into_iter().chain([high + 1]) {
                let outside = envelope.outside(&Measures::from_values(values(value))).unwrap();
                assert_eq!(outside.is_hard(), measure.is_hard());
                assert_eq!(outside.measures().map(|outside| outside.measure).collect::<Vec<_>>(), [measure]);
            }
        }
    }
}
