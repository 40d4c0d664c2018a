//! Values that have caused trouble somewhere: uuids that agree on their first bytes, times that tie to the microsecond or lie
//! before 1970, texts with quotes, line breaks, surrogate pairs and the word `null`.
//!
//! # Notes
//! Texts of at least [`TOAST_LENGTH`] bytes stand for those Postgres stores out of line (some 2,000 bytes in reality), so that
//! logs stay small. No text ever equals Debezium's placeholder: nothing could tell the two apart.

use std::fmt::Write as _;

use fastrand::Rng;

/// From this many bytes on, a toastable value is taken to be stored out of line.
pub const TOAST_LENGTH: usize = 40;

const WORDS: [&str; 18] = [
    "lorem",
    "ipsum",
    "dolor",
    "sit",
    "amet",
    "déjà",
    "vu",
    "straße",
    "東京",
    "emoji😀",
    "\"quoted\"",
    "back\\slash",
    "tab\t",
    "nl\n",
    "{json:1}",
    "ok",
    "null",
    "O'Neil",
];

/// A text of `words` words.
pub(crate) fn words(rng: &mut Rng, words: usize) -> String {
    let mut text = String::new();
    for at in 0..words {
        let word = rng.choice(WORDS).unwrap_or("ok");
        text.push_str(if at == 0 { "" } else { " " });
        text.push_str(word);
    }
    text
}

/// A name: short, sometimes empty, sometimes the four letters `null`.
pub(crate) fn name(rng: &mut Rng) -> String {
    match rng.u8(..20) {
        0 => String::new(),
        1 => "null".to_owned(),
        _ => format!("{} {}", words(rng, 1), rng.u16(..1000)),
    }
}

/// A nullable text, long enough to be stored out of line about half of the time.
pub(crate) fn long_text(rng: &mut Rng) -> Option<String> {
    match rng.u8(..10) {
        0..=1 => None,
        2..=4 => {
            let length = rng.usize(1..4);
            Some(words(rng, length))
        }
        _ => {
            let length = rng.usize(6..14);
            let mut text = words(rng, length);
            while text.len() < TOAST_LENGTH {
                text.push_str(" lorem ipsum");
            }
            Some(text)
        }
    }
}

/// Draws uuids and times that are near the ones drawn before.
#[derive(Clone, Debug, Default)]
pub(crate) struct Neighbours {
    uuids: Vec<[u8; 16]>,
    times: Vec<i64>,
}

const REMEMBERED: usize = 24;

impl Neighbours {
    /// A new uuid; every third shares its first bytes with an earlier one.
    pub(crate) fn uuid(&mut self, rng: &mut Rng) -> String {
        let mut bytes = rng.u128(..).to_be_bytes();
        if rng.u8(..3) == 0
            && let Some(near) = rng.choice(&self.uuids)
        {
            let shared = rng.usize(1..13);
            bytes.iter_mut().zip(near).take(shared).for_each(|(byte, near)| *byte = *near);
        }
        remember(rng, &mut self.uuids, bytes);
        uuid_text(bytes)
    }

    /// A creation time in microseconds; two of five tie with an earlier one, one in twenty lies before 1970.
    pub(crate) fn created_at(&mut self, rng: &mut Rng) -> i64 {
        if rng.u8(..5) < 2
            && let Some(same) = rng.choice(&self.times)
        {
            return *same;
        }
        let second = match rng.u8(..20) {
            0 => -rng.i64(1..3_000_000_000),
            1 => rng.i64(0..4_000_000_000),
            _ => 1_772_000_000 + rng.i64(0..3_000_000),
        };
        let micros = match rng.u8(..4) {
            0 => 0,
            1 => rng.i64(0..1000) * 1000,
            _ => rng.i64(0..1_000_000),
        };
        let time = second * 1_000_000 + micros;
        remember(rng, &mut self.times, time);
        time
    }
}

fn remember<T>(rng: &mut Rng, seen: &mut Vec<T>, value: T) {
    if seen.len() < REMEMBERED {
        seen.push(value);
    } else if let Some(slot) = seen.get_mut(rng.usize(..REMEMBERED)) {
        *slot = value;
    }
}

/// The hyphenated lower-case spelling of a uuid.
pub(crate) fn uuid_text(bytes: [u8; 16]) -> String {
    let mut text = String::with_capacity(36);
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        for nibble in [byte >> 4, byte & 15] {
            text.push(char::from(if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 }));
        }
    }
    text
}

/// A timestamptz as Debezium writes it: UTC, six digits after the point.
pub(crate) fn zoned_text(micros: i64) -> String {
    let mut text = date_and_time(micros);
    write!(text, ".{:06}Z", micros.rem_euclid(1_000_000)).expect("a String takes every write");
    text
}

/// The spelling of invented timestamps, which have no fraction.
pub(crate) fn zoned_text_short(micros: i64) -> String {
    date_and_time(micros) + "Z"
}

fn date_and_time(micros: i64) -> String {
    let seconds = micros.div_euclid(1_000_000);
    let (year, month, day) = civil(seconds.div_euclid(86_400));
    let (hour, minute, second) =
        (seconds.rem_euclid(86_400) / 3600, seconds.rem_euclid(3600) / 60, seconds.rem_euclid(60));
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
}

/// Days since 1970-01-01 to year, month and day, after Howard Hinnant's `civil_from_days`.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let (day, month) =
        (day_of_year - (153 * shifted + 2) / 5 + 1, if shifted < 10 { shifted + 3 } else { shifted - 9 });
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_spelled_like_debezium_spells_them() {
        assert_eq!(zoned_text(0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(zoned_text(-1), "1969-12-31T23:59:59.999999Z");
        assert_eq!(zoned_text(1_774_003_194_509_000), "2026-03-20T10:39:54.509000Z");
        assert_eq!(zoned_text(951_782_400_000_001), "2000-02-29T00:00:00.000001Z");
        assert_eq!(zoned_text_short(0), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn uuids_are_hyphenated_in_byte_order() {
        let mut bytes = [0_u8; 16];
        bytes[0] = 0xab;
        bytes[15] = 0x0f;
        assert_eq!(uuid_text(bytes), "ab000000-0000-0000-0000-00000000000f");
    }
}
