use healthchain_interface::{
    AccountQuery, AttestTarget, DefineProgram, Enrol, LeaveProgram, ProgramsQuery, RedeemPoints,
};
use healthchain_rules::reward::{Enrolment, Participation, PointsAccount, ProgramKind, ProgramTerms, Standard};
use healthchain_rules::*;
use serde_json::{Value, json};

use crate::consortium::*;

/// 10 points for each year in which the target is met.
pub(crate) fn program(name: &str) -> DefineProgram {
    let terms = ProgramTerms {
        metric: id("blood-pressure"),
        target: id("below-140-90"),
        alternative_standard: Some(id("education")),
        kind: ProgramKind::Outcome,
        period: PeriodLength::Year,
        points: 10,
        points_a_year: 10,
        point_value: 2,
        coverage_cost: 1000,
        from: LedgerTime::from_milliseconds(0),
        until: id::<Month>("2999-01").start(),
    };
    DefineProgram { program: id(name), terms }
}

pub(crate) fn enrol(patient: &str) -> Enrol {
    Enrol { program: id("walk"), patient: id(patient), sponsor: id("payer") }
}

pub(crate) fn leave() -> LeaveProgram {
    LeaveProgram { program: id("walk"), patient: id("alice") }
}

pub(crate) fn attest(patient: &str, period: CalendarPeriod) -> AttestTarget {
    AttestTarget { program: id("walk"), patient: id(patient), period, standard: Standard::Target }
}

pub(crate) fn redeem(redemption: &str, points: u32) -> RedeemPoints {
    RedeemPoints { redemption: id(redemption), program: id("walk"), patient: id("alice"), points }
}

pub(crate) fn account() -> AccountQuery {
    AccountQuery { program: id("walk"), patient: id("alice") }
}

/// The calendar year in which the patient enrolled.
pub(crate) fn year_of(participation: &Participation) -> CalendarPeriod {
    let Enrolment::Enrolled { at, .. } = participation.enrolment else { panic!("left") };
    let years = (2020..).map(|year| id::<CalendarPeriod>(&format!("{year}")));
    years.into_iter().find(|year| at < year.end()).unwrap()
}

fn with(call: impl serde::Serialize, field: &str, value: Value) -> Value {
    let mut call = serde_json::to_value(call).unwrap();
    call[field] = value;
    call
}

#[tokio::test]
async fn a_patient_enrols_earns_points_and_redeems_them() {
    let consortium = Consortium::new().await;
    let [pia, alice, carol, clara, bob] =
        ["pia", "alice", "carol", "clara", "bob"].map(|name| consortium.person(name).rewards());
    let defined = pia.define(&program("walk")).await.unwrap();
    assert_eq!(pia.define(&program("walk")).await.unwrap(), defined, "repeated");
    let max = consortium.person("max").rewards();
    let other = ProgramTerms { points: 9, ..program("walk").terms };
    assert_eq!(
        refused(max.define(&DefineProgram { terms: other, ..program("walk") }).await),
        RefusalCode::ProgramExists
    );
    let costly = ProgramTerms { coverage_cost: 133, ..program("run").terms };
    let costly = DefineProgram { terms: costly, ..program("run") };
    assert_eq!(refused(max.define(&costly).await), RefusalCode::RewardTooLarge, "20 and 20 of 133");
    assert_eq!(refused(carol.define(&program("run")).await), RefusalCode::NotPermitted);

    let other_sponsor = Enrol { sponsor: id("hospital"), ..enrol("alice") };
    assert_eq!(refused(alice.enrol(&other_sponsor).await), RefusalCode::OtherSponsor);
    assert_eq!(refused(pia.account(&account()).await), RefusalCode::UnknownParticipation);
    let enrolled = alice.enrol(&enrol("alice")).await.unwrap();
    assert_eq!(alice.enrol(&enrol("alice")).await.unwrap(), enrolled, "repeated");
    for other in [&bob, &pia, &carol] {
        assert_eq!(refused(other.enrol(&enrol("alice")).await), RefusalCode::NotPermitted);
    }

    let year = year_of(&enrolled);
    assert_eq!(refused(carol.attest(&attest("bob", year)).await), RefusalCode::NotEnrolled);
    assert_eq!(refused(pia.attest(&attest("alice", year)).await), RefusalCode::NotPermitted);
    let attested = carol.attest(&attest("alice", year)).await.unwrap();
    assert_eq!(clara.attest(&attest("alice", year)).await.unwrap(), attested, "repeated, also by another clinic");
    let alternative = AttestTarget { standard: Standard::Alternative, ..attest("alice", year) };
    assert_eq!(refused(carol.attest(&alternative).await), RefusalCode::TargetAttested);
    let next: CalendarPeriod = id(&format!("{}", year.year() + 1));
    assert_eq!(refused(carol.attest(&attest("alice", next)).await), RefusalCode::PeriodNotRewarded);

    let earned = PointsAccount {
        program: id("walk"),
        patient: id("alice"),
        is_enrolled: true,
        earned: [(year.year(), 10)].into(),
        redeemed: 0,
        available: 10,
    };
    assert_eq!(pia.account(&account()).await.unwrap(), earned);
    assert_eq!(refused(bob.account(&account()).await), RefusalCode::NotPermitted);
    assert_eq!(refused(alice.redeem(&redeem("r1", 11)).await), RefusalCode::PointsInsufficient);
    let redeemed = alice.redeem(&redeem("r1", 8)).await.unwrap();
    assert_eq!((redeemed.points, redeemed.value), (8, 16));
    assert_eq!(alice.redeem(&redeem("r1", 8)).await.unwrap(), redeemed, "repeated");
    assert_eq!(refused(alice.redeem(&redeem("r1", 2)).await), RefusalCode::RedemptionExists);
    assert_eq!(refused(bob.redeem(&redeem("r2", 1)).await), RefusalCode::NotPermitted);

    let left = alice.leave(&leave()).await.unwrap();
    assert_eq!(alice.leave(&leave()).await.unwrap(), left, "repeated");
    assert_eq!(refused(bob.leave(&leave()).await), RefusalCode::NotPermitted);
    assert_eq!(refused(pia.account(&account()).await), RefusalCode::UnknownParticipation);
    let kept = alice.account(&account()).await.unwrap();
    assert_eq!(kept, PointsAccount { is_enrolled: false, redeemed: 8, available: 2, ..earned });
    alice.redeem(&redeem("r2", 2)).await.unwrap();

    assert_eq!(refused(carol.end(&id("walk")).await), RefusalCode::NotPermitted);
    let ended = pia.end(&id("walk")).await.unwrap();
    assert_eq!(pia.end(&id("walk")).await.unwrap(), ended, "repeated");
    assert_eq!(refused(pia.end(&id("none")).await), RefusalCode::UnknownProgram);
    assert_eq!(refused(alice.enrol(&enrol("alice")).await), RefusalCode::ProgramOver);
    consortium.suspend("alice", "patients").await;
    assert_eq!(refused(alice.account(&account()).await), RefusalCode::MemberSuspended);
    assert_eq!(refused(alice.redeem(&redeem("r3", 1)).await), RefusalCode::MemberSuspended);
}

#[tokio::test]
async fn programs_are_listed_and_malformed_calls_refused() {
    let consortium = Consortium::new().await;
    let pia = consortium.person("pia");
    for name in ["walk", "run"] {
        pia.rewards().define(&program(name)).await.unwrap();
    }
    let bob = consortium.person("bob").rewards();
    let mut query = ProgramsQuery { page_token: None, limit: Some(1.try_into().unwrap()) };
    let page = bob.programs(&query).await.unwrap();
    assert_eq!(page.items[0].id, id("run"));
    query.page_token = page.next_page_token;
    assert_eq!(bob.programs(&query).await.unwrap().items[0].id, id("walk"));

    let long = "w".repeat(65);
    let mut without_alternative = serde_json::to_value(program("swim")).unwrap();
    without_alternative["terms"].as_object_mut().unwrap().remove("alternative_standard");
    let mut too_many = serde_json::to_value(program("swim")).unwrap();
    too_many["terms"]["points_a_year"] = json!(1_000_001);
    for (function, argument) in [
        ("define", without_alternative),
        ("define", too_many),
        ("define", with(program("swim"), "program", json!(long))),
        ("end", json!(long)),
        ("enrol", with(enrol("alice"), "value", json!(7))),
        ("leave", json!({"program": "walk"})),
        ("attest", with(attest("alice", id("2026")), "period", json!("2026-Q5"))),
        ("attest", with(attest("alice", id("2026")), "standard", json!("partly"))),
        ("redeem", with(redeem("r1", 1), "points", json!(-1))),
        ("account", json!({"program": "walk", "patient": "Alice Smith"})),
        ("programs", json!({"limit": 0})),
    ] {
        assert_eq!(pia.status_of(&format!("Rewards:{function}"), argument.clone()).await, 400, "{argument}");
    }
}
