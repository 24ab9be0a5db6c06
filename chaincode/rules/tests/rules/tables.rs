//! The policy as printed tables: a change of policy is a change of these files.

use std::fmt::Write as _;

use crate::support::*;
use healthchain_rules::entitlement::{Entitlement, KeyOf, entitlement};
use healthchain_rules::*;

#[test]
fn every_role_and_permission() {
    let mut table = format!("{:<26}", "");
    for role in Role::ALL {
        write!(table, "{role:<17}").unwrap();
    }
    table = format!("{}\n", table.trim_end());
    for permission in Permission::ALL {
        let name = serde_json::to_value(permission).unwrap();
        let answers = Role::ALL.map(|role| if role.may(permission) { "yes" } else { "-" });
        let row =
            answers.iter().fold(format!("{:<26}", name.as_str().unwrap()), |row, answer| format!("{row}{answer:<17}"));
        writeln!(table, "{}", row.trim_end()).unwrap();
    }
    insta::assert_snapshot!(table);
}

#[test]
fn every_role_and_kind_of_organisation() {
    let mut table = String::new();
    for role in Role::ALL {
        let kinds = OrganisationKind::ALL.into_iter().filter(|kind| role.belongs_in(*kind));
        let names: Vec<String> =
            kinds.map(|kind| serde_json::to_value(kind).unwrap().as_str().unwrap().to_owned()).collect();
        writeln!(table, "{role:<16}{}", names.join(", ")).unwrap();
    }
    insta::assert_snapshot!(table);
}

/// Rows: role, purpose, and which consents the patient gave to the opener's organisation; columns: category.
#[test]
fn every_role_purpose_category_and_consent() {
    let mut table = format!("{:<16}{:<15}{:<9}", "role", "purpose", "consents");
    for category in Category::ALL {
        write!(table, "{category:<16}").unwrap();
    }
    table = format!("{}\n", table.trim_end());
    let others = Role::ALL.map(|role| (role.as_str(), actor("opener", role)));
    for (name, opener) in std::iter::once(("(the patient)", actor("alice", Role::Patient))).chain(others) {
        for purpose in Purpose::ALL {
            let rows =
                ["none", "permit", "deny", "both"].map(|consents| (consents, answers(&opener, purpose, consents)));
            if rows.iter().all(|(_, row)| *row == rows[0].1) {
                writeln!(table, "{name:<16}{purpose:<15}{:<9}{}", "any", rows[0].1).unwrap();
            } else {
                for (consents, row) in rows {
                    writeln!(table, "{name:<16}{purpose:<15}{consents:<9}{row}").unwrap();
                }
            }
        }
    }
    insta::assert_snapshot!(table);
}

/// Rows: role, purpose, and which consents the patient gave to the opener's organisation; columns: what else the decision rests on, for a
/// summary and a restricted record.
#[test]
fn every_role_purpose_and_ground() {
    let mut table = format!("{:<16}{:<15}{:<9}", "role", "purpose", "consents");
    for (ground, _) in grounds("opener", &ConsentBook::default()) {
        write!(table, "{ground:<24}{:<24}", "… restricted").unwrap();
    }
    table = format!("{}\n", table.trim_end());
    let others = Role::ALL.map(|role| (role.as_str(), actor("opener", role)));
    for (name, opener) in std::iter::once(("(the patient)", actor("alice", Role::Patient))).chain(others) {
        for purpose in Purpose::ALL {
            let rows = ["none", "permit", "deny"].map(|consents| (consents, answers_on(&opener, purpose, consents)));
            if rows.iter().all(|(_, row)| *row == rows[0].1) {
                writeln!(table, "{name:<16}{purpose:<15}{:<9}{}", "any", rows[0].1).unwrap();
            } else {
                for (consents, row) in rows {
                    writeln!(table, "{name:<16}{purpose:<15}{consents:<9}{row}").unwrap();
                }
            }
        }
    }
    insta::assert_snapshot!(table);
}

/// The exception of 45 CFR 171 that each denial claims.
#[test]
fn every_denial_and_exception() {
    let schema = serde_json::to_value(schemars::schema_for!(Denial)).unwrap();
    let mut table = String::new();
    for name in schema["oneOf"].as_array().unwrap().iter().map(|variant| variant["const"].clone()) {
        let denial: Denial = serde_json::from_value(name).unwrap();
        let exception = serde_json::to_value(denial.exception()).unwrap();
        writeln!(table, "{:<26}{}", denial.as_str(), exception.as_str().unwrap()).unwrap();
    }
    insta::assert_snapshot!(table);
}

fn answers_on(opener: &Actor, purpose: Purpose, consents: &str) -> String {
    let mut row = String::new();
    for (_, grounds) in grounds(opener.member.id.as_str(), &book_for(opener, consents)) {
        for category in [Category::Summary, Category::Restricted] {
            let (patient, publisher) = (id("alice"), id("publisher"));
            let wanted = consent::Wanted { link: None, category, patient: &patient, publisher: Some(&publisher) };
            write!(row, "{:<24}", short(&entitlement(opener.subject(), wanted, &grounds, purpose, NOW))).unwrap();
        }
    }
    row.trim_end().to_owned()
}

/// What a decision rests on beside the consents, by name. Whatever the opener is, it claims to have declared the emergency, and to be the
/// patient's guardian.
fn grounds(opener: &str, book: &ConsentBook) -> [(&'static str, Grounds); 5] {
    let with_consents = || on(book);
    let missing = Settings { subscription_required: true, ..Settings::default() };
    let emergency = Some(Emergency {
        id: hash("emergency"),
        patient: id("alice"),
        clinician: id(opener),
        organisation: id("hospital"),
        reason: id("unconscious"),
        at: NOW,
        until: at(1),
        review_due: at(1),
        state: EmergencyState::Open,
    });
    let overdue = Docket { open: [(hash("former"), NOW)].into() };
    let delegation = Some(Delegation {
        id: id("d1"),
        patient: id("alice"),
        guardian: id(opener),
        powers: [Power::Open].into(),
        categories: [Category::Summary].into(),
        from: NOW,
        until: at(1),
        state: DelegationState::Granted,
    });
    [
        ("nothing else", with_consents()),
        ("no subscription", Grounds { settings: missing, ..with_consents() }),
        ("delegation: summaries", Grounds { delegation, ..with_consents() }),
        ("emergency", Grounds { emergency: emergency.clone(), ..with_consents() }),
        ("emergency, overdue", Grounds { emergency, docket: overdue, ..with_consents() }),
    ]
}

fn book_for(opener: &Actor, consents: &str) -> ConsentBook {
    let grantee = || Grantee::Organisation(opener.organisation.msp_id.clone());
    let given: Vec<(&str, Terms)> = [("permit", Effect::Permit), ("deny", Effect::Deny)]
        .into_iter()
        .filter(|(name, _)| *name == consents || consents == "both")
        .map(|(name, effect)| (name, terms(grantee(), everything(), &Purpose::ALL, effect)))
        .collect();
    book_of(&given)
}

fn answers(opener: &Actor, purpose: Purpose, consents: &str) -> String {
    let book = book_for(opener, consents);
    let mut row = String::new();
    for category in Category::ALL {
        let wanted = consent::Wanted { link: None, category, patient: &id("alice"), publisher: Some(&id("publisher")) };
        let found = entitlement(opener.subject(), wanted, &on(&book), purpose, NOW);
        write!(row, "{:<16}", short(&found)).unwrap();
    }
    row.trim_end().to_owned()
}

fn short(found: &Entitlement) -> &'static str {
    match found {
        Entitlement::Entitled { provision: Provision::Consent(_), through: KeyOf::Organisation } => "CONSENT",
        Entitlement::Entitled { provision: Provision::Rule(_), through: KeyOf::Organisation } => "DIRECT",
        Entitlement::Entitled { provision: Provision::Emergency(_), .. } => "EMERGENCY",
        Entitlement::Entitled { provision: Provision::Delegation(_), .. } => "GUARDIAN",
        Entitlement::Entitled { through: KeyOf::Member, .. } => "OWN KEY",
        Entitlement::NotEntitled { reason, .. } => match reason {
            Denial::PurposeNotPermitted => "not for role",
            Denial::PatientDenied => "patient denies",
            Denial::ConsentRequired => "no consent",
            other => other.as_str(),
        },
    }
}
