//! Points in time, as the caller tells them.

use std::fmt;

/// Milliseconds since 1970-01-01T00:00:00Z.
///
/// The engine has no clock: every input carries the caller's time. Displayed as RFC 3339 in UTC with milliseconds,
/// the form of the `time` of a message (protocol, section 4).
///
/// ```
/// assert_eq!(obrolan::Time(1_795_424_400_007).to_string(), "2026-11-23T09:00:00.007Z");
/// ```
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct Time(pub u64);

impl Time {
    /// The last instant of the year 9999, where four digits for the year end. To the engine, no time is later.
    pub const LAST: Time = Time(253_402_300_799_999);

    /// The point `ms` milliseconds later; stays at the end of time instead of wrapping.
    #[must_use]
    pub const fn after(self, ms: u64) -> Time {
        Time(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to this point, 0 if it lies in the future.
    #[must_use]
    pub const fn since(self, earlier: Time) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Reads the form that [`Display`](fmt::Display) writes, and no other.
    ///
    /// ```
    /// use obrolan::Time;
    /// assert_eq!(Time::parse("2026-11-23T09:00:00.007Z"), Some(Time(1_795_424_400_007)));
    /// ```
    #[must_use]
    pub fn parse(text: &str) -> Option<Time> {
        let text: &[u8; 24] = text.as_bytes().try_into().ok()?;
        let number = |from: usize, to: usize| {
            text[from..to].iter().try_fold(0, |number, byte| {
                byte.is_ascii_digit().then(|| number * 10 + u64::from(byte - b'0'))
            })
        };
        let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
        if year < 1970 || month == 0 || day == 0 {
            return None;
        }
        let clock =
            ((number(11, 13)? * 60 + number(14, 16)?) * 60 + number(17, 19)?) * 1000 + number(20, 23)?;
        let time = Time(days(year, month, day) * 86_400_000 + clock);
        // Whatever was out of its range, or in the wrong place, is written differently.
        (time.rfc3339() == *text).then_some(time)
    }

    /// The 24 bytes of [`Display`](fmt::Display), without the formatting machinery: every message carries one.
    pub(crate) fn rfc3339(self) -> [u8; 24] {
        let ms = self.0.min(Self::LAST.0);
        let (days, ms) = (ms / 86_400_000, ms % 86_400_000);
        let (year, month, day) = civil(days);
        let mut text = *b"0000-00-00T00:00:00.000Z";
        digits(&mut text[0..4], year);
        digits(&mut text[5..7], month);
        digits(&mut text[8..10], day);
        digits(&mut text[11..13], ms / 3_600_000);
        digits(&mut text[14..16], ms / 60_000 % 60);
        digits(&mut text[17..19], ms / 1000 % 60);
        digits(&mut text[20..23], ms % 1000);
        text
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.rfc3339()).expect("digits are ASCII"))
    }
}

fn digits(place: &mut [u8], mut value: u64) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

/// The proleptic Gregorian date `days` after 1970-01-01, by Howard Hinnant's `civil_from_days`.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// Days from 1970-01-01 to a date not before it: the inverse of [`civil`], Howard Hinnant's `days_from_civil`.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let year = year - u64::from(month <= 2);
    let (era, year_of_era) = (year / 400, year % 400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_around_leap_days_and_the_ends_of_the_range() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_709_251_199_001, "2024-02-29T23:59:59.001Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (Time::LAST.0, "9999-12-31T23:59:59.999Z"),
            (u64::MAX, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(Time(ms).to_string(), text);
            assert_eq!(Time::parse(text), Some(Time(ms).min(Time::LAST)));
        }
    }

    #[test]
    fn what_is_no_time() {
        for text in [
            "",
            "2026-02-29T00:00:00.000Z",
            "2026-13-01T00:00:00.000Z",
            "2026-00-01T00:00:00.000Z",
            "2026-01-00T00:00:00.000Z",
            "2026-01-01T24:00:00.000Z",
            "2026-01-01T00:00:60.000Z",
            "2026-01-01 00:00:00.000Z",
            "2026-01-01T00:00:00.000+",
            "1969-12-31T23:59:59.999Z",
            "202x-01-01T00:00:00.000Z",
            "2026-01-01T00:00:00.00é",
        ] {
            assert_eq!(Time::parse(text), None, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_reads_back(ms in 0..=Time::LAST.0) {
            proptest::prop_assert_eq!(Time::parse(&Time(ms).to_string()), Some(Time(ms)));
        }
    }
}
