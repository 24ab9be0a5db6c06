//! Months, quarters and years of the Gregorian calendar in UTC: what counts and rewards are kept by.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::identifier::Malformed;
use crate::time::LedgerTime;

const DAY: u64 = 24 * 60 * 60 * 1000;

/// A calendar month, `YYYY-MM`, of 1970 or later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("pattern" = "^(19[7-9]|[2-9][0-9]{2})[0-9]-(0[1-9]|1[0-2])$"))]
pub struct Month {
    year: u16,
    /// 1 to 12.
    month: u8,
}

/// A calendar month `YYYY-MM`, quarter `YYYY-Qn` or year `YYYY`, of 1970 or later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("pattern" = "^(19[7-9]|[2-9][0-9]{2})[0-9](-(0[1-9]|1[0-2]|Q[1-4]))?$"))]
pub struct CalendarPeriod {
    first: Month,
    length: PeriodLength,
}

/// How long a period is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PeriodLength {
    /// A calendar month.
    Month,
    /// Three calendar months from January, April, July or October.
    Quarter,
    /// A calendar year.
    Year,
}

impl Month {
    /// When it begins.
    pub fn start(self) -> LedgerTime {
        let days: u64 = (1..self.month).map(|month| days_of(self.year, month)).sum();
        LedgerTime::from_milliseconds((days_before(self.year) + days) * DAY)
    }

    /// When it is over: the moment the next one begins.
    pub fn end(self) -> LedgerTime {
        LedgerTime::from_milliseconds(self.start().milliseconds() + days_of(self.year, self.month) * DAY)
    }

    /// The month after it.
    #[must_use]
    pub const fn next(self) -> Self {
        match self.month {
            12 => Self { year: self.year.saturating_add(1), month: 1 },
            month => Self { year: self.year, month: month + 1 },
        }
    }

    /// Its year.
    pub const fn year(self) -> u16 {
        self.year
    }
}

impl CalendarPeriod {
    /// When it begins.
    pub fn start(self) -> LedgerTime {
        self.first.start()
    }

    /// When it is over: the moment the next one begins.
    pub fn end(self) -> LedgerTime {
        Month { month: self.first.month + self.length.months() - 1, ..self.first }.end()
    }

    /// The year that it lies in.
    pub const fn year(self) -> u16 {
        self.first.year
    }

    /// How long it is.
    pub const fn length(self) -> PeriodLength {
        self.length
    }
}

impl PeriodLength {
    const fn months(self) -> u8 {
        match self {
            Self::Month => 1,
            Self::Quarter => 3,
            Self::Year => 12,
        }
    }
}

impl fmt::Display for Month {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:04}-{:02}", self.year, self.month)
    }
}

impl fmt::Display for CalendarPeriod {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.length {
            PeriodLength::Month => self.first.fmt(formatter),
            PeriodLength::Quarter => write!(formatter, "{:04}-Q{}", self.first.year, self.first.month.div_ceil(3)),
            PeriodLength::Year => write!(formatter, "{:04}", self.first.year),
        }
    }
}

impl FromStr for Month {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        text.split_once('-')
            .and_then(|(year, month)| {
                let month: u8 = digits(month, 2)?.try_into().ok()?;
                (1..=12).contains(&month).then_some(Self { year: parse_year(year)?, month })
            })
            .ok_or(Malformed::new("a month", "YYYY-MM, of 1970 or later"))
    }
}

impl FromStr for CalendarPeriod {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let malformed = || Malformed::new("a period", "YYYY-MM, YYYY-Qn or YYYY, of 1970 or later");
        if let Ok(first) = text.parse() {
            return Ok(Self { first, length: PeriodLength::Month });
        }
        let (year, month, length) = match text.split_once("-Q") {
            Some((year, quarter)) => {
                let quarter = digits(quarter, 1).filter(|quarter| (1..=4).contains(quarter)).ok_or_else(malformed)?;
                (year, 3 * quarter - 2, PeriodLength::Quarter)
            }
            None => (text, 1, PeriodLength::Year),
        };
        let year = parse_year(year).ok_or_else(malformed)?;
        Ok(Self { first: Month { year, month: month.try_into().map_err(|_| malformed())? }, length })
    }
}

macro_rules! text_form {
    ($($name:ident)+) => {
        $(impl TryFrom<String> for $name {
            type Error = Malformed;

            fn try_from(text: String) -> Result<Self, Malformed> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        })+
    };
}

text_form!(Month CalendarPeriod);

/// The year of a moment.
pub fn year_of(at: LedgerTime) -> u64 {
    const DAYS_1600_TO_1970: u64 = 135_140;
    const DAYS_OF_400_YEARS: u64 = 146_097;
    let days = at.milliseconds() / DAY + DAYS_1600_TO_1970;
    let (cycles, day) = (days / DAYS_OF_400_YEARS, days % DAYS_OF_400_YEARS);
    let first_day = |year: u64| 365 * year + year.div_ceil(4) - year.div_ceil(100) + year.div_ceil(400);
    let at_least = day / 366;
    1600 + 400 * cycles + if first_day(at_least + 1) <= day { at_least + 1 } else { at_least }
}

fn parse_year(text: &str) -> Option<u16> {
    digits(text, 4).filter(|year| *year >= 1970)
}

fn digits(text: &str, count: usize) -> Option<u16> {
    (text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

/// Days from 1970 to the beginning of a year.
fn days_before(year: u16) -> u64 {
    let before = u64::from(year) - 1;
    let leap_days = |year: u64| year / 4 - year / 100 + year / 400;
    365 * (before - 1969) + leap_days(before) - leap_days(1969)
}

const fn days_of(year: u16, month: u8) -> u64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

const fn is_leap(year: u16) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}
