//! What a page of 20 permitted links costs when a patient has few links, and when another has many: both are asked for in turn, in the
//! same run.

use std::time::{Duration, Instant};

use clap::Args;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use healthchain_end_to_end::{Chain, Person, ledger_kind};
use healthchain_interface::{PageLimit, PermittedQuery, PublishLink, RecipientsQuery};
use healthchain_rules::{Category, Envelope, MemberId, Purpose, Recipient};
use uuid::Uuid;

use crate::measured::percentile;

/// A page of 20 permitted links, of a patient with few links and of one with many
#[derive(Args)]
pub(crate) struct Options {
    /// Links of the patient who has few.
    #[arg(long, default_value_t = 100)]
    few: u32,
    /// Links of the patient who has many.
    #[arg(long, default_value_t = 100_000)]
    many: u32,
    /// Pages that are asked for of each patient.
    #[arg(long, default_value_t = 200)]
    rounds: usize,
    /// Publications at once while the links are made: two full blocks, so that none waits to be filled.
    #[arg(long, default_value_t = 200)]
    at_once: usize,
}

pub(crate) async fn run(options: &Options) {
    let world = crate::network(2).await;
    let (hospital, clinic) = (world.chain(&world.hospital_clinician()), world.chain(&world.clinic_clinician()));

    let mut patients = Vec::new();
    for count in [options.few, options.many] {
        let patient = world.new_patient();
        let took = publish(&hospital, &patient, count, options.at_once).await;
        println!("{count} links published in {took:.1?}: {:.0} a second", f64::from(count) / took.as_secs_f64());
        patients.push(patient);
    }

    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..options.rounds {
        for (patient, times) in patients.iter().zip(&mut times) {
            times.push(page(&clinic, patient.id()).await);
        }
    }
    let [few, many] = times.map(|times| percentile(&times, 50));
    println!("a page of 20 of {:>7} links: median {few:.2?}", options.few);
    println!("a page of 20 of {:>7} links: median {many:.2?}", options.many);
    println!("ratio {:.2} ({} ledger)", many.as_secs_f64() / few.as_secs_f64(), ledger_kind());
    world.network.clean().await.unwrap();
}

/// Publishes so many links; gives how long it took. What is sealed is nothing: no page opens it.
async fn publish(hospital: &Chain, patient: &Person, count: u32, at_once: usize) -> Duration {
    let query = RecipientsQuery { patient: patient.id().clone(), category: Category::Summary };
    let recipients = hospital.links().recipients(&query).await.unwrap();
    let envelopes: Vec<Envelope> = recipients.into_iter().map(envelope).collect();
    let begun = Instant::now();
    stream::iter(0..count)
        .map(|_| async {
            let call = PublishLink {
                link: Uuid::new_v4().to_string().parse().unwrap(),
                patient: patient.id().clone(),
                category: Category::Summary,
                content_hash: "0".repeat(64).parse().unwrap(),
                content_length: 1000,
                commitment: "0".repeat(64).parse().unwrap(),
                media_type: "application/fhir+json".parse().unwrap(),
                envelopes: envelopes.clone(),
            };
            hospital.links().publish(&call).await.map(drop)
        })
        .buffer_unordered(at_once)
        .try_collect::<()>()
        .await
        .unwrap();
    begun.elapsed()
}

fn envelope(recipient: Recipient) -> Envelope {
    let sealed = "A".repeat(560).parse().unwrap();
    Envelope { holder: recipient.holder, recipient_key_hash: recipient.key.key_hash, sealed }
}

/// How long the first page takes.
async fn page(clinic: &Chain, patient: &MemberId) -> Duration {
    let limit = PageLimit::try_from(20).unwrap();
    let query =
        PermittedQuery { patient: patient.clone(), purpose: Purpose::Treatment, page_token: None, limit: Some(limit) };
    let begun = Instant::now();
    let page = clinic.links().permitted(&query).await.unwrap();
    assert_eq!(page.items.len(), 20);
    begun.elapsed()
}
