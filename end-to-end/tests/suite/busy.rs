//! A patient whom many use at once: no key is written by two of these transactions, so that none conflicts with another.

use std::fmt::Debug;

use futures::future::join_all;
use healthchain_end_to_end::World;
use healthchain_interface::rules::notarization::{BillTo, NotarizedKind};
use healthchain_interface::{LinksClient, NotarizationsClient, Notarize, OpenLink};
use healthchain_rules::{OrganisationKind, Purpose, Role};
use uuid::Uuid;

use crate::contract::{counts, define_measure};

const AT_ONCE: usize = 100;
const RECORD: &[u8] = br#"{"resourceType":"Immunization"}"#;

crate::promises![
    a_hundred_openings_of_one_patient_at_once_commit_without_a_conflict,
    a_hundred_notarizations_for_one_patient_at_once_commit_without_a_conflict,
    a_hundred_contributions_at_once_commit_without_a_conflict,
];

async fn a_hundred_openings_of_one_patient_at_once_commit_without_a_conflict(world: &World) {
    let (hospital, clinic, patient) = (world.hospital_clinician(), world.clinic_clinician(), world.new_patient());
    let link = hospital.publish(patient.id(), "summary", RECORD).await;
    let links = LinksClient::new(world.chain(&clinic).contract.conflict_retries(0));
    let call = OpenLink { link, purpose: Purpose::Treatment, emergency: None };
    let openings = all(join_all((0..AT_ONCE).map(|_| links.open(&call))).await);
    assert!(openings.iter().all(|opened| opened.opening.decision.is_permitted()));
}

async fn a_hundred_notarizations_for_one_patient_at_once_commit_without_a_conflict(world: &World) {
    let (hospital, patient) = (world.hospital_clinician(), world.new_patient());
    let notarizations = NotarizationsClient::new(world.chain(&hospital).contract.conflict_retries(0));
    let calls: Vec<Notarize> = (0..AT_ONCE)
        .map(|number| Notarize {
            notarization: Uuid::new_v4().to_string().parse().unwrap(),
            patient: patient.id().clone(),
            kind: NotarizedKind::Document,
            hash: format!("{number:064x}").parse().unwrap(),
            bill_to: BillTo::Organisation,
        })
        .collect();
    all(join_all(calls.iter().map(|call| notarizations.notarize(call))).await);
}

/// Of two organisations, each about fifty months.
async fn a_hundred_contributions_at_once_commit_without_a_conflict(world: &World) {
    let measure = format!("busy-{}", Uuid::new_v4().simple());
    define_measure(world, &measure, "J01").await;
    let maintainers = [OrganisationKind::PrimaryCare, OrganisationKind::SecondaryCare]
        .map(|kind| world.chain(&world.person(kind, Role::Maintainer, 0)).contract.conflict_retries(0));
    let months = (0..AT_ONCE / 2).map(|number| format!("{}-{:02}", 2010 + number / 12, number % 12 + 1));
    let calls: Vec<_> =
        months.flat_map(|month| maintainers.iter().map(move |contract| (contract, month.clone()))).collect();
    let contributions = calls.iter().map(|(contract, month)| {
        contract.submit("Statistics:contribute", vec![counts(&measure, month).to_string().into_bytes()])
    });
    all(join_all(contributions).await);
}

/// All that were to succeed; fails with how many did not, and the first of these.
fn all<T, E: Debug>(results: Vec<Result<T, E>>) -> Vec<T> {
    let total = results.len();
    let (succeeded, failed): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    if let Some(Err(first)) = failed.first() {
        panic!("{} of {total} failed, the first with {first:?}", failed.len());
    }
    succeeded.into_iter().flatten().collect()
}
