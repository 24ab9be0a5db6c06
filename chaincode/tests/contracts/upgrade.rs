//! The chaincode of today on the ledger of the first release, as an upgrade of the chaincode finds it.
//!
//! The fixture holds all keys and raw values which a run of that release's contract tests (commit 8b6a7ce) left on their ledger.

use std::collections::BTreeMap;

use fabric_contract::{Chaincode, Context, composite_key, contract};
use healthchain_interface::*;
use healthchain_rules::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::consortium::*;

const FIXTURE: &str = include_str!("fixtures/first-release-state.json");

/// Writes state as it is, into the chaincode's own namespace.
#[contract(name = "Former")]
pub trait Former {
    #[submit]
    async fn write(&self, context: &mut Context, state: BTreeMap<String, String>) -> Result<(), Refusal>;
}

struct FormerContract;

impl Former for FormerContract {
    async fn write(&self, context: &mut Context, state: BTreeMap<String, String>) -> Result<(), Refusal> {
        for (key, value) in state {
            context.put(key, value);
        }
        Ok(())
    }
}

/// What the first release left.
#[derive(Deserialize)]
struct FirstRelease {
    key_hashes: BTreeMap<String, KeyHash>,
    openings: Openings,
    state: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Openings {
    denied: TransactionId,
    permitted: TransactionId,
    treatment: TransactionId,
}

impl FirstRelease {
    /// The state, with the signing keys of the consortium's people for those that the first release knew.
    fn of(consortium: &Consortium) -> Self {
        let mut text = FIXTURE.to_owned();
        let fixture: Self = serde_json::from_str(&text).unwrap();
        for (name, former) in fixture.key_hashes {
            text = text.replace(former.as_str(), consortium.person(&name).key_hash.as_str());
        }
        serde_json::from_str(&text).unwrap()
    }

    /// What the first release wrote under a key.
    fn value(&self, object_type: &str, attributes: &[&str]) -> Value {
        content(&self.state[&composite_key(object_type, attributes).unwrap()])
    }

    /// What it wrote under the keys that begin so, in their order.
    fn values(&self, object_type: &str, attribute: &str) -> Vec<Value> {
        let start = composite_key(object_type, &[attribute]).unwrap();
        self.state.iter().filter(|(key, _)| key.starts_with(&start)).map(|(_, value)| content(value)).collect()
    }
}

fn content(stored: &str) -> Value {
    serde_json::from_str::<Value>(stored).unwrap()["value"].take()
}

fn json<T: Serialize>(value: T) -> Value {
    serde_json::to_value(value).unwrap()
}

/// The members and gateways, and today's chaincode on the first release's ledger.
async fn upgraded() -> (Consortium, FirstRelease) {
    let mut consortium = Consortium::serving(with_former).await;
    for (name, organisation, _) in MEMBERS {
        consortium.add(name, organisation, "client");
    }
    let former = FirstRelease::of(&consortium);
    let writer = FormerClient::new(consortium.person("admin-hospital").contract.clone());
    writer.write(&former.state).await.unwrap();
    (consortium, former)
}

fn with_former() -> Chaincode {
    healthchain_chaincode::chaincode().contract(FormerDispatcher::new(FormerContract))
}

async fn permitted(consortium: &Consortium, who: &str, purpose: Purpose) -> Vec<(LinkId, Provision)> {
    let query = PermittedQuery { patient: id("alice"), purpose, page_token: None, limit: None };
    let page = consortium.person(who).links().permitted(&query).await.unwrap();
    page.items.into_iter().map(|item| (item.link, item.provision)).collect()
}

async fn decision(consortium: &Consortium, who: &str, link: &str, purpose: Purpose) -> Result<Provision, Denial> {
    match consortium.open(who, link, purpose).await.opening.decision {
        Decision::Permitted { provision, .. } => Ok(provision),
        Decision::Denied { reason, .. } => Err(reason),
    }
}

fn withdrawal(link: &str) -> WithdrawLink {
    WithdrawLink { link: id(link), reason: id("replaced"), superseded_by: None }
}

#[tokio::test]
async fn what_the_first_release_wrote_is_read() {
    let (consortium, former) = upgraded().await;
    for name in former.key_hashes.keys() {
        let expected = match name.strip_prefix("gateway-") {
            Some(organisation) => json!({"custodian": former.value("organisation", &[organisation])}),
            None => json!({"member": former.value("member", &[name])}),
        };
        assert_eq!(json(consortium.person(name).members().me().await.unwrap()), expected);
    }
    let (alice, carol, gateway) =
        (consortium.person("alice"), consortium.person("carol"), consortium.person("gateway-hospital"));
    for link in ["l1", "l2"] {
        assert_eq!(json(carol.links().link(&id(link)).await.unwrap()), former.value("link", &[link]));
    }
    for opening in [&former.openings.denied, &former.openings.permitted, &former.openings.treatment] {
        let found = gateway.links().opening(opening).await.unwrap();
        assert_eq!(json(found), former.value("opening", &[opening.as_str()]));
        assert_eq!(refused(alice.audit().replay(opening).await), RefusalCode::NoEvidence);
    }
    let query = PatientConsentsQuery { patient: id("alice"), page_token: None, limit: None };
    let consents = alice.consents().all_of_patient(&query).await.unwrap().items;
    assert_eq!(consents.iter().map(json).collect::<Vec<_>>(), former.values("consent", "alice"));
    let standing = alice.consents().of_patient(&id("alice")).await.unwrap();
    assert_eq!(standing, consents[..2], "the third is revoked");
    let settings = alice.governance().settings().await.unwrap();
    assert_eq!(settings, Settings::default());
}

#[tokio::test]
async fn what_the_first_release_wrote_decides_who_may_open() {
    let (consortium, _) = upgraded().await;
    let consent = Provision::Consent(id("c1"));
    assert_eq!(permitted(&consortium, "pia", Purpose::Payment).await, [(id("l1"), consent.clone())]);
    assert_eq!(permitted(&consortium, "clara", Purpose::Treatment).await, []);
    assert_eq!(decision(&consortium, "pia", "l1", Purpose::Payment).await, Ok(consent));
    assert_eq!(decision(&consortium, "clara", "l1", Purpose::Treatment).await, Err(Denial::PatientDenied));
    assert_eq!(decision(&consortium, "pia", "l2", Purpose::Payment).await, Err(Denial::LinkWithdrawn));
    assert_eq!(decision(&consortium, "dora", "l1", Purpose::Treatment).await, Err(Denial::MemberSuspended));
    let own = consortium.open("alice", "l1", Purpose::Personal).await;
    assert!(own.envelope.is_some(), "sealed by the first release");
    assert!(consortium.person("alice").audit().replay(&own.opening.transaction).await.unwrap().agrees);

    consortium.person("alice").consents().revoke(&revocation("c1")).await.unwrap();
    assert_eq!(decision(&consortium, "pia", "l1", Purpose::Payment).await, Err(Denial::ConsentRequired));
    consortium.person("alice").consents().revoke(&revocation("c2")).await.unwrap();
    assert!(decision(&consortium, "clara", "l1", Purpose::Treatment).await.is_ok());
    let again = consortium.person("alice").consents().grant(&to_payer("c3", Effect::Permit)).await;
    assert_eq!(refused(again), RefusalCode::ConsentExists, "its id is used");
}

#[tokio::test]
async fn what_the_first_release_wrote_is_gone_on_with() {
    let (consortium, former) = upgraded().await;
    let carol = consortium.person("carol");
    assert_eq!(json(consortium.publish("l1", Category::Summary).await), former.value("link", &["l1"]), "repeated");
    let withdrawn = carol.links().withdraw(&withdrawal("l2")).await.unwrap();
    assert_eq!(json(withdrawn), former.value("link", &["l2"]), "repeated");

    let publication = consortium.publication("l1", Category::Summary).await;
    let amendment = ProposeAmendment {
        amendment: id("a1"),
        link: id("l1"),
        base_version: 1,
        content_hash: hash("a1"),
        content_length: 2000,
        commitment: publication.commitment,
        media_type: publication.media_type,
        reason: id("result corrected"),
        envelopes: publication.envelopes,
    };
    carol.amendments().propose(&amendment).await.unwrap();
    consortium.person("clara").amendments().approve(&ApproveAmendment { amendment: id("a1") }).await.unwrap();
    let (first, second) = (carol.links().version(&id("l1"), &1).await, carol.links().version(&id("l1"), &2).await);
    assert_eq!(json(first.unwrap().version), former.value("link", &["l1"])["current"]);
    assert_eq!(second.unwrap().superseded, None);
    carol.links().withdraw(&withdrawal("l1")).await.unwrap();
    assert_eq!(decision(&consortium, "pia", "l1", Purpose::Payment).await, Err(Denial::LinkWithdrawn));

    consortium.suspend("phil", "pharmacy").await;
    let phil = consortium.person("phil").members();
    assert_eq!(refused(phil.member(&id("alice")).await), RefusalCode::MemberSuspended);
    consortium.person("admin-hospital").members().reinstate(&id("dora")).await.unwrap();
    assert!(consortium.person("dora").members().member(&id("alice")).await.is_ok());
    let change = Change::AdmitOrganisation { msp_id: id("lab"), kind: OrganisationKind::Pharmacy };
    consortium.carry("p1", change).await;
    let admitted = consortium.person("alice").organisations().organisation(&id("lab")).await.unwrap();
    assert_eq!(admitted.state, OrganisationState::Founded);
}

#[tokio::test]
async fn what_the_first_release_left_on_a_trail_stands_beside_the_new() {
    let (consortium, former) = upgraded().await;
    consortium.open("pia", "l1", Purpose::Payment).await;
    for (object_type, reader, trail) in [
        ("audit-of-patient", "alice", Trail::OfPatient(id("alice"))),
        ("audit-of-member", "pia", Trail::OfMember(id("pia"))),
    ] {
        let entries = consortium.person(reader).trail(trail).await;
        let (new, old) = entries.split_at(2);
        let acts: Vec<Value> = new.iter().map(|entry| json(&entry.act)["act"].take()).collect();
        assert_eq!(acts, ["audit-read", "link-opened"], "{reader}");
        assert_eq!(old.iter().map(json).collect::<Vec<_>>(), former.values(object_type, reader), "{reader}");
        assert!(old.len() >= 3, "{reader}");
    }
}
