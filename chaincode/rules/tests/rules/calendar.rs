//! Months, quarters and years.

use healthchain_rules::*;
use proptest::prelude::*;

fn milliseconds(text: &str) -> (u64, u64) {
    let period: CalendarPeriod = text.parse().unwrap();
    (period.start().milliseconds(), period.end().milliseconds())
}

#[test]
fn periods_begin_and_end_where_the_calendar_says() {
    const DAY: u64 = 86_400_000;
    assert_eq!(milliseconds("1970-01"), (0, 31 * DAY));
    assert_eq!(milliseconds("1970-02"), (31 * DAY, 59 * DAY));
    assert_eq!(milliseconds("1970"), (0, 365 * DAY));
    assert_eq!(milliseconds("1972"), (730 * DAY, 1096 * DAY));
    assert_eq!(milliseconds("2000-02"), (949_363_200_000, 951_868_800_000));
    assert_eq!(milliseconds("2100-02"), (4_105_123_200_000, 4_107_542_400_000));
    assert_eq!(milliseconds("2026-Q1"), (1_767_225_600_000, 1_775_001_600_000));
    assert_eq!(milliseconds("2026-Q4"), (1_790_812_800_000, 1_798_761_600_000));
    assert_eq!(milliseconds("2027-01").0, milliseconds("2026").1);
    let month: Month = "2024-12".parse().unwrap();
    assert_eq!((month.year(), month.start().milliseconds()), (2024, 1_733_011_200_000));
    let quarter: CalendarPeriod = "2026-Q2".parse().unwrap();
    assert_eq!((quarter.year(), quarter.length()), (2026, PeriodLength::Quarter));
}

#[test]
fn a_year_begins_and_ends_with_its_first_and_last_moment() {
    for year in (1970..=2900).chain([9999]) {
        let period: CalendarPeriod = format!("{year}").parse().unwrap();
        let last = LedgerTime::from_milliseconds(period.end().milliseconds() - 1);
        assert_eq!([period.start(), last].map(calendar::year_of), [year, year]);
    }
}

#[test]
fn what_is_no_period_is_malformed() {
    for text in ["", "2026-13", "2026-00", "2026-1", "26-01", "1969-12", "2026-01-01", "2026-Q1", "+026-01", "2026"] {
        assert!(text.parse::<Month>().is_err(), "{text}");
    }
    for text in ["", "2026-Q0", "2026-Q5", "2026-Q", "2026-Q11", "1969", "1969-Q4", "02026", "2026-", "2026-13", "Q1"] {
        assert!(text.parse::<CalendarPeriod>().is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn months_follow_each_other_and_make_quarters_and_years(year in 1970u16..9999, quarter in 0u8..4) {
        let month = |month: u8| format!("{year:04}-{month:02}").parse::<Month>().unwrap();
        for number in 1..12 {
            prop_assert_eq!(month(number).end(), month(number + 1).start());
            prop_assert_eq!(month(number).next(), month(number + 1));
            prop_assert!(month(number) < month(number + 1));
        }
        let next: Month = format!("{:04}-01", year + 1).parse().unwrap();
        prop_assert_eq!(month(12).end(), next.start());
        prop_assert_eq!(month(12).next(), next);
        let text = format!("{year:04}-Q{}", quarter + 1);
        let whole: CalendarPeriod = text.parse().unwrap();
        prop_assert_eq!(whole.to_string(), text);
        prop_assert_eq!((whole.start(), whole.end()), (month(3 * quarter + 1).start(), month(3 * quarter + 3).end()));
        let whole: CalendarPeriod = format!("{year:04}").parse().unwrap();
        prop_assert_eq!(whole.to_string(), format!("{year:04}"));
        prop_assert_eq!((whole.start(), whole.end()), (month(1).start(), month(12).end()));
        prop_assert_eq!(month(7).to_string(), format!("{year:04}-07"));
    }
}
