//! Random histories: lists of calls by random members, each decided as the chaincode would, with what must hold at every opening told
//! from the calls themselves and not from the state that the rules keep.

use std::collections::{BTreeMap, BTreeSet};

use healthchain_rules::consent::{GrantState, GranteeState, RevocationState, decide_grant, decide_revocation};
use healthchain_rules::delegation::{NewDelegation, decide_delegation};
use healthchain_rules::emergency::{Declaration, decide_declaration, decide_review};
use healthchain_rules::link::decide_withdrawal;
use healthchain_rules::opening::decide_opening;
use healthchain_rules::standing::{decide_reinstatement, decide_suspension};
use healthchain_rules::*;
use proptest::prelude::*;

use crate::support::*;

const HOUR: i64 = 3_600_000;
const PATIENTS: [&str; 2] = ["alice", "bob"];
const PEOPLE: [(&str, Role); 9] = [
    ("alice", Role::Patient),
    ("bob", Role::Patient),
    ("gina", Role::Guardian),
    ("carol", Role::Clinician),
    ("clara", Role::Clinician),
    ("phil", Role::Pharmacist),
    ("pia", Role::PayerOfficer),
    ("pam", Role::PrivacyOfficer),
    ("max", Role::Maintainer),
];

#[derive(Clone, Debug)]
enum Call {
    Grant {
        by: &'static str,
        patient: &'static str,
        consent: u8,
        grantee: Grantee,
        scope: Scope,
        purpose: Purpose,
        hours: i64,
        effect: Effect,
    },
    Revoke {
        by: &'static str,
        patient: &'static str,
        consent: u8,
    },
    Delegate {
        patient: &'static str,
        powers: BTreeSet<Power>,
        category: Category,
        hours: i64,
    },
    End {
        patient: &'static str,
    },
    Suspend {
        whom: &'static str,
    },
    Reinstate {
        whom: &'static str,
    },
    Withdraw {
        link: u8,
    },
    Declare {
        by: &'static str,
        patient: &'static str,
    },
    Review {
        emergency: usize,
    },
    Withhold {
        from: &'static str,
        is_withheld: bool,
    },
    Open {
        by: &'static str,
        link: u8,
        purpose: Purpose,
        emergency: Option<usize>,
    },
    Wait {
        hours: i64,
    },
}

fn person() -> impl Strategy<Value = &'static str> {
    prop::sample::select(PEOPLE.map(|(name, _)| name).to_vec())
}

fn patient() -> impl Strategy<Value = &'static str> {
    prop::sample::select(PATIENTS.to_vec())
}

fn purpose() -> impl Strategy<Value = Purpose> {
    prop::sample::select(Purpose::ALL.to_vec())
}

fn category() -> impl Strategy<Value = Category> {
    prop::sample::select(vec![Category::Summary, Category::Medication, Category::Restricted])
}

fn grantee() -> impl Strategy<Value = Grantee> {
    prop_oneof![
        person().prop_map(|name| Grantee::Member(id(name))),
        prop::sample::select(vec!["hospital", "clinic", "payer"]).prop_map(|name| Grantee::Organisation(id(name))),
        prop::sample::select(vec![Role::Clinician, Role::PayerOfficer, Role::Guardian]).prop_map(Grantee::Role),
    ]
}

fn scope() -> impl Strategy<Value = Scope> {
    prop_oneof![
        category().prop_map(|category| Scope::Categories([category].into())),
        (0u8..6).prop_map(|link| Scope::Links([id(&format!("l{link}"))].into())),
    ]
}

fn grant() -> impl Strategy<Value = Call> {
    let by = prop_oneof![3 => Just(""), 1 => Just("gina"), 1 => person()];
    let effect = prop::sample::select(vec![Effect::Permit, Effect::Deny]);
    (by, patient(), 0u8..6, grantee(), scope(), purpose(), 1i64..72, effect).prop_map(
        |(by, patient, consent, grantee, scope, purpose, hours, effect)| {
            let by = if by.is_empty() { patient } else { by };
            Call::Grant { by, patient, consent, grantee, scope, purpose, hours, effect }
        },
    )
}

fn call() -> impl Strategy<Value = Call> {
    let powers = prop::sample::subsequence(vec![Power::Open, Power::Consent, Power::ReadAudit], 1..=3);
    prop_oneof![
        6 => grant(),
        3 => (person(), patient(), 0u8..6).prop_map(|(by, patient, consent)| Call::Revoke { by, patient, consent }),
        2 => (patient(), powers, category(), 1i64..72).prop_map(|(patient, powers, category, hours)| {
            Call::Delegate { patient, powers: powers.into_iter().collect(), category, hours }
        }),
        1 => patient().prop_map(|patient| Call::End { patient }),
        1 => person().prop_map(|whom| Call::Suspend { whom }),
        1 => person().prop_map(|whom| Call::Reinstate { whom }),
        1 => (0u8..6).prop_map(|link| Call::Withdraw { link }),
        2 => (person(), patient()).prop_map(|(by, patient)| Call::Declare { by, patient }),
        1 => (0usize..4).prop_map(|emergency| Call::Review { emergency }),
        1 => (person(), any::<bool>()).prop_map(|(from, is_withheld)| Call::Withhold { from, is_withheld }),
        12 => (person(), 0u8..6, purpose(), prop::option::weighted(0.2, 0usize..4))
            .prop_map(|(by, link, purpose, emergency)| Call::Open { by, link, purpose, emergency }),
        2 => (1i64..24).prop_map(|hours| Call::Wait { hours }),
    ]
}

fn history() -> impl Strategy<Value = Vec<Call>> {
    prop::collection::vec(call(), 10..60)
}

/// What the ledger would hold.
#[derive(Clone, Debug, Default, PartialEq)]
struct Ledger {
    members: BTreeMap<MemberId, Member>,
    links: BTreeMap<LinkId, Link>,
    consents: BTreeMap<(MemberId, ConsentId), Consent>,
    books: BTreeMap<MemberId, ConsentBook>,
    delegations: BTreeMap<MemberId, Delegation>,
    emergencies: Vec<Emergency>,
    dockets: BTreeMap<MemberId, Docket>,
    openings: Vec<(Opening, Grounds, Actor, Link)>,
    now: i64,
    calls: u32,
}

fn organisation_of(name: &str, role: Role) -> Organisation {
    if name == "clara" || name == "pam" { clinic() } else { home(role) }
}

impl Ledger {
    fn new() -> Self {
        let members = PEOPLE.map(|(name, role)| (id(name), member_of(&organisation_of(name, role), name, role)));
        let links = (0u8..6).map(|number| {
            let categories = [Category::Summary, Category::Medication, Category::Restricted];
            let name = format!("l{number}");
            let patient = id(PATIENTS[usize::from(number) / 3]);
            (id(&name), Link { patient, ..link(&name, categories[usize::from(number) % 3]) })
        });
        Self { members: members.into(), links: links.collect(), ..Self::default() }
    }

    fn at(&self) -> LedgerTime {
        at(self.now)
    }

    fn actor(&self, name: &str) -> Actor {
        let member = self.members[&id(name)].clone();
        let organisation = organisation_of(name, member.role);
        Actor { member, organisation, agent: None }
    }

    fn caller(&self, name: &str) -> Caller {
        Caller::Member(Box::new(self.actor(name)))
    }

    fn grounds(&self, link: &Link, who: &str, emergency: Option<usize>) -> Grounds {
        Grounds {
            book: self.books.get(&link.patient).cloned().unwrap_or_default(),
            delegation: self.delegations.get(&link.patient).filter(|found| found.guardian == id(who)).cloned(),
            emergency: emergency.and_then(|number| self.emergencies.get(number)).cloned(),
            docket: self.dockets.get(&id(who)).cloned().unwrap_or_default(),
            ..Grounds::default()
        }
    }

    /// Carries out a call as the chaincode would: a refused one changes nothing.
    fn apply(&mut self, call: &Call) {
        self.calls += 1;
        self.now += 1;
        let at = self.at();
        let transaction: TransactionId = format!("{:064x}", self.calls).parse().unwrap();
        match call.clone() {
            Call::Grant { by, patient, consent, grantee, scope, purpose, hours, effect } => {
                let (patient, consent): (MemberId, ConsentId) = (id(patient), id(&format!("c{consent}")));
                let until = LedgerTime::from_milliseconds(at.milliseconds() + (hours * HOUR).unsigned_abs());
                let terms = Terms::new(grantee, scope, [purpose].into(), None, Some(until), effect).unwrap();
                let links: Vec<Link> = self.links.values().cloned().collect();
                let (member, organisation) = match terms.grantee() {
                    Grantee::Member(member) => (self.members.get(member).cloned(), None),
                    Grantee::Organisation(msp_id) => {
                        (None, Some(organisation(msp_id.as_str(), OrganisationKind::Payer)))
                    }
                    _ => (None, None),
                };
                let state = GrantState {
                    existing: self.consents.get(&(patient.clone(), consent.clone())),
                    grantee: GranteeState { member: member.as_ref(), organisation: organisation.as_ref(), group: None },
                    links: &links,
                    delegation: self.delegations.get(&patient),
                };
                let book = self.books.get(&patient).cloned().unwrap_or_default();
                if let Ok(Outcome::Decided((granted, book), _)) =
                    decide_grant(&self.caller(by), &patient, state, book, consent.clone(), terms, at)
                {
                    self.consents.insert((patient.clone(), consent), granted);
                    self.books.insert(patient, book);
                }
            }
            Call::Revoke { by, patient, consent } => {
                let (patient, consent): (MemberId, ConsentId) = (id(patient), id(&format!("c{consent}")));
                let state = RevocationState {
                    existing: self.consents.get(&(patient.clone(), consent.clone())).cloned(),
                    book: self.books.get(&patient).cloned().unwrap_or_default(),
                    links: self.links.values().cloned().collect(),
                    delegation: self.delegations.get(&patient).cloned(),
                };
                if let Ok(Outcome::Decided((revoked, book), _)) =
                    decide_revocation(&self.caller(by), &patient, state, at)
                {
                    self.consents.insert((patient.clone(), consent), revoked);
                    self.books.insert(patient, book);
                }
            }
            Call::Delegate { patient, powers, category, hours } => {
                let patient: MemberId = id(patient);
                let new = NewDelegation {
                    id: id(&format!("d{}", self.calls)),
                    patient: patient.clone(),
                    guardian: id("gina"),
                    powers,
                    categories: [category].into(),
                    from: None,
                    until: LedgerTime::from_milliseconds(at.milliseconds() + (hours * HOUR).unsigned_abs()),
                };
                let existing = self.delegations.get(&patient).cloned();
                let decided =
                    decide_delegation(&self.caller(patient.as_str()), self.members.get(&id("gina")), existing, new, at);
                if let Ok(Outcome::Decided(delegation, _)) = decided {
                    self.delegations.insert(patient, delegation);
                }
            }
            Call::End { patient } => {
                let existing = self.delegations.get(&id(patient)).cloned();
                let decided = delegation::decide_end(&self.caller(patient), existing, at);
                if let Ok(Outcome::Decided(delegation, _)) = decided {
                    self.delegations.insert(id(patient), delegation);
                }
            }
            Call::Suspend { whom } => {
                let found = self.members.get(&id(whom)).cloned();
                if let Ok(Outcome::Decided(member, _)) =
                    decide_suspension(&self.administrator_of(whom), found, id("left"), at)
                {
                    self.members.insert(id(whom), member);
                }
            }
            Call::Reinstate { whom } => {
                let found = self.members.get(&id(whom)).cloned();
                if let Ok(Outcome::Decided(member, _)) = decide_reinstatement(&self.administrator_of(whom), found) {
                    self.members.insert(id(whom), member);
                }
            }
            Call::Withdraw { link } => {
                let link: LinkId = id(&format!("l{link}"));
                let found = self.links.get(&link).cloned();
                let decided = decide_withdrawal(&self.caller("carol"), found, None, None, id("wrong"), at);
                if let Ok(Outcome::Decided(withdrawn, _)) = decided {
                    self.links.insert(link, withdrawn);
                }
            }
            Call::Declare { by, patient } => {
                let declaration = Declaration { transaction, reason: id("unconscious"), hours: Some(2) };
                let docket = self.dockets.get(&id(by)).cloned().unwrap_or_default();
                let settings = Settings::default();
                let found = self.members.get(&id(patient));
                if let Ok(((emergency, docket), _)) =
                    decide_declaration(&self.caller(by), found, docket, &settings, declaration, at)
                {
                    self.emergencies.push(emergency);
                    self.dockets.insert(id(by), docket);
                }
            }
            Call::Review { emergency } => {
                let Some(found) = self.emergencies.get(emergency).cloned() else { return };
                let docket = self.dockets.get(&found.clinician).cloned().unwrap_or_default();
                let clinician = found.clinician.clone();
                let decided = decide_review(
                    &self.caller("pam"),
                    Some(found),
                    docket,
                    emergency::Finding::Justified,
                    id("seen"),
                    at,
                );
                if let Ok(Outcome::Decided((reviewed, docket), _)) = decided {
                    self.emergencies[emergency] = reviewed;
                    self.dockets.insert(clinician, docket);
                }
            }
            Call::Withhold { from, is_withheld } => {
                let groups = if is_withheld {
                    let withholds = [Permission::OpenLink, Permission::DeclareEmergency].into();
                    [(id("watched"), Privileges { level: 5, grants: BTreeSet::new(), withholds })].into()
                } else {
                    Groups::new()
                };
                if let Some(member) = self.members.get_mut(&id(from)) {
                    member.groups = groups;
                }
            }
            Call::Open { by, link, purpose, emergency } => {
                let link = self.links[&id(&format!("l{link}"))].clone();
                let emergency = emergency.filter(|number| *number < self.emergencies.len());
                let grounds = self.grounds(&link, by, emergency);
                let (opening, _) = decide_opening(&self.caller(by), &link, &grounds, purpose, transaction, at).unwrap();
                self.openings.push((opening, grounds, self.actor(by), link));
            }
            Call::Wait { hours } => self.now += hours * HOUR,
        }
    }

    fn administrator_of(&self, whom: &str) -> Caller {
        let organisation = self.actor(whom).organisation;
        caller_of(organisation, "admin", Role::Administrator)
    }

    /// Whether a consent that still stands as the history tells, of this effect, names opener, record and purpose now.
    fn stands(&self, terms_of: &Consent, actor: &Actor, link: &Link, purpose: Purpose, effect: Effect) -> bool {
        let terms = &terms_of.terms;
        let names = match terms.grantee() {
            Grantee::Member(member) => *member == actor.member.id,
            Grantee::Organisation(msp_id) => *msp_id == actor.organisation.msp_id,
            Grantee::Role(role) => *role == actor.member.role,
            Grantee::Group(_) => false,
        };
        let covers = match terms.scope() {
            Scope::Categories(categories) => categories.contains(&link.category),
            Scope::Links(links) => links.contains(&link.id),
        };
        terms_of.patient == link.patient
            && terms_of.state == ConsentState::Granted
            && terms.effect() == effect
            && terms.purposes().contains(&purpose)
            && until(terms).is_some_and(|until| self.at().milliseconds() < until)
            && names
            && covers
    }

    /// What must hold of the last opening.
    fn check_opening(&self) -> Result<(), TestCaseError> {
        let Some((opening, grounds, actor, link)) = self.openings.last() else { return Ok(()) };
        let any =
            |effect| self.consents.values().any(|consent| self.stands(consent, actor, link, opening.purpose, effect));
        let is_patient = link.patient == actor.member.id;
        let Decision::Permitted { provision, .. } = &opening.decision else {
            let is_own = is_patient && opening.purpose == Purpose::Personal;
            let is_free = actor.member.standing == Standing::Active && link.state == LinkState::Active;
            prop_assert!(!(is_own && is_free), "patients open their own records");
            return Ok(());
        };
        prop_assert_eq!(&actor.member.standing, &Standing::Active);
        prop_assert_eq!(&link.state, &LinkState::Active);
        let is_watched = !actor.member.groups.is_empty();
        prop_assert!(!is_watched || *provision == Provision::Rule(Rule::OwnAccess), "a group withholds it");
        match provision {
            Provision::Rule(Rule::OwnAccess) => prop_assert!(is_patient && opening.purpose == Purpose::Personal),
            Provision::Rule(Rule::DirectTreatment | Rule::PharmacyTreatment) => {
                prop_assert!(opening.purpose == Purpose::Treatment && link.category != Category::Restricted);
                prop_assert!(!any(Effect::Deny), "a denial wins");
            }
            Provision::Consent(consent) => {
                let consent = &self.consents[&(link.patient.clone(), consent.clone())];
                prop_assert!(self.stands(consent, actor, link, opening.purpose, Effect::Permit));
                prop_assert!(!any(Effect::Deny), "a denial wins");
            }
            Provision::Delegation(delegation) => {
                let found = &self.delegations[&link.patient];
                prop_assert!(found.id == *delegation && found.state == DelegationState::Granted);
                prop_assert!(found.powers.contains(&Power::Open) && found.categories.contains(&link.category));
                prop_assert!(self.at() < found.until && actor.member.id == id("gina"));
                prop_assert!(!any(Effect::Deny), "a denial wins");
            }
            Provision::Emergency(emergency) => {
                let found = self.emergencies.iter().find(|found| found.id == *emergency).unwrap();
                prop_assert!(found.clinician == actor.member.id && found.patient == link.patient);
                prop_assert!(self.at() < found.until && opening.purpose == Purpose::Treatment);
                prop_assert!(!grounds.docket.open.values().any(|due| *due <= self.at()), "a review is overdue");
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn nothing_opens_in_any_history_without_what_allows_it(history in history()) {
        let mut ledger = Ledger::new();
        for call in &history {
            let before = ledger.openings.len();
            ledger.apply(call);
            if ledger.openings.len() > before {
                ledger.check_opening()?;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_was_decided_never_changes_and_is_decided_again_alike(history in history()) {
        let mut ledger = Ledger::new();
        let mut past = Vec::new();
        for call in &history {
            ledger.apply(call);
            prop_assert_eq!(&ledger.openings[..past.len()], &past[..]);
            past.clone_from(&ledger.openings);
        }
        for (opening, grounds, actor, link) in &ledger.openings {
            let caller = Caller::Member(Box::new(actor.clone()));
            let again =
                decide_opening(&caller, link, grounds, opening.purpose, opening.transaction.clone(), opening.time);
            prop_assert_eq!(&again.unwrap().0, opening);
        }
    }

    #[test]
    fn calls_about_different_patients_end_alike_in_any_order(history in history()) {
        let about = |patient: &str| history.iter().filter(move |call| is_about(call, patient)).cloned().collect::<Vec<_>>();
        let [alices, bobs] = PATIENTS.map(about);
        let run = |first: &[Call], second: &[Call]| {
            let mut ledger = Ledger::new();
            first.iter().chain(second).for_each(|call| ledger.apply(call));
            let states: BTreeMap<_, _> = ledger
                .consents
                .into_iter()
                .map(|(key, consent)| (key, (consent.terms.effect(), consent.terms.scope().clone(), std::mem::discriminant(&consent.state))))
                .collect();
            (states, ledger.links.into_values().map(|link| link.state == LinkState::Active).collect::<Vec<_>>())
        };
        prop_assert_eq!(run(&alices, &bobs), run(&bobs, &alices));
    }
}

/// The end of a consent, as its JSON tells.
fn until(terms: &Terms) -> Option<u64> {
    serde_json::to_value(terms).unwrap()["until"].as_u64()
}

/// Whether a call changes this patient's affairs and nobody else's.
fn is_about(call: &Call, name: &str) -> bool {
    match call {
        Call::Grant { by, patient, scope: Scope::Categories(_), .. } => by == patient && *patient == name,
        Call::Revoke { by, patient, .. } => by == patient && *patient == name,
        Call::Withdraw { link } => PATIENTS[usize::from(*link) / 3] == name,
        _ => false,
    }
}
