//! The JSON of everything that is stored: ledgers out there hold it, so that it may grow but not change.

use crate::support::*;
use crate::{notarizations, orders, rewards, statistics, subscriptions};
use healthchain_rules::attestation::{IdentityAttestation, ProofingMethod};
use healthchain_rules::audit::AuditEntry;
use healthchain_rules::charge::{Charge, Place};
use healthchain_rules::notarization::{Notarization, Verification};
use healthchain_rules::opening::OpeningAct;
use healthchain_rules::recovery::{Approval, Recovery, RecoveryPlan, RecoveryState, Replaced, Trustee, Trustees};
use healthchain_rules::request::OpenRequests;
use healthchain_rules::standing_rule::RuleAnswer;
use healthchain_rules::subscription::{Order, OrderState, Plan, PlanState};
use healthchain_rules::*;
use serde_json::{Value, json};

#[test]
fn what_is_stored_keeps_its_form() {
    insta::assert_json_snapshot!(samples());
}

#[test]
fn what_is_stored_is_read_back_as_it_was() {
    fn survives<T: serde::Serialize + serde::de::DeserializeOwned>(stored: &Value) {
        let read: T = serde_json::from_value(stored.clone()).unwrap();
        assert_eq!(serde_json::to_value(read).unwrap(), *stored);
    }
    let samples = samples();
    survives::<Organisation>(&samples["organisation"]);
    survives::<Organisation>(&samples["organisation founded"]);
    survives::<Organisation>(&samples["organisation left"]);
    survives::<Custodians>(&samples["custodians"]);
    survives::<Custodians>(&samples["custodians and former ones"]);
    survives::<Member>(&samples["member"]);
    survives::<Member>(&samples["member suspended"]);
    survives::<Member>(&samples["member retired"]);
    survives::<KeyHolder>(&samples["key holder"]);
    survives::<Proposal>(&samples["proposal"]);
    survives::<Group>(&samples["group"]);
    survives::<Group>(&samples["group dissolved"]);
    survives::<Settings>(&samples["settings"]);
    survives::<KeyHolder>(&samples["key holder former"]);
    survives::<IdentityAttestation>(&samples["attestation"]);
    survives::<Delegation>(&samples["delegation"]);
    survives::<RecoveryPlan>(&samples["recovery plan"]);
    survives::<Recovery>(&samples["recovery"]);
    survives::<Link>(&samples["link"]);
    survives::<Link>(&samples["link withdrawn"]);
    survives::<Link>(&samples["link superseded"]);
    survives::<Link>(&samples["link erased"]);
    survives::<VersionOfLink>(&samples["link version"]);
    survives::<ErasureReceipt>(&samples["erasure receipt"]);
    survives::<Amendment>(&samples["amendment"]);
    survives::<Amendment>(&samples["amendment activated"]);
    survives::<OpenAmendments>(&samples["open amendments"]);
    survives::<Envelope>(&samples["envelope"]);
    survives::<ConsentBook>(&samples["consent book"]);
    survives::<Consent>(&samples["consent revoked"]);
    survives::<Consent>(&samples["consent of a guardian"]);
    survives::<AccessRequest>(&samples["access request"]);
    survives::<AccessRequest>(&samples["access request granted"]);
    survives::<AccessRequest>(&samples["access request refused"]);
    survives::<AccessRequest>(&samples["access request withdrawn"]);
    survives::<OpenRequests>(&samples["open requests"]);
    survives::<StandingRules>(&samples["standing rules"]);
    survives::<Emergency>(&samples["emergency"]);
    survives::<Emergency>(&samples["emergency reviewed"]);
    survives::<Docket>(&samples["emergency docket"]);
    survives::<Opening>(&samples["opening permitted"]);
    survives::<Opening>(&samples["opening denied"]);
    survives::<Plan>(&samples["plan closed"]);
    survives::<Subscription>(&samples["subscription"]);
    survives::<Order>(&samples["order cancelled"]);
    survives::<Charge>(&samples["charge of an order"]);
    survives::<Charge>(&samples["charge of a notarization"]);
    survives::<Place>(&samples["place in a year"]);
    survives::<Notarization>(&samples["notarization revoked"]);
    survives::<Verification>(&samples["verification"]);
    survives::<KeyHolder>(&samples["key holder of an agent"]);
    survives::<Charter>(&samples["charter stopped"]);
    survives::<DayUse>(&samples["agent's day"]);
    survives::<AuditEntry>(&samples["audit entry"]);
    survives::<Reading>(&samples["audit reading"]);
    survives::<Hold>(&samples["hold"]);
    survives::<accounting::HoldBook>(&samples["hold book"]);
    survives::<Evidence>(&samples["evidence"]);
    survives::<healthchain_rules::statistics::measure::Measure>(&samples["measure ended"]);
    survives::<healthchain_rules::statistics::contribution::Contribution>(&samples["contribution"]);
    survives::<healthchain_rules::statistics::contribution::ClosedPeriod>(&samples["closed period"]);
    survives::<healthchain_rules::statistics::release::Release>(&samples["release"]);
    survives::<healthchain_rules::statistics::release::Spent>(&samples["epsilon spent"]);
    survives::<healthchain_rules::reward::Program>(&samples["program ended"]);
    survives::<healthchain_rules::reward::Participation>(&samples["participation"]);
    survives::<healthchain_rules::reward::Participation>(&samples["participation left"]);
    survives::<healthchain_rules::reward::TargetAttestation>(&samples["target attestation"]);
    survives::<healthchain_rules::reward::Redemption>(&samples["redemption"]);
}

#[test]
fn a_link_with_ten_recipients_takes_less_than_8_kib_of_state() {
    let payload = "A".repeat(560); // 420 bytes: a payload with a URL of 150 characters, sealed, leaves some room.
    let envelope = Envelope {
        holder: Holder::Organisation(id("a-rather-long-organisation-name")),
        recipient_key_hash: hash("recipient"),
        sealed: id(&payload),
    };
    let mut link = link("a-link-id-of-32-characters-or-so", Category::Summary);
    link.current.amendment = Some(id("an-amendment-id-of-36-characters-or-"));
    let link = serde_json::to_string(&link).unwrap();
    let envelopes = 10 * serde_json::to_string(&envelope).unwrap().len();
    assert!(2 * link.len() + envelopes < 8192, "{} + {envelopes}", 2 * link.len());
}

fn samples() -> Value {
    let trustees = [Trustee::Member(id("gina")), Trustee::Organisation(id("payer"))].into();
    let trustees = Trustees::new(trustees, 1).unwrap();
    let withdrawn = LinkState::Withdrawn { by: id("carol"), at: NOW, reason: id("wrong patient"), superseded_by: None };
    let summary = link("l1", Category::Summary);
    let permit = Terms::new(
        Grantee::Member(id("pia")),
        only(&["l1", "l2"]),
        [Purpose::Payment, Purpose::Operations].into(),
        Some(at(-5)),
        Some(at(5)),
        Effect::Permit,
    );
    let permit = permit.unwrap();
    let book = book_of(&[
        ("c1", permit.clone()),
        ("c2", terms(Grantee::Role(Role::Clinician), everything(), &Purpose::ALL, Effect::Deny)),
    ]);
    let opened = |caller: Caller, purpose| {
        opening::decide_opening(&caller, &summary, &on(&book), purpose, hash("transaction"), NOW).unwrap().0
    };
    let permitted = opened(caller("pia", Role::PayerOfficer), Purpose::Payment);
    let denied = opened(caller("carol", Role::Clinician), Purpose::Treatment);
    let Caller::Member(suspended) = suspended(caller("carol", Role::Clinician)) else { panic!("no member") };
    let notaries =
        Privileges { level: 3, grants: [Permission::Notarize].into(), withholds: [Permission::OpenLink].into() };
    let group = Group {
        id: id("g"),
        privileges: notaries.clone(),
        members: [(id("carol"), id("hospital")), (id("clara"), id("clinic"))].into(),
        state: GroupState::Active,
    };
    let approval = Vote { by: id("adam"), at: NOW, choice: Choice::Approve, reason: Some(id("needed")) };
    let superseded_by = Some(id("l2"));
    let superseded = LinkState::Withdrawn { by: id("carol"), at: NOW, reason: id("published twice"), superseded_by };
    let erased = LinkState::Erased { by: id("pam"), at: NOW, reason: id("asked for by court") };
    let amendment = amendment();
    let (order, may_order) = orders::ordered(&alice(), None, 2);
    let mut samples = json!({
        "organisation": hospital(),
        "organisation founded": Organisation { state: OrganisationState::Founded, ..hospital() },
        "custodians": Custodians::of(id("hospital"), [id("clinic")].into()),
        "custodians and former ones": Custodians {
            former: [id("payer")].into(),
            namings: 3,
            cleared: [(id("pharmacy"), Clearance { at: NOW, namings: 2 })].into(),
            ..Custodians::of(id("hospital"), [id("clinic")].into())
        },
        "organisation left": Organisation { state: OrganisationState::Left { at: NOW }, ..hospital() },
        "member": member_of(&hospital(), "carol", Role::Clinician),
        "member suspended": suspended.member,
        "member retired": Member {
            standing: Standing::Retired { at: NOW, by: Some(id("admin")), reason: Some(id("left")) },
            ..member_of(&hospital(), "carol", Role::Clinician)
        },
        "key holder": KeyHolder::Gateway(id("hospital")),
        "proposal": Proposal {
            id: id("p1"),
            change: Change::MakeGroup {
                group: id("g"),
                privileges: notaries.clone(),
                members: [id("carol"), id("clara")].into(),
            },
            base: Some(healthchain_rules::governance::Base::Settings(Settings::default())),
            by: id("adam"),
            organisation: id("hospital"),
            made: at(-1),
            expires: at(1),
            votes: [(id("hospital"), approval)].into(),
            state: ProposalState::Carried { at: NOW },
        },
        "group dissolved": Group { members: [].into(), state: GroupState::Dissolved { at: NOW }, ..group.clone() },
        "group": group,
        "settings": Settings { amendment_quorum: [(Category::Laboratory, 2)].into(), ..Settings::default() },
        "key holder former": KeyHolder::Former(id("carol")),
        "delegation": Delegation {
            id: id("d1"),
            patient: id("alice"),
            guardian: id("gina"),
            powers: [Power::Open, Power::Consent].into(),
            categories: [Category::Summary].into(),
            from: at(-5),
            until: at(5),
            state: DelegationState::Ended { by: id("gina"), at: NOW },
        },
        "recovery plan": RecoveryPlan { patient: id("alice"), trustees: trustees.clone(), made: at(-5) },
        "recovery": Recovery {
            id: id("r1"),
            patient: id("alice"),
            organisation: id("patients"),
            key_hash: hash("s-next"),
            encryption_key: key("next"),
            reason: id("lost the phone"),
            trustees,
            by: id("gina"),
            begun: at(-2),
            approvals: vec![Approval {
                trustee: Trustee::Member(id("gina")), by: id("gina"), organisation: id("patients"), at: at(-2),
            }],
            replaced: Some(Replaced { recovery: id("r0"), approved_by: [Trustee::Member(id("greg"))].into() }),
            state: RecoveryState::Waiting { until: at(70) },
        },
        "attestation": IdentityAttestation {
            member: id("alice"),
            by: id("carol"),
            organisation: id("hospital"),
            role: Role::Clinician,
            method: ProofingMethod::InPerson,
            at: NOW,
        },
        "key holder of an agent": KeyHolder::Agent { agent: id("monitor"), owner: id("carol") },
        "charter stopped": Charter {
            agent: id("monitor"),
            owner: id("carol"),
            functions: [id("Links:open")].into(),
            purposes: [Purpose::Treatment].into(),
            categories: [Category::Medication].into(),
            calls_a_day: 100,
            epsilon_a_day: 0,
            until: NOW,
            state: CharterState::Stopped { by: id("carol"), at: NOW, reason: id("odd answers") },
        },
        "agent's day": DayUse { calls: 3, epsilon: 500 },
        "link": summary,
        "link withdrawn": Link { state: withdrawn, ..summary.clone() },
        "link superseded": Link { state: superseded, ..summary.clone() },
        "link erased": Link { state: erased, ..summary.clone() },
        "link version": VersionOfLink { version: amendment.version.clone(), superseded: Some(NOW) },
        "erasure receipt": ErasureReceipt {
            link: id("l1"),
            patient: id("alice"),
            publisher: id("hospital"),
            by: id("pam"),
            at: NOW,
            reason: id("asked for by court"),
            destroyed: Destroyed {
                versions: vec![DestroyedVersion { number: 1, content_hash: hash("content") }],
                envelopes: 3,
                amendments: [id("a1")].into(),
            },
            stays: vec![Remains::SealedEnvelopesInBlocks, Remains::AuditTrail, Remains::IdentifiersAndHashes],
            content: Destruction::Confirmed { at: NOW },
            copies: [(id("clinic"), Destruction::Ordered)].into(),
            namings: 0,
        },
        "amendment": amendment,
        "amendment activated": Amendment { state: AmendmentState::Activated { at: NOW }, ..amendment.clone() },
        "open amendments": json!({"a1": {"version": 2, "until": at(5)}}),
        "envelope": Envelope { holder: Holder::Member(id("alice")), recipient_key_hash: hash("k"), sealed: id("AAAA") },
        "consent book": book,
        "consent revoked": Consent {
            id: id("c1"), patient: id("alice"), terms: permit, granted: at(-5), by: Decider::Patient, state: ConsentState::Revoked { at: NOW },
        },
        "plan closed": Plan { state: PlanState::Closed { by: id("max"), at: NOW }, ..subscriptions::plan("basic") },
        "subscription": subscriptions::running(Payer::Organisation(id("payer"))),
        "order cancelled": Order { state: OrderState::Cancelled { by: id("alice"), at: NOW }, ..order },
        "charge of an order": may_order.charge(),
        "charge of a notarization": notarizations::charge(),
        "place in a year": notarizations::charge().place(),
        "notarization revoked": notarizations::revoked(),
        "verification": notarizations::revoked().verification(),
        "audit entry": AuditEntry {
            transaction: hash("transaction"),
            time: NOW,
            organisation: id("payer"),
            member: Some(id("pia")),
            owner: None,
            patient: Some(id("alice")),
            act: OpeningAct::of(&permitted).into(),
        },
        "evidence": Evidence {
            rules: 1,
            signing_key: hash("key"),
            values: [("read".to_owned(), Some(hash("value"))), ("absent".to_owned(), None)].into(),
        },
        "hold": Hold {
            id: id("h1"),
            organisation: id("hospital"),
            terms: accounting::HoldTerms {
                patient: id("alice"),
                recipient: id("payer"),
                statement: accounting::Statement::Oral,
                until: at(9),
                reason: id("file 7"),
            },
            by: id("pam"),
            at: NOW,
            state: accounting::HoldState::Released { by: id("pam"), at: at(1) },
        },
        "hold book": json!({
            "holds": [{"hold": "h1", "organisation": "hospital", "recipient": "payer", "until": at(9)}]
        }),
        "audit reading": Reading {
            transaction: hash("reading"),
            by: id("pam"),
            trail: Trail::OfMember(id("carol")),
            from: Some(at(-9)),
            until: Some(at(9)),
            time: NOW,
        },
        "opening permitted": permitted,
        "opening denied": denied,
    });
    let asked = asked();
    samples.as_object_mut().unwrap().extend(asked.as_object().unwrap().clone());
    for (name, sample) in statistics::stored().into_iter().chain(rewards::stored()) {
        samples[name] = sample;
    }
    samples
}

/// Of access requests, standing rules and emergencies.
fn asked() -> Value {
    let permit = terms(Grantee::Group(id("g1")), everything(), &[Purpose::Payment], Effect::Permit);
    let request = |state| AccessRequest {
        id: id("r1"),
        patient: id("alice"),
        requester: id("pia"),
        organisation: id("payer"),
        terms: terms(Grantee::Member(id("pia")), only(&["l1"]), &[Purpose::Payment], Effect::Permit),
        reason: id("claim 7"),
        asked: at(-5),
        expires: at(5),
        state,
    };
    let guardian = || Decider::Guardian(id("gina"));
    let granted = RequestState::Granted { consent: id("c1"), by: guardian(), at: NOW };
    let refused = RequestState::Refused { by: Decider::Rule(id("a")), at: NOW, reason: Some(id("not now")) };
    let rule = |answer| {
        let (purposes, categories) = ([Purpose::Payment].into(), [Category::Claim].into());
        StandingRule::new(Grantee::Organisation(id("payer")), purposes, categories, answer).unwrap()
    };
    let emergency = |state| Emergency {
        id: hash("transaction"),
        patient: id("alice"),
        clinician: id("carol"),
        organisation: id("hospital"),
        reason: id("unconscious"),
        at: at(-5),
        until: at(5),
        review_due: at(50),
        state,
    };
    let reviewed = EmergencyState::Reviewed {
        by: id("olga"),
        organisation: id("clinic"),
        at: NOW,
        finding: Finding::NotJustified,
        note: id("was awake"),
    };
    json!({
        "consent of a guardian": Consent {
            id: id("c2"),
            patient: id("alice"),
            terms: permit,
            granted: NOW,
            by: guardian(),
            state: ConsentState::Granted,
        },
        "access request": request(RequestState::Open),
        "access request granted": request(granted),
        "access request refused": request(refused),
        "access request withdrawn": request(RequestState::Withdrawn { at: NOW }),
        "open requests": {"r1": at(5)},
        "standing rules": {"a": rule(RuleAnswer::Refuse), "b": rule(RuleAnswer::Grant { days: 9 })},
        "emergency": emergency(EmergencyState::Open),
        "emergency reviewed": emergency(reviewed),
        "emergency docket": Docket { open: [(hash("transaction"), at(50))].into() },
    })
}

fn amendment() -> Amendment {
    let approves = Voice { by: id("clara"), owner: None, at: NOW, opinion: Opinion::Approves };
    let opinion = Opinion::Rejects { reason: id("wrong dose") };
    let rejects = Voice { by: id("verifier"), owner: Some(id("cora")), at: NOW, opinion };
    Amendment {
        id: id("a1"),
        link: id("l1"),
        patient: id("alice"),
        publisher: id("hospital"),
        version: Version {
            number: 2,
            content: content(),
            commitment: hash("commitment"),
            by: id("carol"),
            at: NOW,
            amendment: Some(id("a1")),
        },
        reason: id("result corrected"),
        until: at(5),
        quorum: 2,
        voices: [(id("clinic"), Some(approves)), (id("practice"), Some(rejects)), (id("rehab"), None)].into(),
        state: AmendmentState::Open,
    }
}
