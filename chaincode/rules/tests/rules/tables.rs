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

fn answers(opener: &Actor, purpose: Purpose, consents: &str) -> String {
    let grantee = || Grantee::Organisation(opener.organisation.msp_id.clone());
    let given: Vec<(&str, Terms)> = [("permit", Effect::Permit), ("deny", Effect::Deny)]
        .into_iter()
        .filter(|(name, _)| *name == consents || consents == "both")
        .map(|(name, effect)| (name, terms(grantee(), everything(), &Purpose::ALL, effect)))
        .collect();
    let book = book_of(&given);
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
