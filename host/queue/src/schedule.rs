//! When a periodic job is due: a cron line in a time zone, read and evaluated by the crate croner. Pure.
//!
//! At a change to daylight saving time croner does as Vixie cron did: a fixed time that does not exist that day is due at
//! the first moment after the gap, one that comes twice is due once; what repeats within the hour follows the clock on the
//! wall.

use std::str::FromStr;

use croner::Cron;
use jiff_for_croner::tz::TimeZone;
use jiff_for_croner::{Timestamp as Instant, Zoned};

use crate::clock::Timestamp;

/// The time zone of a schedule that names none.
pub const DEFAULT_TIMEZONE: &str = "UTC";

/// The most bytes a cron line may have.
const MAX_LINE: usize = 200;

/// A cron line in a time zone.
#[derive(Clone, Debug)]
pub struct Schedule {
    cron: Cron,
    timezone: TimeZone,
}

impl Schedule {
    /// Reads a cron line (five fields, or six with seconds first; or `@hourly` and its like) and the name of a time zone,
    /// such as `Europe/Berlin`.
    ///
    /// # Errors
    /// A sentence that says which of them is wrong, and how.
    pub fn new(line: &str, timezone: &str) -> Result<Self, String> {
        let shown: String = line.escape_debug().take(60).collect();
        let refuse = |reason: String| {
            format!(
                "`{shown}` is not a cron line ({reason}): write minute, hour, day, month and weekday, like `*/5 * * * *`"
            )
        };
        if line.len() > MAX_LINE {
            return Err(refuse(format!("it has more than {MAX_LINE} bytes")));
        }
        // To croner an empty place is nothing, and a field of nothing a time that never comes: it looks for that through all
        // years there are, which takes seconds.
        if line.split_whitespace().any(|field| field.split(',').any(str::is_empty)) {
            return Err(refuse("a list in it has an empty place".to_owned()));
        }
        let cron = Cron::from_str(line).map_err(|error| refuse(error.to_string().trim_end_matches('.').to_owned()))?;
        let zone: String = timezone.escape_debug().take(60).collect();
        let timezone = TimeZone::get(timezone)
            .map_err(|_| format!("`{zone}` is not a time zone: write a name like UTC or Europe/Berlin"))?;
        let schedule = Self { cron, timezone };
        // A day that never comes, such as 30 February.
        schedule.next_after(Timestamp::now()).ok_or_else(|| refuse("it is never due".to_owned()))?;
        Ok(schedule)
    }

    /// The first time it is due after `instant`; `None` if there is none any more.
    pub fn next_after(&self, instant: Timestamp) -> Option<Timestamp> {
        let from = Instant::from_microsecond(instant.0).ok()?.to_zoned(self.timezone.clone());
        let next: Zoned = self.cron.find_next_occurrence(&from, false).ok()?;
        Some(Timestamp(next.timestamp().as_microsecond()))
    }

    /// An instant as the clock on the wall shows it in the schedule's time zone: `2026-03-28T02:30:00+01:00`.
    pub fn on_the_wall(&self, instant: Timestamp) -> String {
        match Instant::from_microsecond(instant.0) {
            Ok(at) => at.to_zoned(self.timezone.clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
            Err(_) => instant.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp(text.parse::<Instant>().unwrap().as_microsecond())
    }

    /// The next times it is due, one after the other.
    fn times(line: &str, timezone: &str, from: &str, count: usize) -> Vec<String> {
        let schedule = Schedule::new(line, timezone).unwrap();
        let next = |last: &Timestamp| schedule.next_after(*last);
        std::iter::successors(schedule.next_after(at(from)), next).take(count).map(|at| at.to_string()).collect()
    }

    #[test]
    fn a_time_that_is_now_is_not_the_next_one() {
        let next = times("*/5 * * * *", "UTC", "2026-01-01T00:05:00Z", 2);
        assert_eq!(next, ["2026-01-01T00:10:00.000000Z", "2026-01-01T00:15:00.000000Z"]);
        let next = times("*/20 * * * * *", "UTC", "2026-01-01T00:00:59.999999Z", 2);
        assert_eq!(next, ["2026-01-01T00:01:00.000000Z", "2026-01-01T00:01:20.000000Z"]);
        assert_eq!(times("@daily", "UTC", "2026-01-01T00:00:00Z", 1), ["2026-01-02T00:00:00.000000Z"]);
    }

    #[test]
    fn a_line_is_meant_in_its_time_zone_through_the_changes_of_the_clock() {
        let due = |from| times("30 2 * * *", "Europe/Berlin", from, 2);
        // On 29 March 2026 there is no half past two in Berlin; on 25 October it comes twice.
        assert_eq!(due("2026-03-28T12:00:00Z"), ["2026-03-29T01:00:00.000000Z", "2026-03-30T00:30:00.000000Z"]);
        assert_eq!(due("2026-10-24T12:00:00Z"), ["2026-10-25T00:30:00.000000Z", "2026-10-26T01:30:00.000000Z"]);
    }

    #[test]
    fn an_instant_is_shown_as_on_the_clock_on_the_wall() {
        for (timezone, instant, wall) in [
            ("UTC", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00+00:00"),
            ("Europe/Berlin", "2026-03-29T00:59:59Z", "2026-03-29T01:59:59+01:00"),
            ("Europe/Berlin", "2026-03-29T01:00:00Z", "2026-03-29T03:00:00+02:00"),
            ("America/St_Johns", "2026-01-01T00:00:00Z", "2025-12-31T20:30:00-03:30"),
        ] {
            assert_eq!(Schedule::new("@daily", timezone).unwrap().on_the_wall(at(instant)), wall);
        }
    }

    #[test]
    fn what_is_no_cron_line_or_no_time_zone_is_refused_with_a_sentence() {
        for (line, zone, reason) in [
            ("", "UTC", "is not a cron line"),
            ("* * *", "UTC", "fields): write minute"),
            ("61 * * * *", "UTC", "is not a cron line"),
            ("every day", "UTC", "write minute, hour, day, month and weekday"),
            ("0 0 30 2 *", "UTC", "is not a cron line"),
            ("5 , * * * *", "UTC", "an empty place"),
            ("0 8,,20 * * *", "UTC", "an empty place"),
            (&"* ".repeat(200), "UTC", "more than 200 bytes"),
            ("* * * * *", "Mars/Olympus", "`Mars/Olympus` is not a time zone"),
            ("* * * * *", "", "is not a time zone"),
        ] {
            let error = Schedule::new(line, zone).unwrap_err();
            assert!(error.contains(reason) && !error.contains('\n'), "{line:?}: {error}");
        }
    }
}
