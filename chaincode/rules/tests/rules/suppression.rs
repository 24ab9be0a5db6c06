//! What a table of statistics gives away: nothing, to somebody who tries every way of changing what is suppressed.

use std::collections::BTreeSet;

use crate::support::*;
use healthchain_rules::statistics::contribution::{Contribution, CountCell};
use healthchain_rules::statistics::measure::{Measure, MeasureTerms};
use healthchain_rules::statistics::table::{Counted, tabulate};
use healthchain_rules::*;
use proptest::prelude::*;

type Place = (usize, usize);

/// A table as it is, with totals, and which of its cells are not shown.
struct Published {
    rows: usize,
    columns: usize,
    cells: Vec<Counted>,
    hidden: BTreeSet<Place>,
}

/// Which of the two tables that a pair makes is attacked, and whether the denominators are known.
#[derive(Clone, Copy, Debug)]
enum Attack {
    Numerators,
    Complements,
    NumeratorsOfKnown,
}

const ATTACKS: [Attack; 3] = [Attack::Numerators, Attack::Complements, Attack::NumeratorsOfKnown];

impl Attack {
    fn value(self, cell: &Counted) -> u64 {
        match self {
            Self::Numerators | Self::NumeratorsOfKnown => cell.numerator,
            Self::Complements => cell.denominator - cell.numerator,
        }
    }
}

impl Published {
    fn of(rows: &[Vec<(u64, u64)>]) -> Self {
        let columns = rows[0].len();
        let classes: Vec<AtcClass> = "ABCDGHJLMNPRSV".chars().take(columns).map(|name| id(&name.to_string())).collect();
        let regions: Vec<RegionCode> = (0..rows.len()).map(|row| id(&format!("US-{row:02}"))).collect();
        let cell = |row: usize, column: usize| CountCell {
            class: classes[column].clone(),
            region: regions[row].clone(),
            numerator: rows[row][column].0,
            denominator: rows[row][column].0 + rows[row][column].1,
        };
        // Each third patient is of one of three organisations, so that all three counted in each cell of three or more.
        let part = |count: u64, organisation: u64| (count + 2 - organisation) / 3;
        let contributions: Vec<_> = (0..3)
            .map(|organisation| {
                let all = (0..rows.len()).flat_map(|row| (0..columns).map(move |column| cell(row, column)));
                let part = |all: CountCell| CountCell {
                    numerator: part(all.numerator, organisation),
                    denominator: part(all.denominator, organisation),
                    ..all
                };
                contribution(all.map(part).collect())
            })
            .collect();
        let classes = classes.iter().cloned().collect();
        let named = (id("measure"), id("visits"), 1000);
        let terms = MeasureTerms::new(named, classes, regions.iter().cloned().collect(), id("2026-01"), 0).unwrap();
        let measure = Measure { id: id("m"), terms, by: id("max"), organisation: None, defined: NOW, last: None };
        let table = tabulate(&measure, id("2026-01"), &contributions).unwrap();

        let value = |row: usize, column: usize| {
            let rows = if row < rows.len() { row..row + 1 } else { 0..rows.len() };
            let of_row = |row: usize| {
                let columns = if column < columns { column..column + 1 } else { 0..columns };
                columns.map(|column| cell(row, column)).collect::<Vec<_>>()
            };
            let cells: Vec<CountCell> = rows.flat_map(of_row).collect();
            Counted {
                numerator: cells.iter().map(|cell| cell.numerator).sum(),
                denominator: cells.iter().map(|cell| cell.denominator).sum(),
            }
        };
        let places = (0..=rows.len()).flat_map(|row| (0..=columns).map(move |column| (row, column)));
        let mut published =
            Self { rows: rows.len() + 1, columns: columns + 1, cells: Vec::new(), hidden: BTreeSet::new() };
        assert_eq!(table.cells.len(), published.rows * published.columns);
        for (place, shown) in places.zip(table.cells) {
            published.cells.push(value(place.0, place.1));
            match shown.counted {
                Some(shown) => assert_eq!(shown, value(place.0, place.1)),
                None => assert!(published.hidden.insert(place)),
            }
        }
        published
    }

    fn at(&self, place: Place) -> Counted {
        self.cells[place.0 * self.columns + place.1]
    }

    fn values(&self, attack: Attack) -> Vec<u64> {
        self.cells.iter().map(|cell| attack.value(cell)).collect()
    }

    /// Whether a table could be the true one for all that is shown.
    fn fits(&self, attack: Attack, values: &[u64]) -> bool {
        let at = |row: usize, column: usize| values[row * self.columns + column];
        let (last_row, last_column) = (self.rows - 1, self.columns - 1);
        (0..self.rows).all(|row| (0..last_column).map(|column| at(row, column)).sum::<u64>() == at(row, last_column))
            && (0..self.columns)
                .all(|column| (0..last_row).map(|row| at(row, column)).sum::<u64>() == at(last_row, column))
            && self.is_possible(attack, values)
    }

    /// Whether each cell by itself could have this value.
    fn is_possible(&self, attack: Attack, values: &[u64]) -> bool {
        (0..values.len()).all(|index| {
            let is_hidden = self.hidden.contains(&(index / self.columns, index % self.columns));
            let is_possible =
                !matches!(attack, Attack::NumeratorsOfKnown) || values[index] <= self.cells[index].denominator;
            is_possible && (is_hidden || values[index] == attack.value(&self.cells[index]))
        })
    }

    /// A table that differs from the true one in this cell and fits all that is shown: every way round through suppressed cells is
    /// tried, each step changing a cell by one.
    fn other_table(&self, attack: Attack, place: Place) -> Option<Vec<u64>> {
        [1, -1].into_iter().find_map(|change| {
            let values = self.changed(attack, &self.values(attack), place, change)?;
            self.way_round(attack, values, &[place], change)
        })
    }

    /// Goes on from the last of the cells changed alike: along its column to a row not gone through yet, and on along that row, until
    /// a column leads back to the first cell's row.
    fn way_round(&self, attack: Attack, values: Vec<u64>, way: &[Place], change: i64) -> Option<Vec<u64>> {
        let ((first_row, _), (_, column)) = (way[0], way[way.len() - 1]);
        let back = Some((first_row, column)).filter(|_| way.len() > 1);
        if let Some(closed) = back.and_then(|back| self.changed(attack, &values, back, -change)) {
            return Some(closed);
        }
        let rows = (0..self.rows).filter(|row| way.iter().all(|gone| gone.0 != *row));
        for row in rows {
            let Some(values) = self.changed(attack, &values, (row, column), -change) else { continue };
            for next in (0..self.columns).filter(|column| way.iter().all(|gone| gone.1 != *column)) {
                let Some(values) = self.changed(attack, &values, (row, next), change) else { continue };
                let way = [way, &[(row, next)]].concat();
                if let Some(found) = self.way_round(attack, values, &way, change) {
                    return Some(found);
                }
            }
        }
        None
    }

    /// The table with a suppressed cell changed by one; totals of a row or column change the other way round. None if that is
    /// impossible.
    fn changed(&self, attack: Attack, values: &[u64], place: Place, change: i64) -> Option<Vec<u64>> {
        if !self.hidden.contains(&place) {
            return None;
        }
        let is_total = (place.0 + 1 == self.rows) != (place.1 + 1 == self.columns);
        let index = place.0 * self.columns + place.1;
        let value = values[index].checked_add_signed(if is_total { -change } else { change })?;
        if matches!(attack, Attack::NumeratorsOfKnown) && value > self.cells[index].denominator {
            return None;
        }
        let mut values = values.to_vec();
        values[index] = value;
        Some(values)
    }

    /// The least and the greatest value of each suppressed cell, from all tables of two rows and columns that fit.
    fn bounds(&self, attack: Attack) -> Vec<(Place, u64, u64)> {
        assert_eq!((self.rows, self.columns), (3, 3));
        let truth = self.values(attack);
        let most = [0, 1, 3, 4].map(|index| truth[index]).iter().max().unwrap() + 11;
        let range = |place: Place| {
            let value = truth[place.0 * 3 + place.1];
            if self.hidden.contains(&place) { 0..=most } else { value..=value }
        };
        let mut bounds: Vec<_> = self.hidden.iter().map(|place| (*place, u64::MAX, 0)).collect();
        let is_shown_otherwise =
            |place: Place, value: u64| !self.hidden.contains(&place) && truth[place.0 * 3 + place.1] != value;
        for (a, b) in range((0, 0)).flat_map(|a| range((0, 1)).map(move |b| (a, b))) {
            if is_shown_otherwise((0, 2), a + b) {
                continue;
            }
            for c in range((1, 0)).filter(|c| !is_shown_otherwise((2, 0), a + c)) {
                for d in
                    range((1, 1)).filter(|d| !is_shown_otherwise((2, 1), b + d) && !is_shown_otherwise((1, 2), c + d))
                {
                    let values = [a, b, a + b, c, d, c + d, a + c, b + d, a + b + c + d];
                    if self.is_possible(attack, &values) {
                        for (place, least, greatest) in &mut bounds {
                            let value = values[place.0 * 3 + place.1];
                            (*least, *greatest) = ((*least).min(value), (*greatest).max(value));
                        }
                    }
                }
            }
        }
        bounds
    }
}

fn contribution(cells: Vec<CountCell>) -> Contribution {
    let counts = cells.try_into().unwrap();
    Contribution { measure: id("m"), period: id("2026-01"), organisation: id("o"), counts, by: None, at: NOW }
}

fn is_small(cell: Counted) -> bool {
    (1..=10).contains(&cell.numerator) || (1..=10).contains(&(cell.denominator - cell.numerator))
}

/// Counted and not counted: often nothing, often few, often just above few.
fn count() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), 1u64..=10, 11u64..=14, 15u64..400]
}

fn few_or_more() -> impl Strategy<Value = u64> {
    prop_oneof![0u64..=12, 13u64..=35]
}

fn table(
    rows: std::ops::RangeInclusive<usize>,
    columns: std::ops::RangeInclusive<usize>,
) -> impl Strategy<Value = Vec<Vec<(u64, u64)>>> {
    (rows, columns).prop_flat_map(|(rows, columns)| {
        prop::collection::vec(prop::collection::vec((count(), count()), columns), rows)
    })
}

fn nothing_is_given_away(rows: &[Vec<(u64, u64)>]) -> Result<(), TestCaseError> {
    let published = Published::of(rows);
    for place in (0..published.rows).flat_map(|row| (0..published.columns).map(move |column| (row, column))) {
        prop_assert!(!is_small(published.at(place)) || published.hidden.contains(&place));
    }
    for attack in ATTACKS {
        prop_assert!(published.fits(attack, &published.values(attack)));
        for place in &published.hidden {
            let is_empty = published.at(*place).denominator == 0;
            if is_empty && matches!(attack, Attack::NumeratorsOfKnown) {
                continue; // Who knows that there were none knows that none was counted.
            }
            let other = published.other_table(attack, *place);
            prop_assert!(other.is_some(), "{:?} gives away {:?} of {:?}", attack, place, rows);
            let other = other.unwrap();
            prop_assert!(published.fits(attack, &other));
            let index = place.0 * published.columns + place.1;
            prop_assert_ne!(other[index], published.values(attack)[index]);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn no_small_cell_is_shown_and_none_suppressed_can_be_derived(rows in table(1..=3, 1..=3)) {
        nothing_is_given_away(&rows)?;
    }

    #[test]
    fn a_table_without_small_cells_is_shown_whole(
        rows in prop::collection::vec(prop::collection::vec((prop_oneof![Just(0u64), 11u64..99], 11u64..99), 3), 1..=4),
    ) {
        prop_assert_eq!(Published::of(&rows).hidden, BTreeSet::new());
    }

}

#[test]
fn one_small_cell_among_large_ones_costs_three_more() {
    for (row, column) in (0..4).flat_map(|row| (0..3).map(move |column| (row, column))) {
        for small in [1, 10] {
            let mut rows = vec![vec![(40, 400); 3]; 4];
            rows[row][column].0 = small;
            let hidden = Published::of(&rows).hidden;
            assert_eq!(hidden.len(), 4);
            assert!(hidden.contains(&(row, column)));
            assert!(hidden.iter().all(|(row, column)| *row < 4 && *column < 3), "totals are shown: {hidden:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn nor_of_a_larger_table(rows in table(4..=4, 4..=4)) {
        nothing_is_given_away(&rows)?;
    }

    #[test]
    fn what_is_shown_says_no_more_of_a_suppressed_cell_than_that_it_may_be_small(
        rows in prop::collection::vec(prop::collection::vec((few_or_more(), few_or_more()), 2), 2),
    ) {
        let published = Published::of(&rows);
        if published.hidden.len() > 6 {
            return Ok(()); // So little is shown that trying all tables takes too long.
        }
        for attack in ATTACKS {
            for (place, least, greatest) in published.bounds(attack) {
                let enough = match attack {
                    Attack::NumeratorsOfKnown => published.at(place).denominator.min(10),
                    Attack::Numerators | Attack::Complements => 10,
                };
                prop_assert!(greatest - least >= enough, "{:?} bounds {:?} of {:?}: {}-{}", attack, place, rows, least, greatest);
            }
        }
    }
}

#[test]
fn a_total_that_hides_nothing_more_is_shown() {
    let hidden = Published::of(&[vec![(0, 30), (11, 2)]]).hidden;
    assert_eq!(hidden, [(0, 0), (0, 1), (1, 0), (1, 1)].into(), "and not the row's total");
}

/// Four hidden cells that protect none of them are no reason to look at them again.
#[test]
fn a_table_in_which_nearly_everything_is_small_is_suppressed_all_the_same() {
    let rows = [[(1, 0), (11, 1), (5, 50)], [(3, 3), (1, 0), (3, 3)], [(3, 3), (12, 0), (0, 3)]];
    nothing_is_given_away(&rows.map(Vec::from)).unwrap();
}

#[test]
fn the_smallest_counts_protect_a_small_cell() {
    let rows = [[(5, 900), (50, 500), (30, 300)], [(40, 400), (90, 900), (80, 700)], [(60, 600), (20, 200), (45, 100)]];
    let hidden = Published::of(&rows.map(Vec::from)).hidden;
    assert_eq!(hidden, [(0, 0), (0, 2), (2, 0), (2, 2)].into(), "and neither 50 with 90, nor 30 with 80");
}

#[test]
fn counts_too_small_to_protect_others_are_passed_over() {
    let rows = [[(9, 900), (1, 2), (30, 300)], [(40, 400), (0, 0), (80, 700)]];
    let hidden = Published::of(&rows.map(Vec::from)).hidden;
    assert!(hidden.is_superset(&[(0, 0), (0, 1), (0, 2), (1, 0), (1, 2)].into()), "{hidden:?}");
}

#[test]
fn few_who_were_not_counted_are_as_small_as_few_who_were() {
    let rows = [[(500, 10), (400, 400)], [(300, 300), (200, 200)]];
    assert_eq!(Published::of(&rows.map(Vec::from)).hidden, [(0, 0), (0, 1), (1, 0), (1, 1)].into());
    let rows = [[(500, 11), (400, 400)], [(300, 300), (11, 200)]];
    assert_eq!(Published::of(&rows.map(Vec::from)).hidden, BTreeSet::new());
}

#[test]
fn a_table_of_one_small_cell_is_suppressed_with_its_totals() {
    let hidden = Published::of(&[vec![(3, 500)]]).hidden;
    assert_eq!(hidden, [(0, 0), (0, 1), (1, 0), (1, 1)].into());
}

#[test]
fn a_large_table_of_small_counts_takes_no_long_time() {
    let rows: Vec<Vec<(u64, u64)>> = (0..18)
        .map(|row| (0..14).map(|column| ((row * 7 + column * 5) % 23, 3 + (row + column) % 40)).collect())
        .collect();
    let published = Published::of(&rows);
    assert!(published.hidden.len() > 100);
}
