use healthchain_interface::{PermittedQuery, PublishLink, RecipientsQuery, WithdrawLink};
use healthchain_rules::*;
use serde_json::json;

use crate::consortium::*;

pub(crate) fn query(purpose: Purpose) -> PermittedQuery {
    PermittedQuery { patient: id("alice"), purpose, page_token: None, limit: None }
}

async fn listed(consortium: &Consortium, who: &str, purpose: Purpose) -> Vec<String> {
    let page = consortium.person(who).links().permitted(&query(purpose)).await.unwrap();
    assert_eq!(page.next_page_token, None);
    page.items.into_iter().map(|item| item.link.into()).collect()
}

pub(crate) fn withdrawal(link: &str) -> WithdrawLink {
    WithdrawLink { link: id(link), reason: id("wrong patient"), superseded_by: None }
}

#[tokio::test]
async fn a_clinician_publishes_a_link_once() {
    let consortium = Consortium::new().await;
    let call = consortium.publication("l1", Category::Summary).await;
    let holders: Vec<&Holder> = call.envelopes.iter().map(|envelope| &envelope.holder).collect();
    let organisation = |name| Holder::Organisation(id(name));
    assert_eq!(holders, [&Holder::Member(id("alice")), &organisation("hospital"), &organisation("clinic")]);

    let carol = consortium.person("carol").links();
    let link = carol.publish(&call).await.unwrap();
    assert_eq!((link.publisher.as_str(), link.current.by.as_str(), link.current.number), ("hospital", "carol", 1));
    assert_eq!(carol.publish(&call).await.unwrap(), link, "repeated");
    assert_eq!(consortium.person("dora").links().publish(&call).await.unwrap(), link, "repeated by a colleague");
    let other = PublishLink { content_length: 7, ..call };
    assert_eq!(refused(carol.publish(&other).await), RefusalCode::LinkExists);
    assert_eq!(carol.link(&id("l1")).await.unwrap(), link);
}

#[tokio::test]
async fn publication_is_refused_to_everybody_but_clinicians() {
    let consortium = Consortium::new().await;
    let call = consortium.publication("l1", Category::Summary).await;
    let query = RecipientsQuery { patient: id("alice"), category: Category::Summary };
    for other in ["alice", "pia", "phil", "pam", "max", "admin-hospital"] {
        let other = consortium.person(other).links();
        assert_eq!(refused(other.publish(&call).await), RefusalCode::NotPermitted);
        assert_eq!(refused(other.recipients(&query).await), RefusalCode::NotPermitted);
    }
    let gateway = consortium.person("gateway-hospital").links();
    assert_eq!(refused(gateway.publish(&call).await), RefusalCode::NotPermitted);
    assert!(gateway.recipients(&query).await.is_ok());
    let payer = consortium.person("gateway-payer").links();
    assert_eq!(refused(payer.recipients(&query).await), RefusalCode::NotPermitted);
    consortium.suspend("carol", "hospital").await;
    let carol = consortium.person("carol").links();
    assert_eq!(refused(carol.publish(&call).await), RefusalCode::MemberSuspended);
    assert_eq!(refused(carol.recipients(&query).await), RefusalCode::MemberSuspended);
}

#[tokio::test]
async fn publication_is_refused_for_unknown_patients_and_with_wrong_envelopes() {
    let consortium = Consortium::new().await;
    let carol = consortium.person("carol");
    let call = consortium.publication("l1", Category::Summary).await;
    for not_a_patient in ["nobody", "pia"] {
        let other = PublishLink { patient: id(not_a_patient), ..call.clone() };
        assert_eq!(refused(carol.links().publish(&other).await), RefusalCode::UnknownPatient);
        let query = RecipientsQuery { patient: id(not_a_patient), category: Category::Summary };
        assert_eq!(refused(carol.links().recipients(&query).await), RefusalCode::UnknownPatient);
    }
    let with = |envelopes| PublishLink { envelopes, ..call.clone() };
    assert_eq!(refused(carol.links().publish(&with(Vec::new())).await), RefusalCode::EnvelopeMissing);
    let payers_key = consortium.person("gateway-payer").encryption_key.clone();
    let payer = consortium.person("pia").organisations().organisation(&id("payer")).await.unwrap();
    assert_eq!(payer.encryption_key().unwrap().public_key, payers_key);
    let stranger = Envelope {
        holder: Holder::Organisation(id("payer")),
        recipient_key_hash: payer.encryption_key().unwrap().key_hash.clone(),
        sealed: id("c2VhbGVk"),
    };
    let with_stranger = with([call.envelopes.clone(), vec![stranger]].concat());
    assert_eq!(refused(carol.links().publish(&with_stranger).await), RefusalCode::EnvelopeNotWanted);
}

#[tokio::test]
async fn malformed_and_oversized_publications_are_refused() {
    let consortium = Consortium::new().await;
    let carol = consortium.person("carol");
    let call = consortium.publication("l1", Category::Summary).await;
    for length in [0, limit::CONTENT_BYTES + 1] {
        let other = PublishLink { content_length: length, ..call.clone() };
        assert_eq!(refused(carol.links().publish(&other).await), RefusalCode::Malformed);
    }
    let envelopes = vec![call.envelopes[0].clone(); limit::ENVELOPES + 1];
    let many = PublishLink { envelopes, ..call.clone() };
    assert_eq!(refused(carol.links().publish(&many).await), RefusalCode::Malformed);
    let well_formed = serde_json::to_value(&call).unwrap();
    for (field, value) in [
        ("link", json!("x".repeat(65))),
        ("category", json!("diary")),
        ("content_hash", json!("00")),
        ("media_type", json!("text")),
        ("envelopes", json!([{"holder": {"member": "alice"}, "recipient_key_hash": "0", "sealed": ""}])),
        ("patient_name", json!("Alice")),
    ] {
        let mut call = well_formed.clone();
        call[field] = value;
        assert_eq!(carol.status_of("Links:publish", call).await, 400, "{field}");
    }
    let mut call = well_formed;
    call["envelopes"][0]["sealed"] = json!("A".repeat(2052));
    assert_eq!(carol.status_of("Links:publish", call).await, 400);
    assert_eq!(carol.status_of("Links:recipients", json!({"patient": "alice"})).await, 400);
}

#[tokio::test]
async fn a_link_is_unknown_to_those_who_have_nothing_to_do_with_it() {
    let consortium = Consortium::new().await;
    let link = consortium.publish("l1", Category::Summary).await;
    for reader in ["alice", "carol", "pam", "gateway-hospital", "clara"] {
        assert_eq!(consortium.person(reader).links().link(&id("l1")).await.unwrap(), link);
    }
    for stranger in ["bob", "pia", "phil", "gateway-payer", "gateway-clinic"] {
        assert_eq!(refused(consortium.person(stranger).links().link(&id("l1")).await), RefusalCode::UnknownLink);
    }
    assert_eq!(refused(consortium.person("alice").links().link(&id("l2")).await), RefusalCode::UnknownLink);
    consortium.grant(to_payer("c1", Effect::Permit)).await;
    assert!(consortium.person("pia").links().link(&id("l1")).await.is_ok());
    consortium.suspend("pia", "payer").await;
    assert_eq!(refused(consortium.person("pia").links().link(&id("l1")).await), RefusalCode::MemberSuspended);
    assert_eq!(consortium.person("alice").status_of("Links:link", json!("L 1")).await, 400);
}

#[tokio::test]
async fn everybody_lists_exactly_what_would_open() {
    let consortium = Consortium::new().await;
    for (name, category) in [
        ("summary", Category::Summary),
        ("allergy-1", Category::Allergy),
        ("allergy-2", Category::Allergy),
        ("secret", Category::Restricted),
    ] {
        consortium.publish(name, category).await;
    }
    let all = ["summary", "allergy-2", "allergy-1", "secret"];
    assert_eq!(listed(&consortium, "alice", Purpose::Personal).await, all);
    assert_eq!(listed(&consortium, "clara", Purpose::Treatment).await, all[..3]);
    assert_eq!(listed(&consortium, "phil", Purpose::Treatment).await, ["allergy-2", "allergy-1"]);
    assert!(listed(&consortium, "pia", Purpose::Payment).await.is_empty());
    assert!(listed(&consortium, "bob", Purpose::Personal).await.is_empty());
    assert!(listed(&consortium, "clara", Purpose::Payment).await.is_empty());

    consortium.grant(to_payer("all", Effect::Permit)).await;
    assert_eq!(listed(&consortium, "pia", Purpose::Payment).await, all);
    let one = Scope::Links([id("allergy-1")].into());
    consortium.grant(healthchain_interface::GrantConsent { scope: one, ..to_payer("not-one", Effect::Deny) }).await;
    assert_eq!(listed(&consortium, "pia", Purpose::Payment).await, ["summary", "allergy-2", "secret"]);
    consortium.person("alice").consents().revoke(&revocation("all")).await.unwrap();
    assert!(listed(&consortium, "pia", Purpose::Payment).await.is_empty());
}

#[tokio::test]
async fn links_that_a_consent_names_are_listed_too_and_only_once() {
    let consortium = Consortium::new().await;
    for name in ["s1", "s2", "s3"] {
        consortium.publish(name, Category::Summary).await;
    }
    consortium.publish("secret", Category::Restricted).await;
    let named = Scope::Links([id("s1"), id("s3"), id("secret")].into());
    let call = healthchain_interface::GrantConsent { scope: named, ..to_payer("named", Effect::Permit) };
    consortium.grant(call).await;
    assert_eq!(listed(&consortium, "pia", Purpose::Payment).await, ["s1", "s3", "secret"]);

    let summaries = Scope::Categories([Category::Summary].into());
    let call = healthchain_interface::GrantConsent { scope: summaries, ..to_payer("summaries", Effect::Permit) };
    consortium.grant(call).await;
    assert_eq!(listed(&consortium, "pia", Purpose::Payment).await, ["s3", "s2", "s1", "secret"]);
}

#[tokio::test]
async fn pages_hold_each_link_once_in_the_same_order() {
    let consortium = Consortium::new().await;
    for n in 0..4 {
        consortium.publish(&format!("s{n}"), Category::Summary).await;
        consortium.publish(&format!("i{n}"), Category::Immunization).await;
    }
    consortium.publish("secret-1", Category::Restricted).await;
    consortium.publish("secret-2", Category::Restricted).await;
    let named = Scope::Links([id("secret-1"), id("secret-2")].into());
    let to_clinic = healthchain_interface::GrantConsent {
        grantee: Grantee::Organisation(id("clinic")),
        scope: named,
        purposes: [Purpose::Treatment].into(),
        ..to_payer("named", Effect::Permit)
    };
    consortium.grant(to_clinic).await;
    let whole = listed(&consortium, "clara", Purpose::Treatment).await;
    assert_eq!(whole.len(), 10);
    for limit in [1, 3, 4, 9, 10] {
        let mut query = PermittedQuery { limit: Some(limit.try_into().unwrap()), ..query(Purpose::Treatment) };
        let mut paged: Vec<String> = Vec::new();
        loop {
            let page = consortium.person("clara").links().permitted(&query).await.unwrap();
            assert!(page.items.len() <= limit as usize);
            paged.extend(page.items.into_iter().map(|item| String::from(item.link)));
            query.page_token = page.next_page_token;
            if query.page_token.is_none() {
                break;
            }
        }
        assert_eq!(paged, whole, "pages of {limit}");
    }
}

#[tokio::test]
async fn listing_is_refused_with_foreign_tokens_wrong_roles_and_unknown_patients() {
    let consortium = Consortium::new().await;
    for name in ["s1", "s2"] {
        consortium.publish(name, Category::Summary).await;
    }
    let clara = consortium.person("clara");
    let first = PermittedQuery { limit: Some(1.try_into().unwrap()), ..query(Purpose::Treatment) };
    let token = clara.links().permitted(&first).await.unwrap().next_page_token;
    assert!(token.is_some());
    let other_patient = PermittedQuery { patient: id("bob"), page_token: token.clone(), ..first.clone() };
    assert_eq!(refused(clara.links().permitted(&other_patient).await), RefusalCode::PageTokenMismatch);
    let other_purpose = PermittedQuery { purpose: Purpose::Research, page_token: token, ..first };
    assert_eq!(refused(clara.links().permitted(&other_purpose).await), RefusalCode::PageTokenMismatch);
    for (field, value) in [
        ("page_token", json!("a b")),
        ("page_token", json!("A".repeat(513))),
        ("limit", json!(0)),
        ("limit", json!(101)),
    ] {
        let mut call = serde_json::to_value(query(Purpose::Treatment)).unwrap();
        call[field] = value;
        assert_eq!(clara.status_of("Links:permitted", call).await, 400, "{field}");
    }
    let nobody = PermittedQuery { patient: id("nobody"), ..query(Purpose::Treatment) };
    assert_eq!(refused(clara.links().permitted(&nobody).await), RefusalCode::UnknownPatient);
    for other in ["max", "pam", "admin-hospital", "gateway-hospital"] {
        let other = consortium.person(other).links();
        assert_eq!(refused(other.permitted(&query(Purpose::Treatment)).await), RefusalCode::NotPermitted);
    }
    consortium.suspend("clara", "clinic").await;
    assert_eq!(refused(clara.links().permitted(&query(Purpose::Treatment)).await), RefusalCode::MemberSuspended);
}

#[tokio::test]
async fn a_withdrawn_link_is_listed_and_opened_no_more() {
    let consortium = Consortium::new().await;
    consortium.publish("l1", Category::Summary).await;
    let carol = consortium.person("carol").links();
    let link = carol.withdraw(&withdrawal("l1")).await.unwrap();
    assert!(matches!(&link.state, LinkState::Withdrawn { .. }));
    assert_eq!(carol.withdraw(&withdrawal("l1")).await.unwrap(), link, "repeated");
    let other = WithdrawLink { reason: id("other"), ..withdrawal("l1") };
    assert_eq!(refused(carol.withdraw(&other).await), RefusalCode::LinkWithdrawn);
    assert!(listed(&consortium, "alice", Purpose::Personal).await.is_empty());
    let opened = consortium.open("alice", "l1", Purpose::Personal).await;
    assert_eq!(
        opened.opening.decision,
        Decision::Denied { reason: Denial::LinkWithdrawn, exception: Some(Exception::PreventingHarm), provision: None }
    );
    assert_eq!(opened.envelope, None);
}

#[tokio::test]
async fn a_withdrawn_link_names_the_one_that_replaces_it() {
    let consortium = Consortium::new().await;
    for link in ["old", "new", "other"] {
        consortium.publish(link, Category::Summary).await;
    }
    let carol = consortium.person("carol").links();
    let superseded_by = |link: &str| WithdrawLink { superseded_by: Some(id(link)), ..withdrawal("old") };
    assert_eq!(refused(carol.withdraw(&superseded_by("nowhere")).await), RefusalCode::SupersedingLink);
    assert_eq!(refused(carol.withdraw(&superseded_by("old")).await), RefusalCode::SupersedingLink);
    carol.withdraw(&withdrawal("other")).await.unwrap();
    assert_eq!(refused(carol.withdraw(&superseded_by("other")).await), RefusalCode::SupersedingLink);
    let gone = carol.withdraw(&superseded_by("new")).await.unwrap();
    let LinkState::Withdrawn { superseded_by: named, .. } = &gone.state else { panic!("{gone:?}") };
    assert_eq!(*named, Some(id("new")));
    assert_eq!(carol.withdraw(&superseded_by("new")).await.unwrap(), gone, "repeated");
    assert_eq!(refused(carol.withdraw(&withdrawal("old")).await), RefusalCode::LinkWithdrawn);
    let malformed = json!({"link": "old", "reason": "replaced", "superseded_by": "N 1"});
    assert_eq!(consortium.person("carol").status_of("Links:withdraw", malformed).await, 400);
}

#[tokio::test]
async fn withdrawal_is_refused_to_all_but_the_publishers_clinicians() {
    let consortium = Consortium::new().await;
    consortium.publish("l1", Category::Summary).await;
    for (who, expected) in [
        ("clara", RefusalCode::UnknownLink),
        ("pia", RefusalCode::UnknownLink),
        ("alice", RefusalCode::OtherOrganisation),
        ("pam", RefusalCode::NotPermitted),
        ("gateway-hospital", RefusalCode::NotPermitted),
    ] {
        assert_eq!(refused(consortium.person(who).links().withdraw(&withdrawal("l1")).await), expected, "{who}");
    }
    let carol = consortium.person("carol");
    assert_eq!(refused(carol.links().withdraw(&withdrawal("l2")).await), RefusalCode::UnknownLink);
    let malformed = json!({"link": "l1", "reason": "x".repeat(201)});
    assert_eq!(carol.status_of("Links:withdraw", malformed).await, 400);
    consortium.suspend("carol", "hospital").await;
    assert_eq!(refused(carol.links().withdraw(&withdrawal("l1")).await), RefusalCode::MemberSuspended);
}
