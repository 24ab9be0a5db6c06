//! What must hold whatever trustees, administrators and the patient do, and in whatever order.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use healthchain_rules::recovery::RecoveryState;
use proptest::prelude::*;

const PEOPLE: [(&str, Role); 5] = [
    ("alice", Role::Patient),
    ("gina", Role::Guardian),
    ("carol", Role::Clinician),
    ("adam", Role::Administrator),
    ("anna", Role::Administrator),
];

#[derive(Clone, Copy, Debug)]
enum Step {
    Begin,
    Approve,
    Object,
    Complete,
    Suspend,
    Reinstate,
}

fn step() -> impl Strategy<Value = (usize, Step, i64)> {
    use Step::*;
    let steps = vec![Begin, Approve, Approve, Approve, Object, Complete, Complete, Complete, Suspend, Reinstate];
    let hours = prop::sample::select(vec![0, 1, 24, 71, 72, 100, 500]);
    (0..PEOPLE.len(), prop::sample::select(steps), hours)
}

/// What the test itself notes of a recovery.
#[derive(Default)]
struct Notes {
    approvals: BTreeMap<Trustee, BTreeSet<MemberId>>,
    enough_since: Option<i64>,
    objected: bool,
}

impl Notes {
    /// Notes who approved, in each capacity.
    fn approved(&mut self, name: &str, threshold: usize, now: i64) {
        let organisation = ["adam", "anna"].contains(&name).then(|| administrators("hospital"));
        let person = ["gina", "carol", "adam"].contains(&name).then(|| person(name));
        for trustee in organisation.into_iter().chain(person) {
            self.approvals.entry(trustee).or_default().insert(id(name));
        }
        if self.approvals.len() >= threshold {
            self.enough_since.get_or_insert(now);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn no_recovery_is_completed_by_too_few_too_early_or_after_an_objection(
        steps in prop::collection::vec(step(), 1..40), threshold in 1u32..=4,
    ) {
        let named = trustees(&[person("gina"), person("carol"), person("adam"), administrators("hospital")], threshold);
        let plan = RecoveryPlan { trustees: named, ..plan() };
        let mut callers: Vec<Caller> = PEOPLE.iter().map(|(name, role)| caller(name, *role)).collect();
        let (mut latest, mut notes, mut hours): (Option<Recovery>, Notes, i64) = (None, Notes::default(), 0);
        for (number, (who, step, later)) in steps.into_iter().enumerate() {
            hours += later;
            let (now, name) = (at(hours * 3_600_000), PEOPLE[who].0);
            let by = callers[who].clone();
            let is_suspended = |caller: &Caller| approver(caller).standing != Standing::Active;
            let open = latest.clone().unwrap_or_else(begun);
            let next = match step {
                Step::Suspend => {
                    callers[who] = suspended(by);
                    continue;
                }
                Step::Reinstate => {
                    callers[who] = caller(name, PEOPLE[who].1);
                    continue;
                }
                Step::Begin => {
                    let patient = patient();
                    let state =
                        BeginningState { patient: Some(&patient), plan: Some(&plan), latest: latest.as_ref(), taken: None };
                    let begun = decide_beginning(&by, state, new(&format!("r{number}")), HOURS, now);
                    if begun.is_ok() {
                        let is_replaceable =
                            |latest: &Recovery| latest.state == RecoveryState::Collecting && latest.by.as_str() != name;
                        prop_assert!(
                            latest.as_ref().is_none_or(|latest| !latest.is_open(now) || is_replaceable(latest)),
                            "one open at a time"
                        );
                        notes = Notes::default();
                        notes.approved(name, threshold as usize, hours);
                    }
                    begun
                }
                _ if latest.is_none() => continue,
                Step::Approve => {
                    let approved = approve(&by, &open, now);
                    if matches!(approved, Ok(Outcome::Decided(..))) {
                        notes.approved(name, threshold as usize, hours);
                    }
                    approved
                }
                Step::Object => {
                    let objected = object(&by, &open, now);
                    notes.objected |= objected.is_ok();
                    prop_assert!(
                        objected.is_ok() || name != "alice" || is_suspended(&by) || !open.is_open(now),
                        "the patient can always object"
                    );
                    objected
                }
                Step::Complete => {
                    let approvers: Vec<Member> = callers.iter().map(approver).collect();
                    let Ok(Outcome::Decided((completed, _), _)) = complete_with(&by, &open, &approvers, now) else {
                        continue;
                    };
                    let acts = |member: &MemberId| approvers.iter().any(|one| one.id == *member && one.standing == Standing::Active);
                    let standing = notes.approvals.values().filter(|members| members.iter().any(acts)).count();
                    prop_assert!(standing >= threshold as usize, "{standing} of {threshold}");
                    prop_assert!(notes.enough_since.is_some_and(|since| since + i64::from(HOURS) <= hours));
                    prop_assert!(!notes.objected);
                    latest = Some(completed);
                    continue;
                }
            };
            if let Ok(Outcome::Decided(next, _)) = next {
                prop_assert!(!is_suspended(&by), "who is suspended does nothing");
                let is_over = matches!(open.state, RecoveryState::Completed { .. } | RecoveryState::Objected { .. });
                prop_assert!(!is_over || matches!(step, Step::Begin), "what has ended stays");
                latest = Some(next);
            }
        }
    }
}
