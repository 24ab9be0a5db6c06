//! Measures, contributions, tables and releases.

use crate::support::*;
use healthchain_rules::statistics::contribution::*;
use healthchain_rules::statistics::measure::*;
use healthchain_rules::statistics::release::*;
use healthchain_rules::statistics::table::*;
use healthchain_rules::*;
use serde_json::{Value, json};

/// The support's present lies in this month.
const THIS_MONTH: &str = "2027-01";
const LAST_MONTH: &str = "2026-12";

fn max() -> Caller {
    caller("max", Role::Maintainer)
}

fn ann() -> Caller {
    caller("ann", Role::Analyst)
}

fn terms(classes: &[&str]) -> MeasureTerms {
    let regions = ["US-MA", "US-NH"].map(id).into();
    let classes = classes.iter().map(|class| id(class)).collect();
    MeasureTerms::new((id("antibiotics"), id("visits"), 1000), classes, regions, id("2026-06"), 1000).unwrap()
}

fn measure() -> Measure {
    Measure {
        id: id("antibiotics"),
        terms: terms(&["J01", "J02"]),
        by: id("max"),
        organisation: Some(id("hospital")),
        defined: at(-9),
        last: None,
    }
}

fn ended(last: &str) -> Measure {
    Measure { last: Some(id(last)), ..measure() }
}

fn cell(class: &str, region: &str, numerator: u64, denominator: u64) -> CountCell {
    CountCell { class: id(class), region: id(region), numerator, denominator }
}

fn counts(numerator: u64) -> Counts {
    vec![cell("J01", "US-MA", numerator, 1000), cell("J02", "US-NH", 0, 0)].try_into().unwrap()
}

fn closed() -> ClosedPeriod {
    ClosedPeriod { measure: id("antibiotics"), period: id(LAST_MONTH), by: id("max"), at: at(-1) }
}

fn value<T: std::fmt::Debug, P: std::fmt::Debug>(outcome: Result<Outcome<T, P>, Refusal>) -> T {
    match outcome.unwrap() {
        Outcome::Decided(value, _) => value,
        Outcome::Repeated(value) => panic!("repeated: {value:?}"),
    }
}

fn is_refused_to_others<T: std::fmt::Debug>(permission: Permission, decide: impl Fn(&Caller) -> Result<T, Refusal>) {
    for role in Role::ALL {
        let decided = decide(&caller("who", role));
        assert_eq!(decided.is_ok(), role.may(permission), "{role}");
        if !role.may(permission) {
            assert_eq!(code(decided), RefusalCode::NotPermitted);
        } else {
            assert_eq!(code(decide(&suspended(caller("who", role)))), RefusalCode::MemberSuspended);
        }
    }
}

fn define(all: &[Measure], name: &str, terms: MeasureTerms) -> Result<Outcome<Measure, MayDefineMeasure>, Refusal> {
    decide_definition(&max(), all, id(name), terms, NOW)
}

#[test]
fn a_measure_is_defined_once_and_never_changes() {
    let defined = value(define(&[], "antibiotics", terms(&["J01"])));
    let expected = Measure { terms: terms(&["J01"]), defined: NOW, ..measure() };
    assert_eq!(defined, expected);
    let again = decide_definition(
        &caller("mia", Role::Maintainer),
        std::slice::from_ref(&defined),
        id("antibiotics"),
        terms(&["J01"]),
        at(5),
    );
    assert_eq!(again, Ok(Outcome::Repeated(defined.clone())));
    assert_eq!(code(define(&[defined], "antibiotics", terms(&["J02"]))), RefusalCode::MeasureExists);
    is_refused_to_others(Permission::DefineMeasure, |who| decide_definition(who, &[], id("m"), terms(&["J01"]), NOW));
    let gateway = decide_definition(&Caller::Custodian(hospital()), &[], id("m"), terms(&["J01"]), NOW);
    assert_eq!(code(gateway), RefusalCode::NotPermitted);
}

#[test]
fn no_two_measures_count_a_class_at_the_same_time() {
    for overlapping in ["J01", "J01C", "J"] {
        let refused = define(&[measure()], "other", terms(&["N02A", overlapping]));
        assert_eq!(code(refused), RefusalCode::MeasureOverlaps, "{overlapping}");
    }
    assert!(define(&[measure()], "other", terms(&["N02A"])).is_ok());
    assert!(define(&[ended("2026-05")], "other", terms(&["J01"])).is_ok(), "begins in the month after");
    assert_eq!(code(define(&[ended("2026-06")], "other", terms(&["J01"]))), RefusalCode::MeasureOverlaps);
}

#[test]
fn there_are_256_measures_at_most() {
    let all = |count: usize| -> Vec<Measure> {
        (0..count).map(|n| Measure { id: id(&format!("m{n}")), ..measure() }).collect()
    };
    assert!(define(&all(255), "other", terms(&["N02A"])).is_ok());
    assert_eq!(code(define(&all(256), "other", terms(&["N02A"]))), RefusalCode::TooManyMeasures);
}

#[test]
fn the_terms_of_a_measure_are_bounded() {
    let terms = |classes: &[&str], regions: usize, per: u32, budget: u32| {
        let classes = classes.iter().map(|class| id(class)).collect();
        let regions = (0..regions).map(|n| id(&format!("R{n}"))).collect();
        MeasureTerms::new((id("title"), id("visits"), per), classes, regions, id("2026-01"), budget)
    };
    assert!(terms(&["J01", "N02A"], 128, 1, 20_000).is_ok());
    assert!(terms(&["J01", "N02A"], 129, 1, 0).is_err());
    assert!(terms(&[], 1, 1, 0).is_err());
    assert!(terms(&["J01"], 0, 1, 0).is_err());
    assert!(terms(&["J01", "J01C"], 1, 1, 0).is_err(), "counted twice");
    assert!(terms(&["J01"], 1, 0, 0).is_err());
    assert!(terms(&["J01"], 1, 1, 20_001).is_err());
}

#[test]
fn codes_of_classes_and_regions_are_well_formed() {
    for class in ["J", "J01", "J01C", "J01CA", "J01CA04", "N02A"] {
        assert!(class.parse::<AtcClass>().is_ok(), "{class}");
    }
    for class in ["", "E", "E01", "J0", "J01C0", "J01CA0", "J01CA041", "j01", "J0A", "01J", "J01ca", "JA1"] {
        assert!(class.parse::<AtcClass>().is_err(), "{class}");
    }
    for region in ["US", "US-MA", "ABCDEFGHIJKLMNOP"] {
        assert!(region.parse::<RegionCode>().is_ok(), "{region}");
    }
    for region in ["", "U", "us-ma", "US MA", "ABCDEFGHIJKLMNOPQ", "ÜS"] {
        assert!(region.parse::<RegionCode>().is_err(), "{region}");
    }
}

#[test]
fn a_measure_ends_with_a_month_that_is_not_over() {
    let end = |measure: Option<Measure>, last: &str| decide_end(&max(), measure, id(last), NOW);
    assert_eq!(value(end(Some(measure()), THIS_MONTH)), ended(THIS_MONTH));
    assert_eq!(end(Some(ended(THIS_MONTH)), THIS_MONTH), Ok(Outcome::Repeated(ended(THIS_MONTH))));
    assert_eq!(code(end(Some(ended(THIS_MONTH)), "2027-02")), RefusalCode::MeasureEnded);
    assert_eq!(code(end(Some(measure()), LAST_MONTH)), RefusalCode::PeriodOver);
    let last: Month = id(LAST_MONTH);
    assert_eq!(code(decide_end(&max(), Some(measure()), last, last.end())), RefusalCode::PeriodOver);
    assert_eq!(code(end(None, THIS_MONTH)), RefusalCode::UnknownMeasure);
    is_refused_to_others(Permission::DefineMeasure, |who| decide_end(who, Some(measure()), id(THIS_MONTH), NOW));
}

/// Found by review: every organisation's maintainers ended every organisation's measures.
#[test]
fn only_the_organisation_that_defined_a_measure_ends_it() {
    let end = |who: &Caller, measure: Measure| decide_end(who, Some(measure), id(THIS_MONTH), NOW);
    let elsewhere = caller_of(clinic(), "max", Role::Maintainer);
    let refusal = end(&elsewhere, measure()).unwrap_err();
    assert_eq!(refusal.code(), RefusalCode::OtherOrganisation);
    assert!(refusal.to_string().contains("hospital defined"), "{refusal}");
    assert_eq!(code(end(&elsewhere, ended(THIS_MONTH))), RefusalCode::OtherOrganisation);
    assert!(end(&caller("mia", Role::Maintainer), measure()).is_ok(), "of the same organisation");
    let former = Measure { organisation: None, ..measure() };
    assert!(end(&elsewhere, former).is_ok(), "defined before the organisation was kept");
}

fn contribute(
    caller: &Caller,
    state: ContributionState,
    period: &str,
    counts: Counts,
    at: LedgerTime,
) -> Result<Outcome<Contribution, MayContribute>, Refusal> {
    decide_contribution(caller, state, id(period), counts, at)
}

fn open() -> ContributionState {
    ContributionState { measure: Some(measure()), ..ContributionState::default() }
}

#[test]
fn an_organisation_contributes_once_a_month() {
    let contribution = value(contribute(&max(), open(), LAST_MONTH, counts(7), NOW));
    let expected = Contribution {
        measure: id("antibiotics"),
        period: id(LAST_MONTH),
        organisation: id("hospital"),
        counts: counts(7),
        by: Some(id("max")),
        at: NOW,
    };
    assert_eq!(contribution, expected);
    let state = || ContributionState { existing: Some(contribution.clone()), closed: Some(closed()), ..open() };
    let again = contribute(&max(), state(), LAST_MONTH, counts(7), at(9));
    assert_eq!(again, Ok(Outcome::Repeated(contribution.clone())), "also after the month was closed");
    assert_eq!(code(contribute(&max(), state(), LAST_MONTH, counts(8), NOW)), RefusalCode::ContributionExists);
    let by_gateway = value(contribute(&Caller::Custodian(clinic()), open(), LAST_MONTH, counts(7), NOW));
    assert_eq!((by_gateway.organisation, by_gateway.by), (id("clinic"), None));
}

#[test]
fn counts_are_contributed_by_maintainers_and_gateways_of_care_organisations() {
    is_refused_to_others(Permission::ContributeCounts, |who| contribute(who, open(), LAST_MONTH, counts(7), NOW));
    for kind in OrganisationKind::ALL {
        let home = organisation("home", kind);
        for caller in [Caller::Custodian(home.clone()), caller_of(home.clone(), "max", Role::Maintainer)] {
            let decided = contribute(&caller, open(), LAST_MONTH, counts(7), NOW);
            assert_eq!(decided.is_ok(), kind.is_care(), "{kind:?}");
            if !kind.is_care() {
                assert_eq!(code(decided), RefusalCode::NotPermitted);
            }
        }
    }
}

/// Found by review: the gateway of an organisation that does not take part contributed counts.
#[test]
fn an_organisation_that_has_left_contributes_nothing() {
    let entered = clinic();
    assert!(contribute(&Caller::Custodian(entered.clone()), open(), LAST_MONTH, counts(7), NOW).is_ok());
    let left = Organisation { state: OrganisationState::Left { at: at(-1) }, ..entered };
    for caller in [Caller::Custodian(left.clone()), caller_of(left, "max", Role::Maintainer)] {
        let refused = contribute(&caller, open(), LAST_MONTH, counts(7), NOW);
        assert_eq!(code(refused), RefusalCode::OrganisationNotActive);
    }
}

#[test]
fn counts_are_of_a_month_that_is_over_counted_and_not_closed() {
    let refused =
        |state: ContributionState, period: &str, at: LedgerTime| code(contribute(&max(), state, period, counts(7), at));
    assert_eq!(refused(ContributionState::default(), LAST_MONTH, NOW), RefusalCode::UnknownMeasure);
    assert_eq!(refused(open(), THIS_MONTH, NOW), RefusalCode::PeriodNotOver);
    let last: Month = id(LAST_MONTH);
    let before = LedgerTime::from_milliseconds(last.end().milliseconds() - 1);
    assert_eq!(refused(open(), LAST_MONTH, before), RefusalCode::PeriodNotOver);
    assert!(contribute(&max(), open(), LAST_MONTH, counts(7), last.end()).is_ok());
    assert_eq!(refused(open(), "2026-05", NOW), RefusalCode::PeriodNotCounted);
    assert!(contribute(&max(), open(), "2026-06", counts(7), NOW).is_ok());
    let until = |last: &str| ContributionState { measure: Some(ended(last)), ..open() };
    assert_eq!(refused(until("2026-11"), LAST_MONTH, NOW), RefusalCode::PeriodNotCounted);
    assert!(contribute(&max(), until(LAST_MONTH), LAST_MONTH, counts(7), NOW).is_ok());
    let late = ContributionState { closed: Some(closed()), ..open() };
    assert_eq!(refused(late, LAST_MONTH, NOW), RefusalCode::PeriodClosed);
}

#[test]
fn counts_are_of_classes_and_regions_of_the_measure() {
    for foreign in [cell("J03", "US-MA", 1, 2), cell("J01", "US-NY", 1, 2), cell("J01C", "US-MA", 1, 2)] {
        let counts = vec![cell("J01", "US-MA", 1, 2), foreign].try_into().unwrap();
        assert_eq!(code(contribute(&max(), open(), LAST_MONTH, counts, NOW)), RefusalCode::CellNotOfMeasure);
    }
}

#[test]
fn counts_are_bounded_and_none_is_there_twice() {
    let parse = |cells: Vec<CountCell>| Counts::try_from(cells);
    assert!(parse(vec![]).is_err());
    assert!(parse(vec![cell("J01", "US-MA", 1, 2), cell("J01", "US-MA", 2, 2)]).is_err(), "twice");
    assert!(parse(vec![cell("J01", "US-MA", 3, 2)]).is_err(), "more than all");
    assert!(parse(vec![cell("J01", "US-MA", 2, 2)]).is_ok());
    assert!(parse(vec![cell("J01", "US-MA", 0, 1_000_000_000)]).is_ok());
    assert!(parse(vec![cell("J01", "US-MA", 0, 1_000_000_001)]).is_err());
    let many = |count: usize| (0..count).map(|n| cell("J01", &format!("R{n}"), 0, 0)).collect::<Vec<_>>();
    assert!(parse(many(256)).is_ok());
    assert!(parse(many(257)).is_err());
    let one_way = parse(vec![cell("J01", "US-MA", 1, 2), cell("J01", "US-NH", 3, 4)]).unwrap();
    let other_way = parse(vec![cell("J01", "US-NH", 3, 4), cell("J01", "US-MA", 1, 2)]).unwrap();
    assert_eq!(one_way, other_way);
    assert_eq!(one_way.of(&id("J01"), &id("US-NH")), Some(Counted { numerator: 3, denominator: 4 }));
    assert_eq!(one_way.of(&id("J02"), &id("US-NH")), None);
}

/// When last month may be closed.
fn closing_time() -> LedgerTime {
    id::<Month>(LAST_MONTH).end().plus_days(30)
}

#[test]
fn a_month_is_closed_once_by_a_maintainer() {
    let close = |existing: Option<ClosedPeriod>, period: &str| {
        decide_closing(&max(), Some(measure()), existing, id(period), closing_time())
    };
    assert_eq!(value(close(None, LAST_MONTH)), ClosedPeriod { at: closing_time(), ..closed() });
    assert_eq!(close(Some(closed()), LAST_MONTH), Ok(Outcome::Repeated(closed())));
    assert_eq!(code(close(None, THIS_MONTH)), RefusalCode::PeriodNotOver);
    assert_eq!(code(close(None, "2026-05")), RefusalCode::PeriodNotCounted);
    assert_eq!(code(decide_closing(&max(), None, None, id(LAST_MONTH), NOW)), RefusalCode::UnknownMeasure);
    is_refused_to_others(Permission::DefineMeasure, |who| {
        decide_closing(who, Some(measure()), None, id(LAST_MONTH), closing_time())
    });
}

/// Found by review: a maintainer closed a month the moment it was over, before anybody else contributed.
#[test]
fn a_month_is_closed_30_days_after_its_end_at_the_earliest() {
    let close = |at: LedgerTime| decide_closing(&max(), Some(measure()), None, id(LAST_MONTH), at);
    let before = LedgerTime::from_milliseconds(closing_time().milliseconds() - 1);
    for early in [id::<Month>(LAST_MONTH).end(), before] {
        let refusal = close(early).unwrap_err();
        assert_eq!(refusal.code(), RefusalCode::PeriodOpen);
        assert!(refusal.to_string().contains(&closing_time().to_string()), "{refusal}");
    }
    assert!(close(closing_time()).is_ok());
}

#[test]
fn a_table_is_for_analysts_once_the_month_is_closed() {
    let (measure, closed) = (measure(), closed());
    is_refused_to_others(Permission::ReleaseStatistics, |who| decide_tabulation(who, Some(&measure), Some(&closed)));
    assert_eq!(code(decide_tabulation(&ann(), Some(&measure), None)), RefusalCode::PeriodOpen);
    assert_eq!(code(decide_tabulation(&ann(), None, Some(&closed))), RefusalCode::UnknownMeasure);
}

fn contributed(organisation: &str, cells: Vec<CountCell>) -> Contribution {
    Contribution {
        measure: id("antibiotics"),
        period: id(LAST_MONTH),
        organisation: id(organisation),
        counts: cells.try_into().unwrap(),
        by: None,
        at: NOW,
    }
}

#[test]
fn a_table_sums_over_three_organisations_or_more() {
    let all = |from: u64| {
        vec![
            cell("J01", "US-MA", 20 + from, 100),
            cell("J02", "US-MA", 0, 100),
            cell("J01", "US-NH", 40, 1000),
            cell("J02", "US-NH", 30, 200),
        ]
    };
    let contributions = [contributed("a", all(1)), contributed("b", all(2)), contributed("c", all(3))];
    let too_few = tabulate(&measure(), id(LAST_MONTH), &contributions[..2]);
    assert_eq!(code(too_few), RefusalCode::TooFewContributors);
    let table = tabulate(&measure(), id(LAST_MONTH), &contributions).unwrap();
    let shown = |region: Option<&str>, class: Option<&str>, numerator: u64, denominator: u64| TableCell {
        region: region.map(id),
        class: class.map(id),
        counted: Some(Counted { numerator, denominator }),
    };
    let cells = vec![
        shown(Some("US-MA"), Some("J01"), 66, 300),
        shown(Some("US-MA"), Some("J02"), 0, 300),
        shown(Some("US-MA"), None, 66, 600),
        shown(Some("US-NH"), Some("J01"), 120, 3000),
        shown(Some("US-NH"), Some("J02"), 90, 600),
        shown(Some("US-NH"), None, 210, 3600),
        shown(None, Some("J01"), 186, 3300),
        shown(None, Some("J02"), 90, 900),
        shown(None, None, 276, 4200),
    ];
    assert_eq!(table, Table { measure: id("antibiotics"), period: id(LAST_MONTH), contributors: 3, cells });
}

/// Whether a table of three regions and classes shows each of its cells, totals included, when these organisations of three count in
/// the first cell, and all three in every other.
fn shown_of(first: &[&str]) -> Vec<bool> {
    let regions = ["US-MA", "US-NH", "US-VT"];
    let classes = ["J01", "J02", "N02A"];
    let terms = MeasureTerms::new(
        (id("antibiotics"), id("visits"), 1000),
        classes.map(id).into(),
        regions.map(id).into(),
        id("2026-06"),
        0,
    );
    let measure = Measure { terms: terms.unwrap(), ..measure() };
    let contributions = ["a", "b", "c"].map(|organisation| {
        let cells = regions.iter().flat_map(|region| classes.iter().map(move |class| (*region, *class)));
        let counted = cells.map(|(region, class)| {
            let is_first = (region, class) == (regions[0], classes[0]);
            let counts = !is_first || first.contains(&organisation);
            let (numerator, denominator) = if counts { (400, 1000) } else { (0, 0) };
            cell(class, region, numerator, denominator)
        });
        contributed(organisation, counted.collect())
    });
    let table = tabulate(&measure, id(LAST_MONTH), &contributions).unwrap();
    assert_eq!(table.contributors, 3);
    table.cells.iter().map(|cell| cell.counted.is_some()).collect()
}

/// Found by review: three organisations made a table in which a cell was of one or two of them.
#[test]
fn a_cell_that_fewer_than_three_organisations_counted_is_suppressed_and_protected() {
    assert_eq!(shown_of(&["a", "b", "c"]), [true; 16]);
    for few in [&["a", "b"][..], &["c"]] {
        let shown = shown_of(few);
        assert!(!shown[0], "{few:?}");
        assert_eq!(shown.iter().filter(|is_shown| !**is_shown).count(), 4, "with three that protect it: {shown:?}");
        assert!(shown[15], "the total is of all three");
    }
    assert!(!shown_of(&[])[0], "nor that nobody counted any");
}

/// Found by review: a total, too, was of fewer organisations than a table must have.
#[test]
fn a_total_that_fewer_than_three_organisations_counted_is_suppressed() {
    let both = || vec![cell("J01", "US-MA", 400, 1000), cell("J02", "US-MA", 400, 1000)];
    let nothing = || vec![cell("J01", "US-MA", 0, 0)];
    let of = |third: Vec<CountCell>| {
        let contributions = [contributed("a", both()), contributed("b", both()), contributed("c", third)];
        tabulate(&measure(), id(LAST_MONTH), &contributions).unwrap().cells
    };
    assert!(of(nothing()).iter().all(|cell| cell.counted.is_none()));
    let shown: Vec<_> = of(both()).into_iter().filter(|cell| cell.counted.is_some()).collect();
    assert!(shown.iter().all(|cell| cell.region != Some(id("US-NH"))), "nobody counted any there");
}

fn noisy(class: &str, numerator: i64) -> NoisyCell {
    NoisyCell { class: id(class), region: id("US-MA"), numerator, denominator: 1000 }
}

fn release_terms(epsilon: u32) -> ReleaseTerms {
    ReleaseTerms {
        period: id(LAST_MONTH),
        epsilon: epsilon.try_into().unwrap(),
        mechanism: Mechanism::DiscreteLaplace,
        values: vec![noisy("J01", -3)].try_into().unwrap(),
    }
}

fn spent(epsilon: u32) -> ReleaseState {
    ReleaseState {
        measure: Some(measure()),
        closed: Some(closed()),
        existing: None,
        spent: Spent { epsilon, releases: 4 },
    }
}

#[test]
fn a_release_spends_of_the_budget_and_never_more_than_is_left() {
    let release =
        |state: ReleaseState, epsilon: u32| decide_release(&ann(), state, id("r1"), release_terms(epsilon), NOW);
    let (made, after) = value(release(spent(600), 400));
    let expected =
        Release { id: id("r1"), measure: id("antibiotics"), terms: release_terms(400), by: id("ann"), at: NOW };
    assert_eq!((&made, after), (&expected, Spent { epsilon: 1000, releases: 5 }));
    assert_eq!(code(release(spent(600), 401)), RefusalCode::BudgetSpent);
    assert_eq!(code(release(spent(1000), 1)), RefusalCode::BudgetSpent);
    let again = ReleaseState { existing: Some(made.clone()), ..spent(1000) };
    let repeated = release(again.clone(), 400);
    assert_eq!(repeated, Ok(Outcome::Repeated((made, Spent { epsilon: 1000, releases: 4 }))), "and spends nothing");
    assert_eq!(code(release(again, 399)), RefusalCode::ReleaseExists);
}

#[test]
fn a_release_is_an_analysts_of_a_closed_month_and_of_the_measures_cells() {
    let release = |state: ReleaseState, terms: ReleaseTerms| decide_release(&ann(), state, id("r1"), terms, NOW);
    is_refused_to_others(Permission::ReleaseStatistics, |who| {
        decide_release(who, spent(0), id("r1"), release_terms(1), NOW)
    });
    assert_eq!(
        code(release(ReleaseState { measure: None, ..spent(0) }, release_terms(1))),
        RefusalCode::UnknownMeasure
    );
    assert_eq!(code(release(ReleaseState { closed: None, ..spent(0) }, release_terms(1))), RefusalCode::PeriodOpen);
    let foreign = ReleaseTerms { values: vec![noisy("J09", 1)].try_into().unwrap(), ..release_terms(1) };
    assert_eq!(code(release(spent(0), foreign)), RefusalCode::CellNotOfMeasure);
    let region = NoisyCell { region: id("US-NY"), ..noisy("J01", 1) };
    let foreign = ReleaseTerms { values: vec![region].try_into().unwrap(), ..release_terms(1) };
    assert_eq!(code(release(spent(0), foreign)), RefusalCode::CellNotOfMeasure);
}

#[test]
fn an_agent_spends_no_more_a_day_than_its_charter_says() {
    let release = |used: u32, epsilon: u32| {
        let mut agent = agent_of(actor("ann", Role::Analyst), "program", "Statistics:release");
        if let Caller::Member(actor) = &mut agent {
            let work = actor.agent.as_mut().unwrap();
            (work.charter.epsilon_a_day, work.used.epsilon) = (300, used);
        }
        decide_release(&agent, spent(0), id("r1"), release_terms(epsilon), NOW)
    };
    assert!(release(100, 200).is_ok());
    assert_eq!(code(release(100, 201)), RefusalCode::BudgetSpent);
    assert_eq!(code(release(300, 1)), RefusalCode::BudgetSpent);
}

#[test]
fn noisy_counts_are_bounded_and_none_is_there_twice() {
    let parse = |cells: Vec<NoisyCell>| NoisyCounts::try_from(cells);
    assert!(parse(vec![]).is_err());
    assert!(parse(vec![noisy("J01", 1), noisy("J01", 2)]).is_err());
    assert!(parse(vec![noisy("J01", -1_000_000_000_000)]).is_ok());
    assert!(parse(vec![noisy("J01", -1_000_000_000_001)]).is_err());
    assert!(parse(vec![NoisyCell { denominator: 1_000_000_000_001, ..noisy("J01", 1) }]).is_err());
    let many = |count: usize| {
        (0..count).map(|n| NoisyCell { region: id(&format!("R{n}")), ..noisy("J01", 0) }).collect::<Vec<_>>()
    };
    assert!(parse(many(256)).is_ok());
    assert!(parse(many(257)).is_err());
    assert_eq!(parse(vec![noisy("J02", 1), noisy("J01", 2)]), parse(vec![noisy("J01", 2), noisy("J02", 1)]));
}

#[test]
fn the_budget_is_for_all_active_members_to_know() {
    let known = |who: &Caller| decide_budget(who, Some(&measure()), Spent { epsilon: 300, releases: 2 });
    let budget = Budget { measure: id("antibiotics"), epsilon: 1000, left: 700, releases: 2 };
    for role in Role::ALL {
        assert_eq!(known(&caller("who", role)), Ok(budget.clone()), "{role}");
    }
    assert_eq!(code(known(&suspended(ann()))), RefusalCode::MemberSuspended);
    assert_eq!(code(known(&Caller::Custodian(hospital()))), RefusalCode::NotPermitted);
    assert_eq!(code(decide_budget(&ann(), None, Spent::default())), RefusalCode::UnknownMeasure);
}

/// What is stored of statistics, by name.
pub(crate) fn stored() -> Vec<(&'static str, Value)> {
    let contribution = contributed("hospital", vec![cell("J01", "US-MA", 7, 1000)]);
    let release =
        Release { id: id("r1"), measure: id("antibiotics"), terms: release_terms(400), by: id("ann"), at: NOW };
    vec![
        ("measure ended", json!(ended(THIS_MONTH))),
        ("contribution", json!(Contribution { by: Some(id("max")), ..contribution })),
        ("closed period", json!(closed())),
        ("release", json!(release)),
        ("epsilon spent", json!(Spent { epsilon: 400, releases: 1 })),
    ]
}
