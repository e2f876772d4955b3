//! Formats the time at which a model is created, as in RFC 3339.

use jiff::Timestamp;

/// The present time in UTC, such as `2026-11-23T09:30:00Z`.
pub(super) fn now() -> String {
    rfc3339(Timestamp::now())
}

fn rfc3339(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_equal_those_of_gnu_date() {
        // date -u -d @SECONDS +%FT%TZ
        let text = |seconds: i64| rfc3339(Timestamp::from_second(seconds).unwrap());
        assert_eq!(text(0), "1970-01-01T00:00:00Z");
        assert_eq!(text(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(text(1_795_426_201), "2026-11-23T09:30:01Z");
        assert_eq!(text(4_107_542_399), "2100-02-28T23:59:59Z");
    }
}
