//! What must hold whatever the patient consented to and whoever asks.

use crate::support::*;
use healthchain_rules::consent::{RevocationState, decide_revocation};
use healthchain_rules::*;
use proptest::prelude::*;

const LINKS: [&str; 2] = ["l1", "l2"];
const GROUPS: [&str; 2] = ["g1", "g2"];

pub(crate) fn purpose() -> impl Strategy<Value = Purpose> {
    prop::sample::select(Purpose::ALL.to_vec())
}

pub(crate) fn category() -> impl Strategy<Value = Category> {
    prop::sample::select(Category::ALL.to_vec())
}

fn role() -> impl Strategy<Value = Role> {
    prop::sample::select(Role::ALL.to_vec())
}

fn grantee() -> impl Strategy<Value = Grantee> {
    prop_oneof![
        prop::sample::select(vec!["m1", "m2"]).prop_map(|name| Grantee::Member(id(name))),
        prop::sample::select(vec!["hospital", "payer", "pharmacy", "patients"])
            .prop_map(|name| Grantee::Organisation(id(name))),
        role().prop_map(Grantee::Role),
        prop::sample::select(GROUPS.to_vec()).prop_map(|name| Grantee::Group(id(name))),
    ]
}

fn scope() -> impl Strategy<Value = Scope> {
    prop_oneof![
        prop::collection::btree_set(category(), 1..5).prop_map(Scope::Categories),
        prop::sample::subsequence(LINKS.to_vec(), 1..=2).prop_map(|links| only(&links)),
    ]
}

fn some_terms() -> impl Strategy<Value = Terms> {
    let effect = prop::sample::select(vec![Effect::Permit, Effect::Deny]);
    (grantee(), scope(), prop::collection::btree_set(purpose(), 1..4), -20i64..20, 1i64..20, effect).prop_map(
        |(grantee, scope, purposes, from, length, effect)| {
            let until = Some(at((from + length).max(1)));
            Terms::new(grantee, scope, purposes, Some(at(from)), until, effect).unwrap()
        },
    )
}

pub(crate) fn consents() -> impl Strategy<Value = Vec<Terms>> {
    prop::collection::vec(some_terms(), 0..8)
}

pub(crate) fn book(consents: &[Terms]) -> ConsentBook {
    let named: Vec<String> = (0..consents.len()).map(|n| format!("c{n}")).collect();
    let named: Vec<(&str, Terms)> = named.iter().map(String::as_str).zip(consents.iter().cloned()).collect();
    book_of(&named)
}

pub(crate) fn caller_strategy() -> impl Strategy<Value = Caller> {
    let groups = prop::sample::subsequence(GROUPS.to_vec(), 0..=2);
    (prop::sample::select(vec!["m1", "m2", "m3"]), role(), groups).prop_map(|(name, role, groups)| {
        let mut actor = actor(name, role);
        actor.member.groups = groups.into_iter().map(|name| (id(name), group(name).privileges)).collect();
        Caller::Member(Box::new(actor))
    })
}

fn is_named(terms: &Terms, caller: &Caller, link: &Link, purpose: Purpose) -> bool {
    let actor = caller.member().unwrap();
    let names_caller = match terms.grantee() {
        Grantee::Member(member) => *member == actor.member.id,
        Grantee::Organisation(organisation) => *organisation == actor.organisation.msp_id,
        Grantee::Role(role) => *role == actor.member.role,
        Grantee::Group(group) => actor.member.groups.contains_key(group),
    };
    let names_link = match terms.scope() {
        Scope::Categories(categories) => categories.contains(&link.category),
        Scope::Links(links) => links.contains(&link.id),
    };
    names_caller && names_link && terms.purposes().contains(&purpose)
}

fn standing(consent: Consent, book: ConsentBook) -> RevocationState {
    RevocationState { existing: Some(consent), book, ..Default::default() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn nothing_opens_without_a_provision_that_covers_it(
        consents in consents(), caller in caller_strategy(), category in category(), purpose in purpose(), when in -30i64..40,
    ) {
        let link = link("l1", category);
        if let Decision::Permitted { provision, .. } = decision(&caller, &link, &book(&consents), purpose, at(when)) {
            match provision {
                Provision::Rule(Rule::OwnAccess) => prop_assert!(caller.is(&link.patient)),
                Provision::Rule(Rule::DirectTreatment) | Provision::Rule(Rule::PharmacyTreatment) => {
                    prop_assert_eq!(purpose, Purpose::Treatment);
                    prop_assert_ne!(category, Category::Restricted);
                    prop_assert!(matches!(caller.member().unwrap().member.role, Role::Clinician | Role::Pharmacist));
                }
                Provision::Delegation(_) | Provision::Emergency(_) => prop_assert!(false, "nobody has any"),
                Provision::Consent(id) => {
                    let terms = &consents[id.as_str()[1..].parse::<usize>().unwrap()];
                    prop_assert_eq!(terms.effect(), Effect::Permit);
                    prop_assert!(is_named(terms, &caller, &link, purpose));
                }
            }
        }
    }

    #[test]
    fn a_denial_in_force_wins_over_any_permission(
        consents in consents(), caller in caller_strategy(), category in category(), purpose in purpose(),
    ) {
        let link = link("l1", category);
        let deny = terms(Grantee::Organisation(caller.organisation().msp_id.clone()), everything(), &Purpose::ALL, Effect::Deny);
        let with_denial = [consents, vec![deny]].concat();
        prop_assert!(!decision(&caller, &link, &book(&with_denial), purpose, NOW).is_permitted());
    }

    #[test]
    fn a_revoked_permission_permits_nothing_from_that_moment(
        consents in consents(), caller in caller_strategy(), category in category(), purpose in purpose(),
    ) {
        let link = link("l1", category);
        let mut book = book(&consents);
        while let Decision::Permitted { provision: Provision::Consent(id), .. } = decision(&caller, &link, &book, purpose, NOW) {
            let consent = book.standing(&"alice".parse().unwrap(), NOW).into_iter().find(|consent| consent.id == id).unwrap();
            let revoked = decide_revocation(&alice(), &"alice".parse().unwrap(), standing(consent, book.clone()), NOW);
            let Ok(Outcome::Decided((_, without), _)) = revoked else { panic!("not revoked") };
            prop_assert_ne!(&without, &book);
            book = without;
        }
    }

    #[test]
    fn a_suspended_member_opens_nothing(
        consents in consents(), caller in caller_strategy(), category in category(), purpose in purpose(),
    ) {
        let decided = decision(&suspended(caller), &link("l1", category), &book(&consents), purpose, NOW);
        prop_assert_eq!(denial(decided), Denial::MemberSuspended);
    }

    #[test]
    fn the_patients_own_access_never_depends_on_consents(consents in consents(), category in category()) {
        let decided = decision(&alice(), &link("l1", category), &book(&consents), Purpose::Personal, NOW);
        prop_assert_eq!(provision(decided), Provision::Rule(Rule::OwnAccess));
    }

    #[test]
    fn replaying_a_decision_gives_the_same_answer_also_from_stored_state(
        consents in consents(), caller in caller_strategy(), category in category(), purpose in purpose(), when in -30i64..40,
    ) {
        let link = link("l1", category);
        let book = book(&consents);
        let stored: ConsentBook = serde_json::from_str(&serde_json::to_string(&book).unwrap()).unwrap();
        let once = decision(&caller, &link, &book, purpose, at(when));
        prop_assert_eq!(&once, &decision(&caller, &link, &stored, purpose, at(when)));
        let read: Decision = serde_json::from_str(&serde_json::to_string(&once).unwrap()).unwrap();
        prop_assert_eq!(once, read);
    }

    /// But for groups and links that consents name: for them an envelope is sealed at the first opening.
    #[test]
    fn whoever_is_permitted_is_among_the_recipients_at_publication(
        consents in consents(), caller in caller_strategy(), category in category(), purpose in purpose(),
    ) {
        let consents: Vec<Terms> =
            consents.into_iter().filter(|terms| matches!(terms.scope(), Scope::Categories(_)) && !matches!(terms.grantee(), Grantee::Group(_))).collect();
        let book = book(&consents);
        let actor = caller.member().unwrap();
        let patient = member_of(&home(Role::Patient), "alice", Role::Patient);
        let organisations = [hospital(), actor.organisation.clone()];
        let members = [actor.member.clone()];
        let found = envelope::recipients(&hospital(), &patient, &organisations, &members, category, &on(&book), NOW);
        if let Decision::Permitted { recipient, .. } = decision(&caller, &link("l3", category), &book, purpose, NOW) {
            prop_assert!(found.contains(&recipient));
        }
    }
}
