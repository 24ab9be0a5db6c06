//! Which cells of a table must not be shown: the small ones, and those without which the small ones could be derived.
//!
//! A cell is a numerator with its denominator, shown or suppressed together. Primary suppression takes every cell, and every total,
//! of which 1 to 10 are counted or 1 to 10 are not (the cell size policy of the Centers for Medicare & Medicaid Services). But a row
//! with one cell missing gives it away by subtraction, so complementary suppression takes further cells until nothing shown says
//! more about a suppressed one than its being small would: for numerators and for those not counted, at least ten units lie between
//! the least and the greatest value that fit. That holds too for somebody who knows every denominator from elsewhere.
//!
//! With the totals as one more row and column, the changes that what is shown leaves open are flows: rows and columns are nodes,
//! each suppressed cell is an arc between its row and its column, and whatever enters a row or column leaves it by another cell
//! (D. Gusfield, "A graph theoretic approach to statistical data security", SIAM Journal on Computing 17(3), 1988; L. H. Cox,
//! "Network models for complementary cell suppression", Journal of the American Statistical Association 90, 1995). A maximum flow
//! through the other arcs is thus exactly how far a cell's value may rise or fall. Where a rectangle of four cells leaves enough room
//! the one with the smallest counts is taken; in the worst case everything is suppressed, which leaves room for anything.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::limit;

use super::table::Counted;

/// A cell's row and column.
pub(super) type Place = (usize, usize);

/// The cells of a table with its totals: the last row and the last column.
#[derive(Clone, Debug)]
pub(super) struct Totalled {
    cells: Vec<Vec<Counted>>,
}

/// What somebody wants to learn, and knows already.
#[derive(Clone, Copy)]
enum Attack {
    /// The numerators, from what is shown.
    Numerators,
    /// How many were not counted, from what is shown.
    Complements,
    /// The numerators, knowing every denominator.
    NumeratorsOfKnown,
}

impl Totalled {
    /// Adds the totals to rows of equal length.
    pub(super) fn new(rows: Vec<Vec<Counted>>) -> Self {
        let mut cells = rows;
        for row in &mut cells {
            row.push(row.iter().copied().sum());
        }
        let columns = cells.first().map_or(0, Vec::len);
        cells.push((0..columns).map(|column| cells.iter().map(|row| row[column]).sum()).collect());
        Self { cells }
    }

    /// A cell.
    pub(super) fn at(&self, (row, column): Place) -> Counted {
        self.cells[row][column]
    }

    /// Every place, row by row.
    pub(super) fn places(&self) -> impl Iterator<Item = Place> + '_ {
        self.cells.iter().enumerate().flat_map(|(row, cells)| (0..cells.len()).map(move |column| (row, column)))
    }

    /// The places that must not be shown: these, those with small counts, and such as protect both.
    pub(super) fn suppressed(&self, sensitive: impl Iterator<Item = Place>) -> BTreeSet<Place> {
        let small = self.places().filter(|place| self.at(*place).is_small());
        let mut hidden: BTreeSet<Place> = small.chain(sensitive).collect();
        let mut unchecked: VecDeque<Place> = hidden.iter().copied().collect();
        while let Some(place) = unchecked.pop_front() {
            while !self.is_protected(&hidden, place) {
                let Some(rectangle) = self.rectangle(&hidden, place) else { break };
                unchecked.extend(rectangle.into_iter().filter(|added| hidden.insert(*added)));
            }
        }
        hidden
    }

    /// Whether what is not hidden leaves a hidden cell's value open enough. More hidden cells never leave it less open.
    fn is_protected(&self, hidden: &BTreeSet<Place>, place: Place) -> bool {
        Attack::ALL.into_iter().all(|attack| {
            let enough = attack.enough(self.at(place));
            let down = self.room(hidden, attack, place, false, enough);
            down + self.room(hidden, attack, place, true, enough - down) >= enough
        })
    }

    /// How far a hidden cell's value may rise or fall, as far as `enough`: the maximum flow through the other hidden cells.
    fn room(&self, hidden: &BTreeSet<Place>, attack: Attack, place: Place, rises: bool, enough: u64) -> u64 {
        let others = hidden.iter().filter(|other| **other != place);
        let mut flow =
            Flow { table: self, rooms: others.map(|other| (*other, attack.rooms(self.at(*other)))).collect() };
        let enough = enough.min(attack.rooms(self.at(place)).of(rises));
        let (row, column) = (Node::Row(place.0), Node::Column(place.1));
        let (from, to) = if rises == self.is_counted_forward(place) { (column, row) } else { (row, column) };
        let mut found = 0;
        while found < enough {
            match flow.push(from, to, enough - found) {
                0 => break,
                more => found += more,
            }
        }
        found
    }

    /// Totals of one row or column are the sums of others, so that a flow changes them the other way round.
    fn is_counted_forward(&self, (row, column): Place) -> bool {
        let is_total_row = row + 1 == self.cells.len();
        let is_total_column = column + 1 == self.cells[row].len();
        is_total_row == is_total_column
    }

    /// The rectangle, with this cell as a corner, that leaves the most room for it, of such the one with the smallest counts to be
    /// suppressed in addition; none when everything is suppressed.
    fn rectangle(&self, hidden: &BTreeSet<Place>, place: Place) -> Option<[Place; 4]> {
        let (row, column) = place;
        let corners = self
            .places()
            .filter(|(other_row, other_column)| *other_row != row && *other_column != column)
            .map(|opposite| [place, (row, opposite.1), opposite, (opposite.0, column)]);
        corners
            .filter(|corners| corners.iter().any(|corner| !hidden.contains(corner)))
            .min_by_key(|corners| (self.lacking(corners), self.cost(hidden, corners)))
    }

    /// How much room the first corner lacks when nothing but the corners is hidden.
    fn lacking(&self, corners: &[Place; 4]) -> u64 {
        let room = |attack: Attack, rises: bool| {
            let first = self.is_counted_forward(corners[0]);
            let rooms = corners.iter().enumerate().map(|(index, corner)| {
                let moves_along = index.is_multiple_of(2) == (self.is_counted_forward(*corner) == first);
                attack.rooms(self.at(*corner)).of(rises == moves_along)
            });
            rooms.min().unwrap_or_default()
        };
        let lacking = |attack: Attack| {
            attack.enough(self.at(corners[0])).saturating_sub(room(attack, false).saturating_add(room(attack, true)))
        };
        Attack::ALL.into_iter().map(lacking).max().unwrap_or_default()
    }

    fn cost(&self, hidden: &BTreeSet<Place>, corners: &[Place; 4]) -> u64 {
        let added = corners.iter().filter(|corner| !hidden.contains(corner));
        added.map(|corner| self.at(*corner).denominator + 1).sum()
    }
}

impl Attack {
    const ALL: [Self; 3] = [Self::Numerators, Self::Complements, Self::NumeratorsOfKnown];

    /// How far apart the least and the greatest value must be that fit what is known.
    fn enough(self, cell: Counted) -> u64 {
        match self {
            Self::Numerators | Self::Complements => limit::SMALL_COUNT,
            Self::NumeratorsOfKnown => cell.denominator.min(limit::SMALL_COUNT),
        }
    }

    /// How far a cell's value by itself may rise and fall.
    fn rooms(self, cell: Counted) -> Rooms {
        match self {
            Self::Numerators => Rooms { rise: u64::MAX, fall: cell.numerator },
            Self::Complements => Rooms { rise: u64::MAX, fall: cell.complement() },
            Self::NumeratorsOfKnown => Rooms { rise: cell.complement(), fall: cell.numerator },
        }
    }
}

impl Counted {
    fn is_small(&self) -> bool {
        let is_small = |count: u64| (1..=limit::SMALL_COUNT).contains(&count);
        is_small(self.numerator) || is_small(self.complement())
    }
}

/// How far a value may rise and fall.
#[derive(Clone, Copy)]
struct Rooms {
    rise: u64,
    fall: u64,
}

impl Rooms {
    fn of(self, rises: bool) -> u64 {
        if rises { self.rise } else { self.fall }
    }

    fn moved(self, rises: bool, by: u64) -> Self {
        let (rise, fall) = (self.rise, self.fall);
        if rises {
            Self { rise: rise - by, fall: fall.saturating_add(by) }
        } else {
            Self { rise: rise.saturating_add(by), fall: fall - by }
        }
    }
}

/// How far the hidden cells other than the one asked about may still move.
struct Flow<'a> {
    table: &'a Totalled,
    rooms: BTreeMap<Place, Rooms>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Node {
    Row(usize),
    Column(usize),
}

impl Flow<'_> {
    /// Sends up to so many units from one node to another along a shortest path; says how many, 0 when there is no way left.
    fn push(&mut self, from: Node, to: Node, at_most: u64) -> u64 {
        let path = self.path(from, to);
        let rooms = path.iter().map(|(place, rises)| self.rooms[place].of(*rises));
        let Some(narrowest) = rooms.min() else { return 0 };
        let sent = narrowest.min(at_most);
        for (place, rises) in path {
            self.rooms.entry(place).and_modify(|rooms| *rooms = rooms.moved(rises, sent));
        }
        sent
    }

    /// The cells that a shortest path changes, each with whether it rises; none when there is no path.
    fn path(&self, from: Node, to: Node) -> Vec<(Place, bool)> {
        let mut came_by: BTreeMap<Node, (Node, Place, bool)> = BTreeMap::new();
        let mut reached = VecDeque::from([from]);
        while let Some(node) = reached.pop_front() {
            for (place, next) in self.table.around(node) {
                let rises = matches!(node, Node::Row(_)) == self.table.is_counted_forward(place);
                let is_open = self.rooms.get(&place).is_some_and(|rooms| rooms.of(rises) > 0);
                if is_open && next != from && !came_by.contains_key(&next) {
                    came_by.insert(next, (node, place, rises));
                    reached.push_back(next);
                }
            }
        }
        let mut path = Vec::new();
        let mut node = to;
        while let Some((before, place, rises)) = came_by.get(&node) {
            path.push((*place, *rises));
            node = *before;
        }
        path
    }
}

impl Totalled {
    /// The cells of a row or column, each with the column or row that it leads to.
    fn around(&self, node: Node) -> impl Iterator<Item = (Place, Node)> {
        let length = match node {
            Node::Row(_) => self.cells[0].len(),
            Node::Column(_) => self.cells.len(),
        };
        (0..length).map(move |other| match node {
            Node::Row(row) => ((row, other), Node::Column(other)),
            Node::Column(column) => ((other, column), Node::Row(other)),
        })
    }
}
