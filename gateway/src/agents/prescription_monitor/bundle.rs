//! What a FHIR bundle (R4) says of visits, and of what was prescribed at them.

use std::collections::{BTreeMap, BTreeSet};

use healthchain_rules::{AtcClass, LinkId, Month};
use serde_json::Value;

use super::codes::Codes;

/// Visits that took place: not planned, cancelled or entered in error.
const VISITED: [&str; 5] = ["arrived", "triaged", "in-progress", "onleave", "finished"];
/// Prescriptions that were made.
const PRESCRIBED: [&str; 4] = ["active", "on-hold", "stopped", "completed"];
/// Intents of a prescription, as against those of a plan.
const ORDERED: [&str; 5] = ["order", "original-order", "reflex-order", "filler-order", "instance-order"];

/// A visit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Visit {
    /// What it is called.
    pub(crate) name: Name,
    /// The month that it began in, as whoever wrote it down reckoned.
    pub(crate) month: Month,
    /// The classes of what was prescribed at it.
    pub(crate) classes: BTreeSet<AtcClass>,
}

/// What a visit of a patient is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Name {
    /// By one of its identifiers, in every record.
    Identifier {
        /// Who gave it.
        system: String,
        /// What it is.
        value: String,
    },
    /// By the address of the resource, in every record.
    Address(String),
    /// In its record only: a `urn:uuid:` may be made anew for each bundle, and `Encounter/1` be another visit's in another one.
    InRecord(String),
}

impl Name {
    /// What tells a visit that this link's record tells of from the patient's other visits.
    pub(crate) fn parts<'a>(&'a self, link: &'a LinkId) -> [&'a str; 3] {
        match self {
            Self::Identifier { system, value } => ["identifier", system, value],
            Self::Address(address) => ["address", address, ""],
            Self::InRecord(reference) => ["record", link.as_str(), reference],
        }
    }
}

/// What was found in a bundle.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// The visits.
    pub(crate) visits: Vec<Visit>,
    /// How many prescriptions have no code that the table knows.
    pub(crate) unmapped: u64,
    /// How many prescriptions belong to no visit of the bundle.
    pub(crate) unattached: u64,
}

/// Reads a bundle; none when it is not one.
pub(crate) fn read(bytes: &[u8], codes: &Codes) -> Option<Found> {
    let bundle: Value = serde_json::from_slice(bytes).ok()?;
    if bundle["resourceType"] != "Bundle" {
        return None;
    }
    let entries = bundle["entry"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut found = Found::default();
    let mut places = BTreeMap::new();
    for entry in entries.iter().filter(|entry| is(entry, "Encounter", &VISITED)) {
        let Some((name, month)) = name(entry).zip(month(&entry["resource"]["period"]["start"])) else { continue };
        places.extend(references(entry).map(|reference| (reference, found.visits.len())));
        found.visits.push(Visit { name, month, classes: BTreeSet::new() });
    }
    let medications = medications(entries);
    for entry in entries.iter().filter(|entry| is(entry, "MedicationRequest", &PRESCRIBED)) {
        let request = &entry["resource"];
        let is_ordered = request["intent"].as_str().is_some_and(|intent| ORDERED.contains(&intent));
        if !is_ordered || request["doNotPerform"] == true {
            continue;
        }
        let classes = classes(request, &medications, codes);
        if classes.is_empty() {
            found.unmapped += 1;
        }
        let visit = request["encounter"]["reference"].as_str().and_then(|reference| places.get(reference));
        match visit.and_then(|place| found.visits.get_mut(*place)) {
            Some(visit) => visit.classes.extend(classes),
            None => found.unattached += 1,
        }
    }
    Some(found)
}

fn is(entry: &Value, kind: &str, states: &[&str]) -> bool {
    let resource = &entry["resource"];
    resource["resourceType"] == kind && resource["status"].as_str().is_some_and(|status| states.contains(&status))
}

/// What a visit is called; none when it is called nothing.
fn name(entry: &Value) -> Option<Name> {
    let identifiers = entry["resource"]["identifier"].as_array().into_iter().flatten();
    let identifiers = identifiers.filter_map(|one| one["system"].as_str().zip(one["value"].as_str()));
    // The same one in whatever order they come.
    if let Some((system, value)) = identifiers.filter(|(system, value)| !system.is_empty() && !value.is_empty()).min() {
        return Some(Name::Identifier { system: system.to_owned(), value: value.to_owned() });
    }
    let reference = references(entry).next()?;
    let is_address = ["http://", "https://"].iter().any(|scheme| reference.starts_with(scheme));
    Some(if is_address { Name::Address(reference) } else { Name::InRecord(reference) })
}

/// The codes of a bundle's medications by what these are referred to as.
fn medications(entries: &[Value]) -> BTreeMap<String, &Value> {
    let mut medications = BTreeMap::new();
    for entry in entries.iter().filter(|entry| entry["resource"]["resourceType"] == "Medication") {
        for reference in references(entry) {
            medications.entry(reference).or_insert(&entry["resource"]["code"]);
        }
    }
    medications
}

/// What a resource of the bundle is referred to as; first the name that it has outside of the bundle, too.
fn references(entry: &Value) -> impl Iterator<Item = String> {
    let resource = &entry["resource"];
    let full = entry["fullUrl"].as_str().map(str::to_owned);
    let relative = resource["resourceType"].as_str().zip(resource["id"].as_str());
    full.into_iter().chain(relative.map(|(kind, id)| format!("{kind}/{id}")))
}

/// The month of a FHIR dateTime, `YYYY-MM…`.
fn month(time: &Value) -> Option<Month> {
    time.as_str()?.get(..7)?.parse().ok()
}

/// The classes of what a request is for, which it names by codes or by a resource of the bundle.
fn classes(request: &Value, medications: &BTreeMap<String, &Value>, codes: &Codes) -> BTreeSet<AtcClass> {
    let reference = request["medicationReference"]["reference"].as_str();
    let medication = reference.and_then(|reference| medications.get(reference)).copied();
    let concepts = [Some(&request["medicationCodeableConcept"]), medication];
    let codings = concepts.into_iter().flatten().filter_map(|concept| concept["coding"].as_array()).flatten();
    codings.filter_map(|coding| codes.class_of(coding["system"].as_str()?, coding["code"].as_str()?)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn encounter(id: &str) -> Value {
        json!({ "fullUrl": format!("urn:uuid:{id}"), "resource": {
            "resourceType": "Encounter", "id": id, "status": "finished", "period": { "start": "2026-03-31T23:30:00-05:00" },
        } })
    }

    fn request(visit: &str, code: &str) -> Value {
        json!({ "resource": {
            "resourceType": "MedicationRequest", "status": "active", "intent": "order", "encounter": { "reference": visit },
            "medicationCodeableConcept": {
                "coding": [{ "system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": code }],
            },
        } })
    }

    fn found(entries: &[Value]) -> Found {
        let bundle = json!({ "resourceType": "Bundle", "type": "collection", "entry": entries });
        read(bundle.to_string().as_bytes(), &Codes::shipped()).unwrap()
    }

    fn class(text: &str) -> AtcClass {
        text.parse().unwrap()
    }

    #[test]
    fn a_prescription_counts_for_its_visit_in_the_month_that_the_visit_began() {
        let amoxicillin = request("urn:uuid:v1", "562251");
        let of_other_form = request("Encounter/v1", "1049221");
        let read = found(&[amoxicillin, encounter("v1"), of_other_form, encounter("v2")]);
        assert_eq!((read.unmapped, read.unattached), (0, 0));
        let [first, second] = read.visits.as_slice() else { panic!("{read:?}") };
        assert_eq!(first.month.to_string(), "2026-03");
        assert_eq!(first.classes, [class("J01CR02"), class("N02AJ17")].into());
        assert!(second.classes.is_empty());
    }

    #[test]
    fn a_drug_may_have_an_atc_code_itself_or_be_a_resource_of_its_own() {
        let mut direct = request("urn:uuid:v1", "");
        direct["resource"]["medicationCodeableConcept"]["coding"][0] =
            json!({ "system": "http://www.whocc.no/atc", "code": "J01FA10" });
        let mut by_reference = request("urn:uuid:v1", "");
        by_reference["resource"]["medicationReference"] = json!({ "reference": "Medication/m1" });
        let medication = json!({ "resource": { "resourceType": "Medication", "id": "m1", "code": {
            "coding": [{ "system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "1049221" }],
        } } });
        let read = found(&[encounter("v1"), direct, by_reference, medication]);
        assert_eq!(read.visits[0].classes, [class("J01FA10"), class("N02AJ17")].into());
    }

    #[test]
    fn a_visit_is_called_by_its_identifier_else_its_address_else_within_its_record() {
        let named = |change: fn(&mut Value)| {
            let mut entry = encounter("v1");
            change(&mut entry);
            found(&[entry]).visits.pop().map(|visit| visit.name)
        };
        let address = "https://hospital.example/Encounter/1";
        let in_record = |reference: &str| Some(Name::InRecord(reference.to_owned()));
        let by_identifier = named(|entry| {
            entry["fullUrl"] = "https://hospital.example/Encounter/1".into();
            entry["resource"]["identifier"] =
                json!([{ "system": "urn:b", "value": "2" }, { "value": "0" }, { "system": "urn:a", "value": "1" }]);
        });
        assert_eq!(by_identifier, Some(Name::Identifier { system: "urn:a".into(), value: "1".into() }));
        assert_eq!(
            named(|entry| entry["fullUrl"] = "https://hospital.example/Encounter/1".into()),
            Some(Name::Address(address.into()))
        );
        assert_eq!(named(|_| ()), in_record("urn:uuid:v1"));
        assert_eq!(named(|entry| entry["fullUrl"] = json!(null)), in_record("Encounter/v1"));
        assert_eq!(
            named(|entry| entry["resource"]["identifier"] = json!([{ "system": "", "value": "" }])),
            in_record("urn:uuid:v1")
        );
        let nameless = named(|entry| {
            entry["fullUrl"] = json!(null);
            entry["resource"]["id"] = json!(null);
        });
        assert_eq!(nameless, None);
    }

    #[test]
    fn what_is_called_something_in_its_record_only_is_another_visit_in_another_record() {
        let [first, second] = ["link-1", "link-2"].map(|link| link.parse::<LinkId>().unwrap());
        let (local, address) =
            (Name::InRecord("Encounter/1".into()), Name::Address("https://h.example/Encounter/1".into()));
        assert_ne!(local.parts(&first), local.parts(&second));
        assert_eq!(address.parts(&first), address.parts(&second));
    }

    #[test]
    fn what_is_not_known_is_counted_as_such_and_never_guessed() {
        let mut without_code = request("urn:uuid:v1", "562251");
        without_code["resource"]["medicationCodeableConcept"] = json!({ "text": "amoxicillin" });
        let read =
            found(&[encounter("v1"), request("urn:uuid:v1", "1"), without_code, request("urn:uuid:v9", "562251")]);
        assert!(read.visits[0].classes.is_empty());
        assert_eq!((read.unmapped, read.unattached), (2, 1));
    }

    #[test]
    fn what_did_not_happen_is_not_counted() {
        let mut planned = encounter("v2");
        planned["resource"]["status"] = "planned".into();
        let mut undated = encounter("v3");
        undated["resource"]["period"] = json!({ "start": "2026" });
        let change = |key: &str, value: Value| {
            let mut changed = request("urn:uuid:v1", "562251");
            changed["resource"][key] = value;
            changed
        };
        let not_made =
            ["draft", "cancelled", "entered-in-error", "unknown"].map(|status| change("status", status.into()));
        let not_ordered = ["plan", "proposal", "option"].map(|intent| change("intent", intent.into()));
        let mut entries = vec![encounter("v1"), planned, undated, change("doNotPerform", true.into())];
        entries.extend(not_made.into_iter().chain(not_ordered));
        let read = found(&entries);
        assert_eq!((read.visits.len(), read.visits[0].classes.len()), (1, 0));
        assert_eq!((read.unmapped, read.unattached), (0, 0));
    }

    #[test]
    fn what_is_no_bundle_is_told_from_an_empty_one() {
        let none = [&b""[..], b"{", b"[]", b"7", br#"{"resourceType":"Patient"}"#, b"\xff\xfe", b"null"];
        for bytes in none {
            assert_eq!(read(bytes, &Codes::shipped()), None);
        }
        for entry in [json!(null), json!([]), json!([1, null, {}, { "resource": 7 }]), json!("entries")] {
            let bundle = json!({ "resourceType": "Bundle", "entry": entry });
            assert_eq!(read(bundle.to_string().as_bytes(), &Codes::shipped()), Some(Found::default()));
        }
    }
}
