use healthchain_interface::{
    AmendmentsClient, AmendmentsQuery, ApproveAmendment, DeployAgent, PermittedQuery, ProposeAmendment,
    RejectAmendment, VersionsQuery, WithdrawAmendment, WithdrawLink,
};
use healthchain_rules::*;
use serde_json::json;

use crate::consortium::*;

/// Carol's amendment of a link of alice, ready to be sent: with envelopes for all recipients.
pub(crate) async fn proposal(
    consortium: &Consortium,
    amendment: &str,
    link: &str,
    base_version: u32,
) -> ProposeAmendment {
    let like = consortium.publication(link, Category::Summary).await;
    ProposeAmendment {
        amendment: id(amendment),
        link: id(link),
        base_version,
        content_hash: hash(amendment),
        content_length: 2000,
        commitment: hash("next commitment"),
        media_type: id("application/fhir+json"),
        reason: id("result corrected"),
        envelopes: like.envelopes,
    }
}

pub(crate) async fn propose(consortium: &Consortium, amendment: &str, base_version: u32) -> Amendment {
    let call = proposal(consortium, amendment, "l1", base_version).await;
    consortium.person("carol").amendments().propose(&call).await.unwrap()
}

pub(crate) fn approval(amendment: &str) -> ApproveAmendment {
    ApproveAmendment { amendment: id(amendment) }
}

pub(crate) fn rejection(amendment: &str) -> RejectAmendment {
    RejectAmendment { amendment: id(amendment), reason: id("wrong dose") }
}

pub(crate) fn withdrawal(amendment: &str) -> WithdrawAmendment {
    WithdrawAmendment { amendment: id(amendment) }
}

pub(crate) fn versions(link: &str) -> VersionsQuery {
    VersionsQuery { link: id(link), page_token: None, limit: None }
}

async fn standing(consortium: &Consortium, who: &str, amendment: &str) -> AmendmentStanding {
    consortium.person(who).amendments().amendment(&id(amendment)).await.unwrap().standing
}

#[tokio::test]
async fn an_approved_amendment_is_the_links_next_version_and_the_former_one_stays_visible() {
    let consortium = Consortium::new().await;
    let publication = consortium.publication("l1", Category::Summary).await;
    let published = consortium.person("carol").links().publish(&publication).await.unwrap();
    let call = proposal(&consortium, "a1", "l1", 1).await;
    let carol = consortium.person("carol").amendments();
    let proposed = carol.propose(&call).await.unwrap();
    assert_eq!((proposed.quorum, proposed.version.number, &proposed.state), (1, 2, &AmendmentState::Open));
    assert_eq!(carol.propose(&call).await.unwrap(), proposed, "repeated");
    assert_eq!(consortium.person("dora").amendments().propose(&call).await.unwrap(), proposed, "by a colleague");
    let other = ProposeAmendment { content_length: 7, ..call.clone() };
    assert_eq!(refused(carol.propose(&other).await), RefusalCode::AmendmentExists);
    let before = consortium.open("clara", "l1", Purpose::Treatment).await;
    assert_eq!(before.opening.version, 1);
    assert_eq!(standing(&consortium, "clara", "a1").await, AmendmentStanding::Open);

    let clara = consortium.person("clara").amendments();
    let activated = clara.approve(&approval("a1")).await.unwrap();
    assert!(matches!(activated.state, AmendmentState::Activated { .. }));
    assert_eq!(clara.approve(&approval("a1")).await.unwrap(), activated, "repeated");
    assert_eq!(carol.propose(&call).await.unwrap(), activated, "repeated");
    let links = consortium.person("alice").links();
    let link = links.link(&id("l1")).await.unwrap();
    assert_eq!(link, Link { current: proposed.version.clone(), ..published.clone() });
    assert_eq!(consortium.person("carol").links().publish(&publication).await.unwrap(), link, "repeated");

    let query = PermittedQuery { patient: id("alice"), purpose: Purpose::Treatment, page_token: None, limit: None };
    let listed = consortium.person("clara").links().permitted(&query).await.unwrap().items;
    assert_eq!(listed.iter().map(|item| (item.version, item.content_length)).collect::<Vec<_>>(), [(2, 2000)]);
    let after = consortium.open("clara", "l1", Purpose::Treatment).await;
    assert_eq!((after.opening.version, after.envelope.is_some()), (2, true));
    let gateway = consortium.person("gateway-hospital").links();
    assert!(gateway.in_force(&after.opening.transaction).await.is_ok());
    assert_eq!(refused(gateway.in_force(&before.opening.transaction).await), RefusalCode::OpeningNotInForce);
    for version in [1, 2] {
        assert!(gateway.custodian_envelope(&id("l1"), &version).await.is_ok());
    }

    let former = links.versions(&versions("l1")).await.unwrap();
    let AmendmentState::Activated { at } = activated.state else { panic!() };
    let first = VersionOfLink { version: published.current, superseded: Some(at) };
    assert_eq!((former.items, former.next_page_token), (vec![first.clone()], None));
    assert_eq!(links.version(&id("l1"), &1).await.unwrap(), first);
    let current = VersionOfLink { version: proposed.version, superseded: None };
    assert_eq!(links.version(&id("l1"), &2).await.unwrap(), current);
    assert_eq!(refused(links.version(&id("l1"), &3).await), RefusalCode::UnknownVersion);
    let stranger = consortium.person("pia").links();
    assert_eq!(refused(stranger.version(&id("l1"), &1).await), RefusalCode::UnknownLink);
    assert_eq!(refused(stranger.versions(&versions("l1")).await), RefusalCode::UnknownLink);
    consortium.suspend("clara", "clinic").await;
    let clara = consortium.person("clara").links();
    assert_eq!(refused(clara.version(&id("l1"), &1).await), RefusalCode::MemberSuspended);
    assert_eq!(refused(clara.versions(&versions("l1")).await), RefusalCode::MemberSuspended);
}

#[tokio::test]
async fn former_versions_are_paged_the_latest_first() {
    let consortium = Consortium::new().await;
    consortium.publish("l1", Category::Summary).await;
    for (base, amendment) in (1..).zip(["a1", "a2", "a3"]) {
        propose(&consortium, amendment, base).await;
        consortium.person("clara").amendments().approve(&approval(amendment)).await.unwrap();
    }
    let alice = consortium.person("alice");
    let mut query = VersionsQuery { limit: Some(2.try_into().unwrap()), ..versions("l1") };
    let first = alice.links().versions(&query).await.unwrap();
    assert_eq!(first.items.iter().map(|item| item.version.number).collect::<Vec<_>>(), [3, 2]);
    query.page_token = first.next_page_token;
    let second = alice.links().versions(&query).await.unwrap();
    assert_eq!(second.items.iter().map(|item| item.version.number).collect::<Vec<_>>(), [1]);
    assert_eq!(second.next_page_token, None);
    consortium.publish("l2", Category::Summary).await;
    let foreign = VersionsQuery { link: id("l2"), ..query.clone() };
    assert_eq!(refused(alice.links().versions(&foreign).await), RefusalCode::PageTokenMismatch);
    assert_eq!(alice.status_of("Links:versions", json!({"link": "l1", "limit": 101})).await, 400);
    assert_eq!(alice.status_of("Links:version", json!("L 1")).await, 400);

    let mut query = AmendmentsQuery { link: id("l1"), page_token: None, limit: Some(2.try_into().unwrap()) };
    let first = alice.amendments().of_link(&query).await.unwrap();
    assert_eq!(first.items.iter().map(|view| view.amendment.id.as_str()).collect::<Vec<_>>(), ["a3", "a2"]);
    query.page_token = first.next_page_token;
    let second = alice.amendments().of_link(&query).await.unwrap();
    assert_eq!(second.items.iter().map(|view| view.amendment.id.as_str()).collect::<Vec<_>>(), ["a1"]);
    assert_eq!((second.items[0].standing, second.next_page_token), (AmendmentStanding::Activated, None));
    let foreign = AmendmentsQuery { link: id("l2"), ..query };
    assert_eq!(refused(alice.amendments().of_link(&foreign).await), RefusalCode::PageTokenMismatch);
}

#[tokio::test]
async fn a_rejected_or_withdrawn_amendment_changes_nothing() {
    let consortium = Consortium::new().await;
    let published = consortium.publish("l1", Category::Summary).await;
    for amendment in ["a1", "a2"] {
        propose(&consortium, amendment, 1).await;
    }
    let clara = consortium.person("clara").amendments();
    let rejected = clara.reject(&rejection("a1")).await.unwrap();
    assert!(matches!(rejected.state, AmendmentState::Rejected { .. }));
    assert_eq!(clara.reject(&rejection("a1")).await.unwrap(), rejected, "repeated");
    assert_eq!(refused(clara.approve(&approval("a1")).await), RefusalCode::VoiceGiven);
    let carol = consortium.person("carol").amendments();
    let withdrawn = carol.withdraw(&withdrawal("a2")).await.unwrap();
    assert_eq!(carol.withdraw(&withdrawal("a2")).await.unwrap(), withdrawn, "repeated");
    assert_eq!(refused(clara.approve(&approval("a2")).await), RefusalCode::AmendmentClosed);
    assert_eq!(refused(clara.reject(&rejection("a2")).await), RefusalCode::AmendmentClosed);
    assert_eq!(refused(carol.withdraw(&withdrawal("a1")).await), RefusalCode::AmendmentClosed);
    assert_eq!(standing(&consortium, "alice", "a1").await, AmendmentStanding::Rejected);
    assert_eq!(standing(&consortium, "gateway-hospital", "a2").await, AmendmentStanding::Withdrawn);
    assert_eq!(consortium.person("alice").links().link(&id("l1")).await.unwrap(), published);
}

#[tokio::test]
async fn the_second_amendment_of_a_version_is_told_that_another_was_first() {
    let consortium = Consortium::new().await;
    consortium.publish("l1", Category::Summary).await;
    for amendment in ["a1", "a2"] {
        propose(&consortium, amendment, 1).await;
    }
    let clara = consortium.person("clara").amendments();
    clara.approve(&approval("a2")).await.unwrap();
    assert_eq!(refused(clara.approve(&approval("a1")).await), RefusalCode::AmendmentConflict);
    assert_eq!(refused(clara.reject(&rejection("a1")).await), RefusalCode::AmendmentConflict);
    assert_eq!(standing(&consortium, "carol", "a1").await, AmendmentStanding::Superseded);
    let carol = consortium.person("carol").amendments();
    let late = proposal(&consortium, "a3", "l1", 1).await;
    assert_eq!(refused(carol.propose(&late).await), RefusalCode::AmendmentConflict);
    assert!(carol.propose(&ProposeAmendment { base_version: 2, ..late }).await.is_ok());
}

#[tokio::test]
async fn an_amendment_that_nobody_decided_on_expires_after_two_weeks() {
    let consortium = Consortium::new().await;
    consortium.publish("l1", Category::Summary).await;
    propose(&consortium, "a1", 1).await;
    let clara = |hours| AmendmentsClient::new(consortium.person("clara").later(hours));
    let view = async |hours| clara(hours).amendment(&id("a1")).await.unwrap().standing;
    assert_eq!(view(14 * 24 - 1).await, AmendmentStanding::Open);
    assert_eq!(view(14 * 24).await, AmendmentStanding::Expired);
    assert_eq!(refused(clara(14 * 24).approve(&approval("a1")).await), RefusalCode::AmendmentClosed);
    assert!(clara(14 * 24 - 1).approve(&approval("a1")).await.is_ok());
}

#[tokio::test]
async fn proposing_is_refused_to_all_but_the_publishers_clinicians() {
    let consortium = Consortium::new().await;
    consortium.publish("l1", Category::Summary).await;
    let call = proposal(&consortium, "a1", "l1", 1).await;
    for (who, expected) in [
        ("clara", RefusalCode::UnknownLink),
        ("pia", RefusalCode::UnknownLink),
        ("alice", RefusalCode::OtherOrganisation),
        ("pam", RefusalCode::NotPermitted),
        ("gateway-hospital", RefusalCode::NotPermitted),
    ] {
        assert_eq!(refused(consortium.person(who).amendments().propose(&call).await), expected, "{who}");
    }
    let carol = consortium.person("carol");
    let nowhere = ProposeAmendment { link: id("l2"), ..call.clone() };
    assert_eq!(refused(carol.amendments().propose(&nowhere).await), RefusalCode::UnknownLink);
    let bare = ProposeAmendment { envelopes: Vec::new(), ..call.clone() };
    assert_eq!(refused(carol.amendments().propose(&bare).await), RefusalCode::EnvelopeMissing);
    let mut strange = call.clone();
    strange.envelopes[0].recipient_key_hash = hash("old");
    assert_eq!(refused(carol.amendments().propose(&strange).await), RefusalCode::EnvelopeNotWanted);
    let empty = ProposeAmendment { content_length: 0, ..call.clone() };
    assert_eq!(refused(carol.amendments().propose(&empty).await), RefusalCode::Malformed);
    for (field, value) in [
        ("amendment", json!("x".repeat(65))),
        ("base_version", json!(-1)),
        ("content_hash", json!("00")),
        ("reason", json!("x".repeat(201))),
        ("category", json!("claim")),
    ] {
        let mut call = serde_json::to_value(&call).unwrap();
        call[field] = value;
        assert_eq!(carol.status_of("Amendments:propose", call).await, 400, "{field}");
    }
    let withdrawal = WithdrawLink { link: id("l1"), reason: id("wrong patient"), superseded_by: None };
    carol.links().withdraw(&withdrawal).await.unwrap();
    assert_eq!(refused(carol.amendments().propose(&call).await), RefusalCode::LinkWithdrawn);
    consortium.suspend("carol", "hospital").await;
    assert_eq!(refused(carol.amendments().propose(&call).await), RefusalCode::MemberSuspended);
}

#[tokio::test]
async fn voices_are_refused_to_all_but_clinicians_of_other_care_organisations() {
    let consortium = Consortium::new().await;
    consortium.publish("l1", Category::Summary).await;
    propose(&consortium, "a1", 1).await;
    for who in ["carol", "dora", "pam", "alice", "pia", "phil", "gateway-clinic", "admin-clinic"] {
        let other = consortium.person(who).amendments();
        assert_eq!(refused(other.approve(&approval("a1")).await), RefusalCode::NotPermitted, "{who}");
        assert_eq!(refused(other.reject(&rejection("a1")).await), RefusalCode::NotPermitted, "{who}");
    }
    for who in ["pam", "alice", "gateway-hospital"] {
        let other = consortium.person(who).amendments();
        assert_eq!(refused(other.withdraw(&withdrawal("a1")).await), RefusalCode::NotPermitted, "{who}");
    }
    let clara = consortium.person("clara");
    assert_eq!(refused(clara.amendments().withdraw(&withdrawal("a1")).await), RefusalCode::UnknownAmendment);
    assert_eq!(refused(clara.amendments().approve(&approval("a2")).await), RefusalCode::UnknownAmendment);
    assert_eq!(refused(clara.amendments().reject(&rejection("a2")).await), RefusalCode::UnknownAmendment);
    assert_eq!(refused(clara.amendments().amendment(&id("a2")).await), RefusalCode::UnknownAmendment);
    let of_link = AmendmentsQuery { link: id("l1"), page_token: None, limit: None };
    for who in ["pia", "bob", "gateway-clinic", "admin-clinic"] {
        let stranger = consortium.person(who).amendments();
        assert_eq!(refused(stranger.amendment(&id("a1")).await), RefusalCode::UnknownAmendment, "{who}");
        assert_eq!(refused(stranger.of_link(&of_link).await), RefusalCode::UnknownLink, "{who}");
    }
    for (function, malformed) in [
        ("Amendments:approve", json!({"amendment": "A 1"})),
        ("Amendments:reject", json!({"amendment": "a1", "reason": "x".repeat(201)})),
        ("Amendments:withdraw", json!({"amendment": "a1", "reason": "none asked for"})),
        ("Amendments:amendment", json!("A 1")),
        ("Amendments:ofLink", json!({"link": "l1", "limit": 0})),
    ] {
        assert_eq!(clara.status_of(function, malformed).await, 400, "{function}");
    }
    consortium.suspend("clara", "clinic").await;
    assert_eq!(refused(clara.amendments().approve(&approval("a1")).await), RefusalCode::MemberSuspended);
    assert_eq!(refused(clara.amendments().reject(&rejection("a1")).await), RefusalCode::MemberSuspended);
    assert_eq!(refused(clara.amendments().amendment(&id("a1")).await), RefusalCode::MemberSuspended);
    assert_eq!(refused(clara.amendments().of_link(&of_link).await), RefusalCode::MemberSuspended);
    assert_eq!(standing(&consortium, "alice", "a1").await, AmendmentStanding::Open);
}

#[tokio::test]
async fn an_organisations_agent_approves_like_a_member_and_is_marked_everywhere() {
    let mut consortium = Consortium::new().await;
    consortium.add("verifier", "clinic", "client");
    let verifier = consortium.person("verifier");
    consortium.publish("l1", Category::Summary).await;
    let until = propose(&consortium, "a1", 1).await.until;
    let charter = DeployAgent {
        agent: id("verifier"),
        owner: id("clara"),
        key_hash: verifier.key_hash.clone(),
        encryption_key: verifier.encryption_key.clone(),
        functions: [id("Amendments:approve")].into(),
        purposes: [].into(),
        categories: [].into(),
        calls_a_day: 9,
        epsilon_a_day: 0,
        until,
    };
    consortium.person("admin-clinic").agents().deploy(&charter).await.unwrap();
    let verifier = consortium.person("verifier").amendments();
    assert_eq!(refused(verifier.reject(&rejection("a1")).await), RefusalCode::AgentNotPermitted);
    let activated = verifier.approve(&approval("a1")).await.unwrap();
    let voice = activated.voices[&id("clinic")].clone().unwrap();
    assert_eq!((voice.by, voice.owner), (id("verifier"), Some(id("clara"))));

    let entries = consortium.person("alice").trail(Trail::OfPatient(id("alice"))).await;
    let acts: Vec<_> = entries.iter().map(|entry| serde_json::to_value(&entry.act).unwrap()).collect();
    let of = |tag: &str| acts.iter().find(|act| act["act"] == tag).unwrap().clone();
    let said = json!({"amendment": "a1", "link": "l1", "version": 2});
    let with = |tag: &str, by_agent: Option<bool>| {
        let mut act = said.clone();
        act["act"] = json!(tag);
        by_agent.into_iter().for_each(|by_agent| act["by_agent"] = json!(by_agent));
        act
    };
    assert_eq!(of("amendment-proposed"), with("amendment-proposed", None));
    assert_eq!(of("amendment-activated"), with("amendment-activated", Some(true)));
}
