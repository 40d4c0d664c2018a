//! A moment as people write it, RFC 3339, to milliseconds since 1970.

use toml::value::{Datetime, Offset};

/// The milliseconds of a moment that is not before 1970 and says how far it is from UTC. What is less than a millisecond is
/// left out.
pub(crate) fn milliseconds(text: &str) -> Option<i64> {
    let moment: Datetime = text.parse().ok()?;
    let (date, time) = (moment.date?, moment.time?);
    let ahead_of_utc = match moment.offset? {
        Offset::Z => 0,
        Offset::Custom { minutes } => i64::from(minutes),
    };
    let days = days_since_1970(i64::from(date.year), i64::from(date.month), i64::from(date.day));
    let minutes = (days * 24 + i64::from(time.hour)) * 60 + i64::from(time.minute) - ahead_of_utc;
    let seconds = minutes * 60 + i64::from(time.second.unwrap_or(0));
    let moment = seconds * 1_000 + i64::from(time.nanosecond.unwrap_or(0) / 1_000_000);
    (moment >= 0).then_some(moment)
}

/// In the Gregorian calendar. Years begin in March here, so that a leap day is the last of its year.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    // The first of March of the year 0 was so many days before 1970.
    year * 365 + leap_days + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_counted_from_1970() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("1970-01-01T01:00:00.9999+01:00", Some(999)),
            ("2000-02-29T12:00:00Z", Some(951_825_600_000)),
            ("2000-03-01T00:00:00Z", Some(951_868_800_000)),
            ("2026-01-31T09:00:00.125-02:30", Some(1_769_859_000_125)),
            ("2026-01-31 11:30:00.125Z", Some(1_769_859_000_125)),
            ("9999-12-31T23:59:59Z", Some(253_402_300_799_000)),
            // Before, nowhere, and no moment.
            ("1969-12-31T23:59:59Z", None),
            ("2026-01-31T09:00:00", None),
            ("2026-01-31", None),
            ("09:00:00", None),
            ("2026-02-30T09:00:00Z", None),
            ("yesterday", None),
        ] {
            assert_eq!(milliseconds(text), expected, "{text}");
        }
    }
}
