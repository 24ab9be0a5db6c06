use healthchain_interface::*;
use healthchain_rules::*;
use serde_json::json;

use crate::consortium::*;

pub(crate) fn proposal(name: &str, change: Change) -> ProposeChange {
    ProposeChange { proposal: id(name), change }
}

fn admit(name: &str) -> Change {
    Change::AdmitOrganisation { msp_id: id(name), kind: OrganisationKind::Pharmacy }
}

fn expel(name: &str) -> Change {
    Change::ExpelOrganisation { msp_id: id(name), reason: id("wishes to leave") }
}

pub(crate) fn approval(name: &str) -> CastVote {
    CastVote { proposal: id(name), choice: Choice::Approve, reason: None }
}

fn rejection(name: &str) -> CastVote {
    CastVote { choice: Choice::Reject, reason: Some(id("not now")), ..approval(name) }
}

pub(crate) fn notaries(group: &str, members: &[&str]) -> Change {
    Change::MakeGroup {
        group: id(group),
        privileges: privileges(),
        members: members.iter().map(|one| id(one)).collect(),
    }
}

fn privileges() -> Privileges {
    Privileges { level: 2, grants: [Permission::Notarize].into(), withholds: [Permission::DeclareEmergency].into() }
}

fn key_of(person: &Person) -> EncryptionKey {
    let der = openssl::base64::decode_block(person.encryption_key.as_str()).unwrap();
    EncryptionKey {
        public_key: person.encryption_key.clone(),
        key_hash: KeyHash::from_bytes(&openssl::sha::sha256(&der)),
    }
}

impl Consortium {
    /// Proposed by the hospital, approved by the clinic and the payer: three of five.
    pub(crate) async fn carry(&self, name: &str, change: Change) -> Proposal {
        let call = proposal(name, change);
        let made = self.person("admin-hospital").governance().propose(&call).await.unwrap();
        assert_eq!(made.state, ProposalState::Open);
        let second = self.person("admin-clinic").governance().vote(&approval(name)).await.unwrap();
        assert_eq!((second.state, second.votes.len()), (ProposalState::Open, 2));
        let carried = self.person("admin-payer").governance().vote(&approval(name)).await.unwrap();
        assert!(matches!(carried.state, ProposalState::Carried { .. }), "{carried:?}");
        carried
    }

    async fn organisation(&self, name: &str) -> Organisation {
        self.person("gateway-payer").organisations().organisation(&id(name)).await.unwrap()
    }
}

#[tokio::test]
async fn an_organisation_is_admitted_by_a_majority_and_then_enters() {
    let consortium = Consortium::new().await;
    let carried = consortium.carry("p1", admit("lab")).await;
    assert_eq!(consortium.organisation("lab").await.state, OrganisationState::Founded);
    let payer = consortium.person("admin-payer").governance();
    assert_eq!(payer.vote(&approval("p1")).await.unwrap(), carried, "repeated");
    assert_eq!(refused(payer.vote(&rejection("p1")).await), RefusalCode::AlreadyVoted);
    let hospital = consortium.person("admin-hospital").governance();
    assert_eq!(hospital.propose(&proposal("p1", admit("lab"))).await.unwrap(), carried, "repeated");
    assert_eq!(refused(hospital.propose(&proposal("p1", admit("other"))).await), RefusalCode::ProposalExists);
    assert_eq!(refused(hospital.propose(&proposal("p2", admit("lab"))).await), RefusalCode::OrganisationExists);
    let late = consortium.person("admin-pharmacy").governance();
    assert_eq!(refused(late.vote(&approval("p1")).await), RefusalCode::ProposalClosed);
    assert_eq!(refused(hospital.withdraw(&id("p1")).await), RefusalCode::ProposalClosed);
}

#[tokio::test]
async fn votes_cast_at_the_same_time_all_count() {
    let consortium = Consortium::new().await;
    consortium.person("admin-hospital").governance().propose(&proposal("p1", admit("lab"))).await.unwrap();
    let (clinic, payer) =
        (consortium.person("admin-clinic").governance(), consortium.person("admin-payer").governance());
    let vote = approval("p1");
    let (first, second) = tokio::join!(clinic.vote(&vote), payer.vote(&vote));
    assert!(first.is_ok() && second.is_ok(), "{first:?} {second:?}");
    let carried = clinic.proposal(&id("p1")).await.unwrap();
    assert!(matches!(carried.state, ProposalState::Carried { .. }));
    assert_eq!(carried.votes.len(), 3);
}

#[tokio::test]
async fn a_proposal_is_rejected_by_a_majority_or_withdrawn() {
    let consortium = Consortium::new().await;
    let hospital = consortium.person("admin-hospital").governance();
    hospital.propose(&proposal("p1", admit("lab"))).await.unwrap();
    for (who, is_open) in [("clinic", true), ("payer", true), ("pharmacy", false)] {
        let voted = consortium.person(&format!("admin-{who}")).governance().vote(&rejection("p1")).await.unwrap();
        assert_eq!(voted.state == ProposalState::Open, is_open, "{who}");
    }
    let rejected = hospital.proposal(&id("p1")).await.unwrap();
    assert!(matches!(rejected.state, ProposalState::Rejected { .. }));
    let unknown = consortium.person("admin-hospital").organisations().organisation(&id("lab")).await;
    assert_eq!(refused(unknown), RefusalCode::UnknownOrganisation);

    hospital.propose(&proposal("p2", admit("lab"))).await.unwrap();
    let clinic = consortium.person("admin-clinic").governance();
    assert_eq!(refused(clinic.withdraw(&id("p2")).await), RefusalCode::OtherOrganisation);
    let withdrawn = hospital.withdraw(&id("p2")).await.unwrap();
    assert!(matches!(&withdrawn.state, ProposalState::Withdrawn { by, .. } if *by == id("admin-hospital")));
    assert_eq!(hospital.withdraw(&id("p2")).await.unwrap(), withdrawn, "repeated");
    assert_eq!(refused(clinic.vote(&approval("p2")).await), RefusalCode::ProposalClosed);
}

#[tokio::test]
async fn an_expelled_organisations_people_and_gateway_may_do_nothing_until_it_is_admitted_again() {
    let mut consortium = Consortium::new().await;
    consortium.carry("p1", expel("pharmacy")).await;
    assert!(matches!(consortium.organisation("pharmacy").await.state, OrganisationState::Left { .. }));
    let gateway = consortium.person("gateway-pharmacy");
    assert_eq!(refused(gateway.members().me().await), RefusalCode::UnknownCaller);
    for name in ["phil", "admin-pharmacy"] {
        let gone = consortium.person(name);
        assert_eq!(refused(gone.members().member(&id("alice")).await), RefusalCode::OrganisationNotActive, "{name}");
        assert_eq!(refused(gone.governance().settings().await), RefusalCode::OrganisationNotActive, "{name}");
    }
    let administrator = consortium.person("admin-pharmacy");
    let proposed = administrator.governance().propose(&proposal("p2", admit("lab"))).await;
    assert_eq!(refused(proposed), RefusalCode::OrganisationNotActive);
    let entered = administrator.organisations().enter(&consortium.entry("pharmacy")).await;
    assert_eq!(refused(entered), RefusalCode::OrganisationLeft);
    let query = RecipientsQuery { patient: id("alice"), category: Category::Medication };
    let recipients = consortium.person("carol").links().recipients(&query).await.unwrap();
    assert!(recipients.iter().all(|one| one.holder != Holder::Organisation(id("pharmacy"))), "nothing is sealed to it");

    consortium.carry("p3", admit("pharmacy")).await;
    consortium.add("anna", "pharmacy", "admin");
    let (anna, gateway) = (consortium.person("anna"), consortium.person("gateway-pharmacy"));
    let again = EnterOrganisation {
        administrator: id("anna"),
        administrator_encryption_key: anna.encryption_key.clone(),
        ..consortium.entry("pharmacy")
    };
    anna.organisations().enter(&again).await.unwrap();
    assert!(consortium.person("phil").members().member(&id("alice")).await.is_ok());
    assert!(matches!(gateway.members().me().await.unwrap(), Me::Custodian(_)));
}

#[tokio::test]
async fn an_organisation_exchanges_its_gateway_and_keys_and_the_former_gateway_key_is_nobodys() {
    let mut consortium = Consortium::new().await;
    consortium.add("new-gateway", "hospital", "client");
    let new = consortium.person("new-gateway").clone();
    let change = |gateway_key_hash: &KeyHash, encryption_key: EncryptionKey| Change::ChangeOrganisation {
        msp_id: id("hospital"),
        gateway_url: id("https://new.example"),
        gateway_key_hash: gateway_key_hash.clone(),
        encryption_key,
    };
    let hospital = consortium.person("admin-hospital").governance();
    let other = consortium.person("admin-clinic").governance();
    let good = change(&new.key_hash, key_of(&new));
    assert_eq!(refused(other.propose(&proposal("p1", good.clone())).await), RefusalCode::OtherOrganisation);
    let taken = change(&consortium.person("carol").key_hash, key_of(&new));
    assert_eq!(refused(hospital.propose(&proposal("p1", taken)).await), RefusalCode::KeyTaken);
    let wrong_hash = change(&new.key_hash, EncryptionKey { key_hash: hash("other"), ..key_of(&new) });
    assert_eq!(refused(hospital.propose(&proposal("p1", wrong_hash)).await), RefusalCode::Malformed);

    consortium.carry("p1", good).await;
    assert_eq!(consortium.organisation("hospital").await.encryption_key(), Some(&key_of(&new)));
    assert!(matches!(new.members().me().await.unwrap(), Me::Custodian(_)));
    let former = consortium.person("gateway-hospital").members();
    assert_eq!(refused(former.me().await), RefusalCode::UnknownCaller);
    let url_alone = change(&new.key_hash, key_of(consortium.person("gateway-hospital")));
    consortium.carry("p2", url_alone).await;
    assert!(matches!(new.members().me().await.unwrap(), Me::Custodian(_)), "the gateway kept its key");
}

#[tokio::test]
async fn an_organisation_that_lost_its_administrators_keys_is_given_a_new_one() {
    let mut consortium = Consortium::new().await;
    consortium.add("anna", "pharmacy", "client");
    let anna = consortium.person("anna").clone();
    let appoint = |member: &str, key_hash: &KeyHash| Change::AppointAdministrator {
        organisation: id("pharmacy"),
        member: id(member),
        key_hash: key_hash.clone(),
        encryption_key: key_of(&anna),
    };
    let hospital = consortium.person("admin-hospital").governance();
    let taken = appoint("anna", &consortium.person("phil").key_hash);
    assert_eq!(refused(hospital.propose(&proposal("p1", taken)).await), RefusalCode::KeyTaken);
    let taken = appoint("phil", &anna.key_hash);
    assert_eq!(refused(hospital.propose(&proposal("p1", taken)).await), RefusalCode::MemberExists);

    consortium.carry("p1", appoint("anna", &anna.key_hash)).await;
    let Me::Member(me) = anna.members().me().await.unwrap() else { panic!("no member") };
    assert_eq!((me.role, me.organisation.as_str()), (Role::Administrator, "pharmacy"));
    let suspension = SuspendMember { member: id("admin-pharmacy"), reason: id("lost the key") };
    anna.members().suspend(&suspension).await.unwrap();
    let trail = anna.trail(Trail::OfMember(id("anna"))).await;
    let appointed = serde_json::to_value(&trail.last().unwrap().act).unwrap();
    assert_eq!((&appointed["act"], &appointed["proposal"]), (&json!("proposal-carried"), &json!("p1")));
}

#[tokio::test]
async fn a_group_gives_and_takes_permissions_until_it_is_dissolved() {
    let consortium = Consortium::new().await;
    let hospital = consortium.person("admin-hospital").governance();
    let unknown = proposal("p1", notaries("notaries", &["pam", "nobody"]));
    assert_eq!(refused(hospital.propose(&unknown).await), RefusalCode::UnknownMember);
    consortium.carry("p1", notaries("notaries", &["pam", "clara"])).await;
    let group = consortium.person("gateway-clinic").governance().group(&id("notaries")).await.unwrap();
    assert_eq!(group.members, [(id("clara"), id("clinic")), (id("pam"), id("hospital"))].into());
    let explain = async |who: &str, whom: &str, permission| {
        let query = ExplainQuery { member: id(whom), permission };
        consortium.person(who).governance().explain(&query).await
    };
    let pam = explain("pam", "pam", Permission::Notarize).await.unwrap();
    assert_eq!((pam.may, pam.level), (true, Some(2)));
    assert_eq!(pam.authority, Authority::Granted(Basis::Group(id("notaries"))));
    let clara = explain("admin-clinic", "clara", Permission::DeclareEmergency).await.unwrap();
    assert_eq!((clara.may, clara.authority), (false, Authority::Withheld(Basis::Group(id("notaries")))));
    assert_eq!(refused(explain("clara", "pam", Permission::Notarize).await), RefusalCode::NotPermitted);
    assert_eq!(refused(explain("admin-clinic", "pam", Permission::Notarize).await), RefusalCode::OtherOrganisation);
    assert_eq!(refused(explain("admin-clinic", "nobody", Permission::Notarize).await), RefusalCode::UnknownMember);

    let members = [id("clara"), id("dora")].into();
    let change = Change::ChangeGroup { group: id("notaries"), privileges: privileges(), members };
    consortium.carry("p2", change).await;
    assert!(!explain("pam", "pam", Permission::Notarize).await.unwrap().may);
    let dora = explain("dora", "dora", Permission::DeclareEmergency).await.unwrap();
    assert!(!dora.may);
    consortium.carry("p3", Change::DissolveGroup { group: id("notaries") }).await;
    for name in ["clara", "dora"] {
        assert!(explain(name, name, Permission::DeclareEmergency).await.unwrap().may, "{name}");
    }
    let again = hospital.propose(&proposal("p4", notaries("notaries", &["pam"]))).await;
    assert_eq!(refused(again), RefusalCode::GroupExists);
    assert_eq!(refused(hospital.group(&id("nothing")).await), RefusalCode::UnknownGroup);
}

#[tokio::test]
async fn groups_and_proposals_are_listed_by_page() {
    let consortium = Consortium::new().await;
    for name in ["g1", "g2", "g3"] {
        consortium.carry(name, notaries(name, &["pam"])).await;
    }
    let hospital = consortium.person("admin-hospital").governance();
    for name in ["o1", "o2"] {
        hospital.propose(&proposal(name, admit(name))).await.unwrap();
    }
    let reader = consortium.person("alice").governance();
    let limit = Some(2.try_into().unwrap());
    let first = reader.groups(&GroupsQuery { page_token: None, limit }).await.unwrap();
    let second = reader.groups(&GroupsQuery { page_token: first.next_page_token, limit }).await.unwrap();
    let names: Vec<_> = first.items.iter().chain(&second.items).map(|group| group.id.as_str()).collect();
    assert_eq!((names, second.next_page_token), (vec!["g1", "g2", "g3"], None));

    let query = |open| ProposalsQuery { open, page_token: None, limit };
    let newest = reader.proposals(&query(false)).await.unwrap();
    let names: Vec<_> = newest.items.iter().map(|proposal| proposal.id.as_str()).collect();
    assert_eq!(names, ["o2", "o1"]);
    let next = ProposalsQuery { page_token: newest.next_page_token.clone(), ..query(false) };
    assert_eq!(reader.proposals(&next).await.unwrap().items[0].id, id("g3"));
    let of_another = ProposalsQuery { open: true, ..next };
    assert_eq!(refused(reader.proposals(&of_another).await), RefusalCode::PageTokenMismatch);
    let all = ProposalsQuery { limit: None, ..query(true) };
    let open = reader.proposals(&all).await.unwrap();
    assert_eq!((open.items.len(), open.next_page_token), (2, None));
}

#[tokio::test]
async fn settings_are_replaced_by_a_majority() {
    let consortium = Consortium::new().await;
    let hospital = consortium.person("admin-hospital").governance();
    assert_eq!(hospital.settings().await.unwrap(), Settings::default());
    let settings = Settings { proposal_days: 3, notarization_price: 100, ..Settings::default() };
    consortium.carry("p1", Change::ChangeSettings { settings: settings.clone() }).await;
    assert_eq!(consortium.person("alice").governance().settings().await.unwrap(), settings);
    let made = hospital.propose(&proposal("p2", admit("lab"))).await.unwrap();
    assert_eq!(made.expires, made.made.plus_days(3));
    let settings = Settings { proposal_days: 91, ..Settings::default() };
    let out_of_bounds = proposal("p3", Change::ChangeSettings { settings });
    assert_eq!(refused(hospital.propose(&out_of_bounds).await), RefusalCode::Malformed);
}

#[tokio::test]
async fn governance_is_refused_to_others_and_to_suspended_administrators() {
    let mut consortium = Consortium::new().await;
    consortium.person("admin-hospital").governance().propose(&proposal("p1", admit("lab"))).await.unwrap();
    consortium.add("second", "hospital", "client");
    let second = consortium.new_member("second", Role::Administrator);
    consortium.person("admin-hospital").members().register(&second).await.unwrap();
    consortium.suspend("second", "hospital").await;
    for (who, expected) in [
        ("carol", RefusalCode::NotPermitted),
        ("alice", RefusalCode::NotPermitted),
        ("gateway-hospital", RefusalCode::NotPermitted),
        ("second", RefusalCode::MemberSuspended),
    ] {
        let who = consortium.person(who).governance();
        assert_eq!(refused(who.propose(&proposal("p2", admit("lab"))).await), expected);
        assert_eq!(refused(who.vote(&approval("p1")).await), expected);
        assert_eq!(refused(who.withdraw(&id("p1")).await), expected);
    }
    let suspended = consortium.person("second").governance();
    assert_eq!(refused(suspended.proposal(&id("p1")).await), RefusalCode::MemberSuspended);
    assert_eq!(refused(suspended.proposals(&ProposalsQuery::default()).await), RefusalCode::MemberSuspended);
    assert_eq!(refused(suspended.groups(&GroupsQuery::default()).await), RefusalCode::MemberSuspended);
    assert_eq!(refused(suspended.group(&id("g")).await), RefusalCode::MemberSuspended);
    assert_eq!(refused(suspended.settings().await), RefusalCode::MemberSuspended);
    let explain = ExplainQuery { member: id("second"), permission: Permission::Notarize };
    assert_eq!(refused(suspended.explain(&explain).await), RefusalCode::MemberSuspended);

    let admin = consortium.person("admin-hospital").governance();
    assert_eq!(refused(admin.vote(&approval("nothing")).await), RefusalCode::UnknownProposal);
    assert_eq!(refused(admin.withdraw(&id("nothing")).await), RefusalCode::UnknownProposal);
    assert_eq!(refused(admin.proposal(&id("nothing")).await), RefusalCode::UnknownProposal);
}

#[tokio::test]
async fn malformed_and_oversized_arguments_are_refused() {
    let consortium = Consortium::new().await;
    let admin = consortium.person("admin-hospital");
    let privileges = json!({"level": 1, "grants": ["notarize"], "withholds": []});
    let many: Vec<String> = (0..257).map(|n| format!("m{n}")).collect();
    for change in [
        json!({}),
        json!({"change": "make-coffee"}),
        json!({"change": "admit-organisation", "msp_id": "a b", "kind": "payer"}),
        json!({"change": "admit-organisation", "msp_id": "lab", "kind": "bank"}),
        json!({"change": "admit-organisation", "msp_id": "lab", "kind": "payer", "more": 1}),
        json!({"change": "expel-organisation", "msp_id": "clinic", "reason": "x".repeat(201)}),
        json!({"change": "make-group", "group": "G", "privileges": privileges, "members": ["pam"]}),
        json!({"change": "make-group", "group": "g", "privileges": privileges, "members": many}),
        json!({"change": "make-group", "group": "g", "privileges": {"level": 1, "grants": ["fly"], "withholds": []}, "members": ["pam"]}),
        json!({"change": "change-settings", "settings": {"proposal_days": -1}}),
        json!({"change": "change-settings", "settings": {"unheard_of": 1}}),
    ] {
        let argument = json!({"proposal": "p1", "change": change});
        assert_eq!(admin.status_of("Governance:propose", argument.clone()).await, 400, "{argument}");
    }
    for (function, argument) in [
        ("vote", json!({"proposal": "p1", "choice": "abstain"})),
        ("vote", json!({"proposal": "p1", "choice": "approve", "reason": ""})),
        ("vote", json!({"proposal": "p".repeat(65), "choice": "approve"})),
        ("withdraw", json!("NO ID")),
        ("proposal", json!("NO ID")),
        ("proposals", json!({"limit": 101})),
        ("groups", json!({"limit": 0})),
        ("group", json!("NO ID")),
        ("explain", json!({"member": "pam", "permission": "fly"})),
    ] {
        assert_eq!(admin.status_of(&format!("Governance:{function}"), argument).await, 400, "{function}");
    }
}
