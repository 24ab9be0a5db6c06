//! The rights floor: no subscription changes what the patient has, what is opened for treatment, or in an emergency (45 CFR 164.524,
//! 45 CFR 171). To third parties a lapse does exactly what it says.

use crate::properties::{book, caller_strategy, category, consents, purpose};
use crate::subscriptions::{DAY, running};
use crate::support::*;
use healthchain_rules::envelope::recipients;
use healthchain_rules::opening::decide_opening;
use healthchain_rules::*;
use proptest::prelude::*;

/// Whether subscriptions are required, and the patient's: none, running, in its grace, or lapsed.
fn subscriptions() -> impl Strategy<Value = (bool, Option<Subscription>)> {
    let subscription =
        (-3i64..3, 0i64..3, any::<bool>(), any::<bool>()).prop_map(|(until, grace, instant, patient)| {
            let payer = if patient { Payer::Patient } else { Payer::Organisation(id("payer")) };
            let features = Features { instant_release: instant, ..Features::default() };
            Subscription { until: at(until), grace_until: at(until + grace), features, ..running(payer) }
        });
    (any::<bool>(), prop::option::of(subscription))
}

fn emergency(clinician: &Caller) -> Emergency {
    let Caller::Member(actor) = clinician else { panic!("no member") };
    Emergency {
        id: hash("emergency"),
        patient: id("alice"),
        clinician: actor.member.id.clone(),
        organisation: actor.organisation.msp_id.clone(),
        reason: id("unconscious"),
        at: at(-1),
        until: at(1),
        review_due: at(DAY),
        state: EmergencyState::Open,
    }
}

/// What alice lets m1 do.
fn delegation() -> Delegation {
    Delegation { guardian: id("m1"), ..crate::subscriptions::delegation(&[Power::Open]) }
}

fn decided(caller: &Caller, link: &Link, grounds: &Grounds, purpose: Purpose) -> Decision {
    decide_opening(caller, link, grounds, purpose, hash("transaction"), NOW).unwrap().0.decision
}

fn with(grounds: &Grounds, (required, subscription): &(bool, Option<Subscription>)) -> Grounds {
    let settings = Settings { subscription_required: *required, ..grounds.settings.clone() };
    Grounds { settings, subscription: subscription.clone(), ..grounds.clone() }
}

fn is_third_party(caller: &Caller, link: &Link, purpose: Purpose) -> bool {
    !matches!(purpose, Purpose::Treatment | Purpose::Personal) && caller.organisation().msp_id != link.publisher
}

fn names(recipients: &[Recipient]) -> Vec<&Holder> {
    recipients.iter().map(|recipient| &recipient.holder).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn no_subscription_changes_what_the_patient_has_nor_treatment_nor_an_emergency(
        consents in consents(), caller in caller_strategy(), category in category(), purpose in purpose(),
        subscription in subscriptions(), claimed in any::<bool>(), delegated in any::<bool>(), elsewhere in any::<bool>(),
    ) {
        let publisher = id(if elsewhere { "clinic" } else { "hospital" });
        let link = Link { publisher, ..link("l1", category) };
        let without = Grounds {
            book: book(&consents),
            emergency: claimed.then(|| emergency(&caller)),
            delegation: delegated.then(delegation),
            ..Grounds::default()
        };
        let with = with(&without, &subscription);
        let own = (decided(&alice(), &link, &without, Purpose::Personal), decided(&alice(), &link, &with, Purpose::Personal));
        prop_assert!(own.0.is_permitted());
        prop_assert_eq!(own.0, own.1);
        let treated = Purpose::Treatment;
        prop_assert_eq!(decided(&caller, &link, &with, treated), decided(&caller, &link, &without, treated));
        if claimed || !is_third_party(&caller, &link, purpose) {
            prop_assert_eq!(decided(&caller, &link, &with, purpose), decided(&caller, &link, &without, purpose));
        }
    }

    #[test]
    fn a_lapse_takes_from_third_parties_what_consents_permit_and_nothing_else(
        consents in consents(), caller in caller_strategy(), category in category(), purpose in purpose(),
        subscription in subscriptions(),
    ) {
        let link = Link { publisher: id("clinic"), ..link("l1", category) };
        let without = Grounds { book: book(&consents), ..Grounds::default() };
        let before = decided(&caller, &link, &without, purpose);
        let after = decided(&caller, &link, &with(&without, &subscription), purpose);
        let (required, found) = &subscription;
        let has_lapsed = found.as_ref().is_none_or(|found| found.grace_until <= NOW)
            && (*required || found.as_ref().is_some_and(|found| found.payer == Payer::Patient));
        if has_lapsed && is_third_party(&caller, &link, purpose) && before.is_permitted() {
            prop_assert_eq!(denial(after), Denial::SubscriptionLapsed);
        } else {
            prop_assert_eq!(after, before);
        }
    }

    #[test]
    fn who_treats_the_patient_is_sealed_to_at_publication_whatever_the_subscription(
        consents in consents(), category in category(), subscription in subscriptions(),
    ) {
        let organisations = [hospital(), clinic(), home(Role::PayerOfficer), home(Role::Pharmacist), home(Role::Analyst)];
        let members = [member_of(&home(Role::PayerOfficer), "m1", Role::PayerOfficer), member_of(&clinic(), "m2", Role::Clinician)];
        let alice = member_of(&home(Role::Patient), "alice", Role::Patient);
        let sealed_to = |grounds: &Grounds| {
            recipients(&hospital(), &alice, &organisations, &members, category, grounds, NOW)
        };
        let grounds = Grounds { book: book(&consents), ..Grounds::default() };
        let (least, all) = (sealed_to(&with(&grounds, &(true, None))), sealed_to(&grounds));
        let found = sealed_to(&with(&grounds, &subscription));
        let (required, subscription) = subscription;
        let counts = |found: &Subscription| required || found.payer == Payer::Patient;
        let has_lapsed = subscription.as_ref().is_some_and(|found| counts(found) && found.grace_until <= NOW);
        let is_instant = !required || subscription.is_some_and(|subscription| subscription.features.instant_release);
        prop_assert_eq!(names(&found), names(if is_instant && !has_lapsed { &all } else { &least }));
        prop_assert!(names(&least).iter().all(|holder| names(&all).contains(holder)));
        prop_assert!(names(&least).contains(&&Holder::Member(id("alice"))));
    }
}

/// Alice permits the payer everything for payment; it asks for what the hospital published.
fn to_payer(settings: Settings, subscription: Option<Subscription>, when: LedgerTime) -> Decision {
    let permit = terms(Grantee::Organisation(id("payer")), everything(), &[Purpose::Payment], Effect::Permit);
    let grounds = Grounds { book: book_of(&[("c1", permit)]), settings, subscription, ..Grounds::default() };
    let pia = caller("pia", Role::PayerOfficer);
    decide_opening(&pia, &link("l1", Category::Claim), &grounds, Purpose::Payment, hash("t"), when).unwrap().0.decision
}

#[test]
fn a_payer_is_denied_from_the_moment_that_the_grace_ends() {
    let opened = |when| to_payer(Settings::default(), Some(running(Payer::Patient)), when);
    assert!(opened(at(20 * DAY)).is_permitted(), "in grace");
    assert!(opened(at(27 * DAY - 1)).is_permitted(), "its last moment");
    assert_eq!(denial(opened(at(27 * DAY))), Denial::SubscriptionLapsed);
}

#[test]
fn without_a_subscription_a_payer_is_denied_only_where_one_is_required() {
    let required = Settings { subscription_required: true, ..Settings::default() };
    assert!(to_payer(Settings::default(), None, NOW).is_permitted());
    assert_eq!(denial(to_payer(required.clone(), None, NOW)), Denial::SubscriptionLapsed);
    assert!(to_payer(required, Some(running(Payer::Patient)), NOW).is_permitted());
}

/// Found by review: a payer bought a patient one short period unasked, and after its lapse all other third parties were locked out.
#[test]
fn a_lapse_of_what_an_organisation_paid_for_counts_only_where_a_subscription_is_required() {
    let required = Settings { subscription_required: true, ..Settings::default() };
    for payer in ["payer", "insurer"] {
        let paid = || Some(running(Payer::Organisation(id(payer))));
        assert!(to_payer(Settings::default(), paid(), at(27 * DAY)).is_permitted(), "{payer}");
        assert!(to_payer(required.clone(), paid(), at(27 * DAY - 1)).is_permitted(), "{payer}");
        assert_eq!(denial(to_payer(required.clone(), paid(), at(27 * DAY))), Denial::SubscriptionLapsed, "{payer}");
    }
}
