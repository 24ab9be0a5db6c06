//! One record goes the whole way: a hospital publishes it, an insurer is refused, permitted, and refused again.
//!
//! Everything goes over the gateways' REST interface, as it would from anywhere else, and each step is asserted.

mod actors;
pub mod example;
mod records;
pub(crate) mod rest;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use healthchain_interface::{GrantConsent, Page, PermittedLink};
use healthchain_rules::{
    Category, ConsentId, Effect, Grantee, Link, Provision, Purpose, Scope,
    audit::{Act, AuditEntry},
    opening::OpeningAct,
};
use http::StatusCode;
use serde_json::json;

use self::{actors::Actors, records::Record, rest::Session};
use crate::{Network, NetworkError, health, tell};

/// What kind of record the bundles are published as.
const CATEGORY: Category = Category::Summary;
/// How many openings of the patient's trail are shown.
const SHOWN: usize = 8;
/// How long an organisation's peer may lag behind another's.
const LAG: Duration = Duration::from_secs(5);

/// A record that was published.
struct Published<'a> {
    record: &'a Record,
    link: Link,
}

/// Tells the story on a network that is up, and asserts each step.
///
/// # Errors
/// At the first step that does not hold; the text says what was expected and what came.
pub async fn run(network: &Network, records: Option<&Path>) -> Result<(), NetworkError> {
    let actors = Actors::choose(network)?;
    let records = records::load(records)?;
    let run = uuid::Uuid::new_v4().simple().to_string();

    let published = publish(&actors, &records, &run).await?;
    refused_without_consent(&actors, &published[0]).await?;
    let consent = consent(&actors, &run).await?;
    permitted_by_consent(&actors, &published).await?;
    open_for_treatment(&actors, &published[0]).await?;
    who_looked(&actors, &published[0]).await?;
    revoke(&actors, &consent, &published[0]).await
}

async fn publish<'a>(actors: &Actors, records: &'a [Record], run: &str) -> Result<Vec<Published<'a>>, NetworkError> {
    let Actors { hospital, patient, .. } = actors;
    title(1, &format!("{hospital} publishes {} of {patient}", plural(records.len(), "record")));
    let path = format!("/v1/links?patient={}&category={CATEGORY}", patient.id());
    let mut published = Vec::new();
    for (number, record) in records.iter().enumerate() {
        let key = format!("demo-{run}-{number}");
        let headers = [("content-type", records::MEDIA_TYPE), ("idempotency-key", key.as_str())];
        if number == 0 {
            hospital.show_curl("POST", &path, &headers, &format!("--data-binary @{}", record.file.display()));
        }
        let answer = hospital.post_bytes(&path, &headers, record.bytes.clone()).await?;
        let link: Link = answer.expect(StatusCode::CREATED)?.json()?;
        tell!("   {:<28} {:>7} bytes  {:>5} ms  link {}", record.name, record.bytes.len(), answer.ms(), link.id);
        published.push(Published { record, link });
    }
    Ok(published)
}

async fn refused_without_consent(actors: &Actors, published: &Published<'_>) -> Result<(), NetworkError> {
    let Actors { payer, patient, .. } = actors;
    title(2, &format!("{payer} has no consent of {patient}"));
    let links = list(payer, patient, true).await?;
    tell!("   lists: {} to see", plural(links.len(), "link"));
    require("the payer lists nothing", links.is_empty(), "it sees links without a consent")?;
    let refusal = open(payer, published, Purpose::Payment, true).await?;
    let reason = refusal.problem(StatusCode::FORBIDDEN, "consent-required")?;
    tell!(
        "   opens: {} {} after {} ms, on the ledger as {}",
        refusal.status,
        reason.code,
        refusal.ms(),
        reason.opening()
    );
    Ok(())
}

async fn consent(actors: &Actors, run: &str) -> Result<ConsentId, NetworkError> {
    let Actors { payer, patient, .. } = actors;
    title(3, &format!("{patient} permits {}'s organisation to open summaries for payment", payer.id()));
    let id: ConsentId = format!("demo-{run}").parse().expect("a prefix and 32 hexadecimal digits are an id");
    let call = GrantConsent {
        consent: id.clone(),
        patient: patient.id().clone(),
        grantee: Grantee::Organisation(payer.msp_id().clone()),
        scope: Scope::Categories([CATEGORY].into()),
        purposes: [Purpose::Payment].into(),
        from: None,
        until: None,
        effect: Effect::Permit,
    };
    patient.show_curl_json("/v1/consents", &call);
    let answer = patient.post("/v1/consents", &call).await?;
    answer.expect(StatusCode::CREATED)?;
    tell!("   consent {id} stands after {} ms", answer.ms());
    Ok(id)
}

async fn permitted_by_consent(actors: &Actors, published: &[Published<'_>]) -> Result<(), NetworkError> {
    let Actors { payer, patient, .. } = actors;
    title(4, &format!("{payer} lists and opens"));
    let links = health::until("the payer's seeing the links", LAG, || async {
        let links = list(payer, patient, false).await.map_err(|error| error.to_string())?;
        let sees = |it: &Published<'_>| links.iter().any(|link| link.link == it.link.id);
        if published.iter().all(sees) { Ok(links) } else { Err(format!("it sees {} links", links.len())) }
    });
    tell!("   lists: {} to see", plural(links.await?.len(), "link"));
    for (number, it) in published.iter().enumerate() {
        let answer = open(payer, it, Purpose::Payment, number == 0).await?;
        it.record.require_same(answer.expect(StatusCode::OK)?.body())?;
        tell!("   {:<28} {:>5} ms  SHA-256 {} identical", it.record.name, answer.ms(), &it.record.sha256[..16]);
    }
    Ok(())
}

async fn open_for_treatment(actors: &Actors, published: &Published<'_>) -> Result<(), NetworkError> {
    let clinic = &actors.clinic;
    title(5, &format!("{clinic} opens for treatment, which needs no consent"));
    let answer = open(clinic, published, Purpose::Treatment, true).await?;
    published.record.require_same(answer.expect(StatusCode::OK)?.body())?;
    tell!("   {:<28} {:>5} ms  SHA-256 identical", published.record.name, answer.ms());
    Ok(())
}

async fn who_looked(actors: &Actors, published: &Published<'_>) -> Result<(), NetworkError> {
    let Actors { payer, clinic, patient, .. } = actors;
    title(6, &format!("{patient} reads who looked"));
    let path = format!("/v1/patients/{}/audit?limit=100", patient.id());
    patient.show_curl("GET", &path, &[], "");
    let id = &published.link.id;
    let wanted = [(payer, false), (payer, true), (clinic, true)];
    let entries = health::until("the openings' being on the patient's trail", LAG, || async {
        let answer = patient.get(&path).await.map_err(|error| error.to_string())?;
        let page: Page<AuditEntry> =
            answer.expect(StatusCode::OK).and_then(|it| it.json()).map_err(|error| error.to_string())?;
        let missing = wanted.iter().find(|(who, permitted)| {
            !page.items.iter().any(|entry| {
                entry.member.as_ref() == Some(who.id())
                    && match &entry.act {
                        Act::Opening(OpeningAct::LinkOpened { link, .. }) => *permitted && link == id,
                        Act::Opening(OpeningAct::OpeningDenied { link, .. }) => !*permitted && link == id,
                        _ => false,
                    }
            })
        });
        match missing {
            None => Ok(page.items),
            Some((who, permitted)) => {
                Err(format!("{who} is not there with {} opening", if *permitted { "a permitted" } else { "a denied" }))
            }
        }
    })
    .await?;
    for looked in entries.iter().filter_map(describe).take(SHOWN) {
        tell!("   {looked}");
    }
    Ok(())
}

async fn revoke(actors: &Actors, consent: &ConsentId, published: &Published<'_>) -> Result<(), NetworkError> {
    let Actors { payer, patient, .. } = actors;
    title(7, &format!("{patient} revokes; {payer} is refused again"));
    let path = format!("/v1/patients/{}/consents/{consent}/revocation", patient.id());
    patient.show_curl("POST", &path, &[], "");
    let begun = Instant::now();
    let revoked = patient.post_bytes(&path, &[], Vec::new()).await?;
    revoked.expect(StatusCode::OK)?;
    let refusal = open(payer, published, Purpose::Payment, false).await?;
    let reason = refusal.problem(StatusCode::FORBIDDEN, "consent-required")?;
    let total = begun.elapsed().as_millis();
    tell!("   opens: {} {}, on the ledger as {}", refusal.status, reason.code, reason.opening());
    tell!(
        "   from revoke to refusal: {total} ms ({} ms until the revocation was committed, {} ms until the refusal was)",
        revoked.ms(),
        refusal.ms()
    );
    Ok(())
}

/// All links that somebody may open of a patient, for payment.
async fn list(who: &Session, patient: &Session, show: bool) -> Result<Vec<PermittedLink>, NetworkError> {
    let first = format!("/v1/patients/{}/links?purpose={}&limit=100", patient.id(), Purpose::Payment);
    if show {
        who.show_curl("GET", &first, &[], "");
    }
    let (mut links, mut path) = (Vec::new(), first.clone());
    loop {
        let page: Page<PermittedLink> = who.get(&path).await?.expect(StatusCode::OK)?.json()?;
        links.extend(page.items);
        match page.next_page_token {
            Some(token) => path = format!("{first}&page_token={}", token.as_str()),
            None => return Ok(links),
        }
    }
}

async fn open(
    who: &Session,
    published: &Published<'_>,
    purpose: Purpose,
    show: bool,
) -> Result<rest::Answer, NetworkError> {
    let path = format!("/v1/links/{}/openings", published.link.id);
    let body = json!({ "purpose": purpose });
    if show {
        who.show_curl_json(&path, &body);
    }
    who.post(&path, &body).await
}

/// One line about an opening; nothing for what is none.
fn describe(entry: &AuditEntry) -> Option<String> {
    let what = match &entry.act {
        Act::Opening(OpeningAct::LinkOpened { category, purpose, provision, .. }) => {
            let by = match provision {
                Provision::Rule(rule) => format!("by the rule {}", json!(rule)),
                Provision::Consent(_) => "by consent".to_owned(),
                Provision::Delegation(_) => "as guardian".to_owned(),
                Provision::Emergency(_) => "in an emergency".to_owned(),
            };
            format!("opened a {category} for {purpose} {by}")
        }
        Act::Opening(OpeningAct::OpeningDenied { purpose, reason, .. }) => {
            format!("was denied a record for {purpose}: {}", reason.as_str())
        }
        _ => return None,
    };
    let who = entry.member.as_ref()?.as_str();
    Some(format!("{who:<18} {:<14} {what}", entry.organisation.as_str()))
}

fn title(number: u8, text: &str) {
    tell!("\n{number}. {text}");
}

fn plural(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn require(step: &str, holds: bool, otherwise: &str) -> Result<(), NetworkError> {
    if holds { Ok(()) } else { Err(failed(step, otherwise)) }
}

fn failed(step: &str, reason: impl std::fmt::Display) -> NetworkError {
    NetworkError::Demonstration { step: step.to_owned(), reason: reason.to_string() }
}
