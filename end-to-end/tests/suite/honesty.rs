//! Clients and organisations that do not play by the rules.

use fabric_client::{Code, Stage};
use fabric_msp::SigningIdentity;
use healthchain_end_to_end::{Chain, DISHONEST_FUNCTION, World, serve_dishonestly, until};
use healthchain_interface::{GrantConsent, OpenLink, PermittedQuery, ReadTrail, WithdrawLink};
use healthchain_rules::{Category, Effect, Grantee, OrganisationKind, Purpose, Role, Scope, Trail};
use serde_json::json;

const ME: &str = "Members:me";
const RECORD: &[u8] = br#"{"resourceType":"Condition"}"#;

crate::promises![
    a_client_that_skips_the_gateway_gets_the_same_refusals,
    nobody_speaks_as_a_colleague_whose_certificate_stands_before_the_own_one,
    a_certificate_that_no_member_has_is_unknown_to_the_ledger,
    another_members_envelope_is_given_to_nobody_else,
    any_fabric_client_can_ask_what_the_contracts_offer,
];

crate::promises![STOPPING_PARTS: a_result_that_differs_between_organisations_is_refused];

async fn a_client_that_skips_the_gateway_gets_the_same_refusals(world: &World) {
    let (hospital, payer, patient) = (world.hospital_clinician(), world.payer_officer(), world.new_patient());
    let link = hospital.publish(patient.id(), "claim", RECORD).await;
    let chain = world.chain(&payer);

    let opened =
        chain.links().open(&OpenLink { link: link.clone(), purpose: Purpose::Payment, emergency: None }).await.unwrap();
    let over_rest = payer.open(&link, "payment").await;
    assert_eq!(json!(opened.opening.decision)["reason"], over_rest.json()["code"]);
    assert!(opened.envelope.is_none());

    let page_token = None;
    let query = PermittedQuery { patient: patient.id().clone(), purpose: Purpose::Payment, page_token, limit: None };
    assert!(chain.links().permitted(&query).await.unwrap().items.is_empty());

    let consent = GrantConsent {
        consent: "smuggled".parse().unwrap(),
        patient: patient.id().clone(),
        grantee: Grantee::Organisation(payer.access().msp_id.clone()),
        scope: Scope::Categories([Category::Claim].into()),
        purposes: [Purpose::Payment].into(),
        from: None,
        until: None,
        effect: Effect::Permit,
    };
    refused(chain.consents().grant(&consent).await, "not-permitted");
    let withdrawal =
        WithdrawLink { link: link.clone(), reason: "none of its business".parse().unwrap(), superseded_by: None };
    refused(chain.links().withdraw(&withdrawal).await, "unknown-link");
    let audit = ReadTrail { trail: Trail::OfPatient(patient.id().clone()), from: None, until: None };
    refused(chain.audit().read(&audit).await, "not-permitted");
    refused(chain.links().custodian_envelope(&link, &1).await, "not-permitted");
    refused(chain.links().link(&link).await, "unknown-link");
}

/// Found by review: Fabric's peers pass over a PEM block whose END has another label and verify the signer's own certificate, which
/// comes next; the chaincode read the first one, the colleague's.
async fn nobody_speaks_as_a_colleague_whose_certificate_stands_before_the_own_one(world: &World) {
    let attacker = world.payer_officer();
    let victim = world.person(OrganisationKind::Payer, Role::PayerOfficer, 1);
    let (client, victims) = (world.forged(&attacker), world.forged(&victim).certificate());
    let own = client.certificate();
    for ordinary in [own.clone(), own.trim_end().to_owned(), own.replace('\n', "\r\n")] {
        let me: serde_json::Value = serde_json::from_slice(&client.evaluate(ME, &ordinary).await.unwrap()).unwrap();
        assert!(me.to_string().contains(attacker.id().as_str()), "{me}");
    }
    let with_header = own.replace("CATE-----\n", "CATE-----\nProc-Type: 4\n\n");
    for crafted in [
        victims.replace("END CERTIFICATE", "END X") + &own,
        victims.replace("-----END CERTIFICATE-----\n", "") + &own,
        own.clone() + &victims,
        victims.replace("CERTIFICATE-----", "X-----") + &own,
        format!("-----BEGIN CERTIFICATE-----\n{own}"),
        with_header.clone() + &victims,
        with_header,
        victims.clone() + &own,
        victims,
    ] {
        let evaluated = client.evaluate(ME, &crafted).await.expect_err(&crafted);
        let endorsed = client.endorse(ME, &crafted).await.expect_err(&crafted);
        for text in [evaluated.message().to_owned(), String::from_utf8_lossy(endorsed.details()).into_owned()] {
            let by_the_peer = text.contains("access denied");
            let by_the_chaincode =
                text.contains("give one certificate in PEM (-----BEGIN CERTIFICATE-----) and nothing else");
            assert!(by_the_peer || by_the_chaincode, "{text}");
        }
    }
}

async fn a_certificate_that_no_member_has_is_unknown_to_the_ledger(world: &World) {
    let organisation = world.organisation(OrganisationKind::Payer);
    let peer = world.network.peer(&organisation.name).unwrap();
    let folder = world.network.layout().organisation(&organisation.name);
    let identity = SigningIdentity::load(folder.operator_msp(), organisation.msp_id.as_str()).unwrap();
    let chain = Chain::new(&peer, identity, world.network.consortium());
    let call = OpenLink { link: "any".parse().unwrap(), purpose: Purpose::Payment, emergency: None };
    refused(chain.links().open(&call).await, "unknown-caller");
}

async fn another_members_envelope_is_given_to_nobody_else(world: &World) {
    let (hospital, clinic, payer) = (world.hospital_clinician(), world.clinic_clinician(), world.payer_officer());
    let patient = world.new_patient();
    let link = hospital.publish(patient.id(), "summary", RECORD).await;
    let call = OpenLink { link: link.clone(), purpose: Purpose::Treatment, emergency: None };
    let opened = world.chain(&clinic).links().open(&call).await.unwrap();
    let envelope = opened.envelope.expect("the clinic had one since publication");
    assert_eq!(json!(envelope)["holder"], json!({ "organisation": clinic.access().msp_id }));

    refused(world.chain(&payer).links().envelope(&opened.opening.transaction).await, "unknown-opening");
    refused(world.chain(&patient).links().envelope(&opened.opening.transaction).await, "unknown-opening");
    let own = world
        .chain(&patient)
        .links()
        .open(&OpenLink { link, purpose: Purpose::Personal, emergency: None })
        .await
        .unwrap();
    let own = own.envelope.expect("the patient had one since publication");
    assert_ne!(own.recipient_key_hash, envelope.recipient_key_hash);
}

async fn any_fabric_client_can_ask_what_the_contracts_offer(world: &World) {
    let contract = world.chain(&world.payer_officer()).contract;
    let metadata = contract.evaluate("org.hyperledger.fabric:GetMetadata", vec![]).await.unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&metadata).unwrap();
    for name in ["Organisations", "Members", "Links", "Consents", "Audit"] {
        assert!(metadata["contracts"][name]["transactions"].is_array(), "{name}: {metadata}");
    }
    let unknown = contract.evaluate("Links:steal", vec![]).await.unwrap_err();
    assert_eq!((unknown.stage(), unknown.code()), (Stage::Evaluate, Code::Unknown));
    assert!(unknown.to_string().contains("Function steal not found in contract Links"), "{unknown}");
}

/// Every organisation's chaincode is replaced by one that answers each of them something else.
async fn a_result_that_differs_between_organisations_is_refused(world: &World) {
    let chaincodes = world.network.chaincodes().unwrap();
    let mut servers = tokio::task::JoinSet::new();
    for chaincode in &chaincodes {
        world.network.stop(&chaincode.name).await.unwrap();
        let server = serve_dishonestly(&chaincode.environment).await.unwrap();
        servers.spawn(server.run_until(std::future::pending()));
    }
    let contract = world.chain(&world.hospital_clinician()).contract;
    let failure = until("the dishonest chaincode is reached", || async {
        match contract.proposal(DISHONEST_FUNCTION, vec![]).endorse().await {
            Ok(_) => panic!("organisations that disagree must not endorse"),
            Err(failure) if failure.to_string().contains("do not match") => Ok(failure),
            Err(other) => Err(other.to_string()),
        }
    })
    .await;
    assert_eq!((failure.stage(), failure.code()), (Stage::Endorse, Code::Aborted));
    servers.shutdown().await;
    for chaincode in &chaincodes {
        world.network.start(&chaincode.name).await.unwrap();
    }
    let hospital = world.hospital_clinician();
    until("the honest chaincode is back", || async {
        let answer = hospital.get("/v1/me").await;
        if answer.status == 200 { Ok(()) } else { Err(answer.text()) }
    })
    .await;
}

fn refused<T: std::fmt::Debug, E: std::fmt::Display>(result: Result<T, E>, code: &str) {
    let refusal = result.expect_err("it must be refused").to_string();
    assert!(refusal.contains(code), "{refusal} is not {code}");
}
