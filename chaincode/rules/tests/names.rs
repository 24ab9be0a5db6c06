//! Names on the wire: what the code calls a thing is what serde writes, and the lists leave nothing out.

#![allow(clippy::unwrap_used)] // In helpers of tests, too.

mod support;

use std::fmt::Display;

use healthchain_rules::*;
use schemars::{JsonSchema, schema_for};
use serde::Serialize;
use support::*;

/// The names that serde takes for a type, from its schema.
fn names_of<T: JsonSchema>() -> Vec<String> {
    let schema = serde_json::to_value(schema_for!(T)).unwrap();
    let plain = schema["enum"].as_array().cloned().unwrap_or_default();
    let documented = schema["oneOf"].as_array().cloned().unwrap_or_default();
    let names = documented.into_iter().map(|variant| variant["const"].clone()).chain(plain);
    names.map(|name| name.as_str().unwrap().to_owned()).collect()
}

fn lists_all<T: JsonSchema + Serialize>(all: &[T]) {
    let listed: Vec<String> =
        all.iter().map(|one| serde_json::to_value(one).unwrap().as_str().unwrap().to_owned()).collect();
    assert_eq!(listed, names_of::<T>());
}

fn is_called_as_written<T: Serialize + Display>(all: &[T]) {
    for one in all {
        assert_eq!(serde_json::to_value(one).unwrap(), one.to_string());
    }
}

#[test]
fn the_lists_leave_nothing_out() {
    lists_all(&Role::ALL);
    lists_all(&Permission::ALL);
    lists_all(&Purpose::ALL);
    lists_all(&Category::ALL);
    lists_all(&OrganisationKind::ALL);
    lists_all(&RefusalCode::ALL);
}

#[test]
fn names_in_code_and_on_the_wire_are_the_same() {
    is_called_as_written(&Role::ALL);
    is_called_as_written(&Purpose::ALL);
    is_called_as_written(&Category::ALL);
    is_called_as_written(&RefusalCode::ALL);
    for name in names_of::<Denial>() {
        let denial: Denial = serde_json::from_value(name.clone().into()).unwrap();
        assert_eq!(denial.as_str(), name);
    }
}

#[test]
fn an_events_name_is_its_tag() {
    let (member, organisation): (MemberId, MspId) = (id("alice"), id("hospital"));
    let (link, opening, consent): (LinkId, TransactionId, ConsentId) = (id("l1"), hash("t"), id("c1"));
    let (patient, opener, publisher) = (member.clone(), member.clone(), organisation.clone());
    let holder = Holder::Member(member.clone());
    let wanted = Some(Recipient { holder: holder.clone(), key: key("alice") });
    let events = [
        LedgerEvent::OrganisationsFounded { organisations: vec![organisation.clone()] },
        LedgerEvent::OrganisationEntered { organisation: organisation.clone() },
        LedgerEvent::MemberRegistered {
            member: member.clone(),
            organisation: organisation.clone(),
            role: Role::Patient,
        },
        LedgerEvent::MemberSuspended { member: member.clone(), organisation: organisation.clone() },
        LedgerEvent::MemberReinstated { member: member.clone(), organisation: organisation.clone() },
        LedgerEvent::LinkPublished {
            link: link.clone(),
            version: 1,
            category: Category::Summary,
            patient: patient.clone(),
            publisher: publisher.clone(),
        },
        LedgerEvent::LinkWithdrawn { link: link.clone(), publisher: publisher.clone() },
        LedgerEvent::LinkOpened {
            opening: opening.clone(),
            link: link.clone(),
            version: 1,
            category: Category::Summary,
            publisher,
            patient: patient.clone(),
            opener: opener.clone(),
            organisation: organisation.clone(),
            wanted,
        },
        LedgerEvent::OpeningDenied {
            opening: opening.clone(),
            link: link.clone(),
            patient: patient.clone(),
            opener,
            organisation,
        },
        LedgerEvent::EnvelopeAdded { opening, link, holder },
        LedgerEvent::ConsentGranted { consent: consent.clone(), patient: patient.clone() },
        LedgerEvent::ConsentRevoked { consent, patient },
    ];
    let schema = serde_json::to_value(schema_for!(LedgerEvent)).unwrap();
    assert_eq!(events.len(), schema["oneOf"].as_array().unwrap().len());
    for event in events {
        let json = serde_json::to_value(&event).unwrap();
        assert_eq!(json["type"], event.name());
        assert_eq!(serde_json::from_value::<LedgerEvent>(json).unwrap(), event);
    }
}
