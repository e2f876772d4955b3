//! UTC times as text. The journal counts milliseconds since 1970; people read `2026-11-23T09:30:00.000Z`.

use std::time::{SystemTime, UNIX_EPOCH};

const MS_PER_DAY: i64 = 86_400_000;

/// A text that is no time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a UTC time such as 2026-11-23, 2026-11-23T09:30 or 2026-11-23T09:30:00.250Z, found `{found}`")]
pub struct ParseTimeError {
    /// The text.
    pub found: String,
}

/// Now, in milliseconds since 1970, by the system's clock; 0 where that stands before 1970.
#[must_use]
pub fn now_unix_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The time as `YYYY-MM-DDThh:mm:ss.mmmZ`; outside the years 0 to 9999 as the bare number.
#[must_use]
pub fn format_utc_ms(unix_ms: i64) -> String {
    let (year, month, day) = date_from_days(unix_ms.div_euclid(MS_PER_DAY));
    if !(0..=9999).contains(&year) {
        return unix_ms.to_string();
    }
    let ms = unix_ms.rem_euclid(MS_PER_DAY);
    let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", ms % 1000)
}

/// Reads a date, or a date and time, with or without seconds, milliseconds and `Z`.
///
/// # Errors
/// [`ParseTimeError`] for anything else, a 30th of February too.
pub fn parse_utc_ms(text: &str) -> Result<i64, ParseTimeError> {
    parse(text).ok_or_else(|| ParseTimeError { found: text.chars().take(80).collect() })
}

fn parse(text: &str) -> Option<i64> {
    const FORM: &[u8] = b"0000-00-00T00:00:00.000";
    let text = text.strip_suffix('Z').filter(|rest| rest.len() > 10).unwrap_or(text).as_bytes();
    let fits = text.iter().zip(FORM).all(|(found, form)| found == form || *form == b'0' && found.is_ascii_digit());
    if !fits || ![10, 16, 19, 23].contains(&text.len()) {
        return None;
    }
    let number = |from: usize, to: usize| {
        text.get(from..to).unwrap_or(b"0").iter().fold(0, |value, digit| value * 10 + i64::from(digit - b'0'))
    };
    let (year, month, day) = (number(0, 4), number(5, 7), number(8, 10));
    let (hour, minute, second, ms) = (number(11, 13), number(14, 16), number(17, 19), number(20, 23));
    let days = days_from_date(year, month, day);
    let exists = (1..=12).contains(&month) && date_from_days(days) == (year, month, day);
    (exists && hour < 24 && minute < 60 && second < 60)
        .then_some(days * MS_PER_DAY + hour * 3_600_000 + minute * 60_000 + second * 1000 + ms)
}

/// Days of 400 years, after which the calendar repeats.
const DAYS_PER_ERA: i64 = 146_097;
/// Days from 0000-03-01 to 1970-01-01.
const EPOCH_DAYS: i64 = 719_468;

/// Days since 1970 of a date. Years begin in March here, so that the leap day is the last one.
fn days_from_date(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1 - EPOCH_DAYS
}

/// The date of a day since 1970: year, month, day.
fn date_from_days(days: i64) -> (i64, i64, i64) {
    let (era, day) = ((days + EPOCH_DAYS).div_euclid(DAYS_PER_ERA), (days + EPOCH_DAYS).rem_euclid(DAYS_PER_ERA));
    // Leap days before `day`: one each 1,461 days, none each 36,524, one at the era's last day.
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (year * 365 + year / 4 - year / 100);
    let month = (day * 5 + 2) / 153;
    let day = day - (month * 153 + 2) / 5 + 1;
    let year = year + era * 400;
    if month < 10 { (year, month + 3, day) } else { (year + 1, month - 9, day) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_times() {
        assert_eq!(format_utc_ms(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(format_utc_ms(951_826_154_321), "2000-02-29T12:09:14.321Z");
        assert_eq!(format_utc_ms(-1), "1969-12-31T23:59:59.999Z");
        assert_eq!(format_utc_ms(i64::MAX), i64::MAX.to_string());
        assert_eq!(parse_utc_ms("2026-11-23"), Ok(1_795_392_000_000));
        assert_eq!(parse_utc_ms("2026-11-23T00:01Z"), Ok(1_795_392_060_000));
    }

    #[test]
    fn no_times() {
        for text in ["", "2026", "2026-02-30", "2026-13-01", "2026-11-23T24:00", "2026-11-23Z", "2026-11-23T9:30", "ä"]
        {
            assert!(parse_utc_ms(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_time_survives_its_text(unix_ms in -62_167_219_200_000..253_402_300_799_999_i64) {
            prop_assert_eq!(parse_utc_ms(&format_utc_ms(unix_ms)), Ok(unix_ms));
        }

        #[test]
        fn foreign_text_is_no_panic(text in ".{0,30}") {
            let _ = parse_utc_ms(&text);
        }
    }
}
