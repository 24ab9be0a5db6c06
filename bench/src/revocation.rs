//! How long after the acknowledged revocation of a consent the other organisations' gateways still hand records out.

use std::time::{Duration, Instant};

use clap::Args;
use futures::future::join_all;
use healthchain_end_to_end::{Person, World, ledger_kind, until};
use healthchain_rules::{ConsentId, LinkId};
use reqwest::Method;

use crate::measured::{milliseconds, percentile};

const RECORD: &[u8] = br#"{"resourceType":"Observation"}"#;

/// Time from an acknowledged revocation to refusal at every gateway, beside the block interval
#[derive(Args)]
pub(crate) struct Options {
    /// Revocations.
    #[arg(long, default_value_t = 100)]
    rounds: usize,
}

/// Whose consent is revoked: everybody with this role; and those who are asked, at their own organisations' gateways.
struct Permitted<'a> {
    role: &'a str,
    people: Vec<(&'a str, &'a Person)>,
}

/// What one gateway did after the revocations.
#[derive(Default)]
struct Refused {
    gateway: String,
    /// From the acknowledged revocation to the first answer that refuses.
    times: Vec<Duration>,
    /// Openings that were begun after the revocation was acknowledged, and permitted.
    permitted: usize,
}

pub(crate) async fn run(options: &Options) {
    let world = crate::network(1).await;
    let (hospital, clinic, payer) = (world.hospital_clinician(), world.clinic_clinician(), world.payer_officer());
    let patient = world.new_patient();
    let link = hospital.publish(patient.id(), "summary", RECORD).await;
    let permitted = [
        Permitted { role: "clinician", people: vec![("hospital", &hospital), ("clinic", &clinic)] },
        Permitted { role: "payer-officer", people: vec![("payer", &payer)] },
    ];

    let mut all: Vec<Refused> = Vec::new();
    let (begun, height) = (Instant::now(), height(&world).await);
    for round in 0..options.rounds {
        let Permitted { role, people } = &permitted[round % permitted.len()];
        let grantee = serde_json::json!({ "role": role });
        let consent = patient.grant(grantee, "summary", "operations", "permit").await;
        for (_, person) in people {
            until("the record opens", || async {
                let answer = person.open(&link, "operations").await;
                if answer.is_success() { Ok(()) } else { Err(answer.text()) }
            })
            .await;
        }
        let revoked = revoke(&patient, &consent).await;
        for (refused, (gateway, _)) in
            join_all(people.iter().map(|(_, person)| refused(person, &link, revoked))).await.into_iter().zip(people)
        {
            let known = all.iter().position(|one| one.gateway == *gateway);
            let known = known.unwrap_or_else(|| {
                all.push(Refused { gateway: (*gateway).to_owned(), ..Refused::default() });
                all.len() - 1
            });
            all[known].times.push(refused.0);
            all[known].permitted += refused.1;
        }
    }
    let blocks = self::height(&world).await - height;
    let interval = begun.elapsed() / u32::try_from(blocks).unwrap();

    println!("\n{} ledger, {} revocations; a block every {}:\n", ledger_kind(), options.rounds, milliseconds(interval));
    println!("| gateway | p50 | p99 | p99 in blocks | still permitted |\n|---|---|---|---|---|");
    let every = Refused {
        gateway: "every gateway".into(),
        times: all.iter().flat_map(|one| one.times.clone()).collect(),
        permitted: all.iter().map(|one| one.permitted).sum(),
    };
    for Refused { gateway, times, permitted } in all.iter().chain([&every]) {
        let [p50, p99] = [50, 99].map(|percent| percentile(times, percent));
        let in_blocks = p99.as_secs_f64() / interval.as_secs_f64();
        println!("| {gateway} | {} | {} | {in_blocks:.2} | {permitted} |", milliseconds(p50), milliseconds(p99));
    }
    world.network.clean().await.unwrap();
}

async fn height(world: &World) -> u64 {
    let contract = world.chain(&world.hospital_clinician()).contract;
    contract.client().chain_info(contract.channel()).await.unwrap().height
}

/// Gives when it was acknowledged.
async fn revoke(patient: &Person, consent: &ConsentId) -> Instant {
    let path = format!("/v1/patients/{}/consents/{consent}/revocation", patient.id());
    let answer = patient.request(Method::POST, &path, |request| request).await;
    assert!(answer.is_success(), "{}", answer.text());
    Instant::now()
}

/// Opens until that is refused; gives how long after the revocation it was, and how many openings were permitted until then.
async fn refused(person: &Person, link: &LinkId, revoked: Instant) -> (Duration, usize) {
    let mut permitted = 0;
    loop {
        let answer = person.open(link, "operations").await;
        match answer.status {
            200 => permitted += 1,
            403 => return (revoked.elapsed(), permitted),
            _ => panic!("{}", answer.text()),
        }
    }
}
