//! Converts between milliseconds since 1970 and UTC times as text, such as `2026-11-23T09:30:00.000Z`.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use std::time::{SystemTime, UNIX_EPOCH};

/// A text that is not a UTC time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a UTC time such as 2026-11-23, 2026-11-23T09:30 or 2026-11-23T09:30:00.250Z, found `{found}`")]
pub struct ParseTimeError {
    /// The text.
    pub found: String,
}

/// Now, in milliseconds since 1970, by the system's clock; 0 if the clock is before 1970.
#[must_use]
pub fn now_unix_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The time as `YYYY-MM-DDThh:mm:ss.mmmZ`. A time before the year 0, or after jiff's last time (9999-12-30T22:00),
/// becomes a plain number.
#[must_use]
pub fn format_utc_ms(unix_ms: i64) -> String {
    let utc = Timestamp::from_millisecond(unix_ms).map(|time| TimeZone::UTC.to_datetime(time)).ok();
    let utc = utc.filter(|utc| utc.year() >= 0);
    utc.map_or_else(|| unix_ms.to_string(), |utc| utc.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
}

/// Reads a date, or a date with a time. The time may have seconds, milliseconds and a `Z`.
///
/// # Errors
/// [`ParseTimeError`] for anything else, including dates that don't exist.
pub fn parse_utc_ms(text: &str) -> Result<i64, ParseTimeError> {
    parse(text).ok_or_else(|| ParseTimeError { found: text.chars().take(80).collect() })
}

/// Stricter than `jiff`'s parser, which also accepts offsets, time zones and other precisions.
fn parse(text: &str) -> Option<i64> {
    const FORM: &[u8] = b"0000-00-00T00:00:00.000";
    let text = text.strip_suffix('Z').filter(|rest| rest.len() > 10).unwrap_or(text);
    let fits = text.bytes().zip(FORM).all(|(found, form)| found == *form || *form == b'0' && found.is_ascii_digit());
    if !fits || ![10, 16, 19, 23].contains(&text.len()) {
        return None;
    }
    let number = |from: usize, to: usize| text.get(from..to).map_or(Some(0), |digits| digits.parse::<i16>().ok());
    let (month, day) = (number(5, 7)?.try_into().ok()?, number(8, 10)?.try_into().ok()?);
    let (hour, minute) = (number(11, 13)?.try_into().ok()?, number(14, 16)?.try_into().ok()?);
    let (second, ns) = (number(17, 19)?.try_into().ok()?, 1_000_000 * i32::from(number(20, 23)?));
    let utc = DateTime::new(number(0, 4)?, month, day, hour, minute, second, ns).ok()?;
    TimeZone::UTC.to_timestamp(utc).ok().map(Timestamp::as_millisecond)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The last time that jiff can represent.
    const LAST_UNIX_MS: i64 = 253_402_207_200_000;

    #[test]
    fn known_times_are_formatted_and_parsed() {
        assert_eq!(format_utc_ms(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(format_utc_ms(951_826_154_321), "2000-02-29T12:09:14.321Z");
        assert_eq!(format_utc_ms(-1), "1969-12-31T23:59:59.999Z");
        assert_eq!(format_utc_ms(LAST_UNIX_MS), "9999-12-30T22:00:00.000Z");
        assert_eq!(format_utc_ms(LAST_UNIX_MS + 1), (LAST_UNIX_MS + 1).to_string());
        assert_eq!(format_utc_ms(i64::MAX), i64::MAX.to_string());
        assert_eq!(parse_utc_ms("2026-11-23"), Ok(1_795_392_000_000));
        assert_eq!(parse_utc_ms("2026-11-23T00:01Z"), Ok(1_795_392_060_000));
    }

    #[test]
    fn invalid_times_are_refused() {
        for text in ["", "2026", "2026-02-30", "2026-13-01", "2026-11-23T24:00", "2026-11-23Z", "2026-11-23T9:30", "ä"]
        {
            assert!(parse_utc_ms(text).is_err(), "{text}");
        }
    }

    proptest! {
        /// From the year 0 to jiff's last time.
        #[test]
        fn a_formatted_time_is_parsed_to_the_same_value(unix_ms in -62_167_219_200_000..=LAST_UNIX_MS) {
            prop_assert_eq!(parse_utc_ms(&format_utc_ms(unix_ms)), Ok(unix_ms));
        }

        #[test]
        fn arbitrary_text_does_not_panic(text in ".{0,30}") {
            let _ = parse_utc_ms(&text);
        }
    }
}
