//! Amending: who proposes, who is asked, what decides, and what must hold over any history of it.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::*;
use healthchain_rules::amending::{
    AmendmentDraft, Effects, MayAmend, Pending, ProposalState, decide_approval, decide_proposal, decide_proposing,
    decide_rejection, decide_withdrawal,
};
use healthchain_rules::amendment::{AmendmentAct, decide_reading};
use healthchain_rules::*;
use proptest::prelude::*;

const DAY: i64 = 86_400_000;

/// A link with its amendments, as a ledger would keep them.
struct World {
    link: Link,
    former: Vec<VersionOfLink>,
    amendments: BTreeMap<String, Amendment>,
    open: OpenAmendments,
    settings: Settings,
    organisations: Vec<Organisation>,
    effects: Option<Effects>,
}

impl World {
    /// Of the hospital and so many other care organisations: `clinic-0`, `clinic-1`, …; others are never asked.
    fn with(others: usize) -> Self {
        let left = Organisation { state: OrganisationState::Left { at: NOW }, ..clinic() };
        let organisations = [hospital(), left, home(Role::PayerOfficer), home(Role::Pharmacist)];
        Self {
            link: link("l", Category::Summary),
            former: Vec::new(),
            amendments: BTreeMap::new(),
            open: OpenAmendments::default(),
            settings: Settings::default(),
            organisations: organisations.into_iter().chain((0..others).map(other)).collect(),
            effects: None,
        }
    }

    fn propose_as(&mut self, caller: &Caller, draft: AmendmentDraft, when: i64) -> Result<Amendment, Refusal> {
        self.propose_with(caller, draft, &envelopes(), when)
    }

    fn propose_with(
        &mut self,
        caller: &Caller,
        draft: AmendmentDraft,
        envelopes: &[Envelope],
        when: i64,
    ) -> Result<Amendment, Refusal> {
        let state = ProposalState {
            existing: self.amendments.get(draft.id.as_str()).cloned(),
            open: self.open.clone(),
            organisations: &self.organisations,
            recipients: &recipients(),
            settings: &self.settings,
        };
        let outcome = decide_proposal(caller, self.link.clone(), state, draft, envelopes, at(when))?;
        Ok(self.apply(outcome))
    }

    fn propose(&mut self, name: &str) -> Result<Amendment, Refusal> {
        self.propose_as(&carol(), draft(name, self.link.current.number), 0)
    }

    fn approve(&mut self, caller: &Caller, name: &str, when: i64) -> Result<Amendment, Refusal> {
        let outcome = decide_approval(caller, self.pending(name), at(when))?;
        Ok(self.apply(outcome))
    }

    fn reject(&mut self, caller: &Caller, name: &str, when: i64) -> Result<Amendment, Refusal> {
        let outcome = decide_rejection(caller, self.pending(name), id("wrong dose"), at(when))?;
        Ok(self.apply(outcome))
    }

    fn withdraw(&mut self, caller: &Caller, name: &str, when: i64) -> Result<Amendment, Refusal> {
        let outcome = decide_withdrawal(caller, self.pending(name), at(when))?;
        Ok(self.apply(outcome))
    }

    fn standing(&self, name: &str, when: i64) -> AmendmentStanding {
        self.amendments[name].standing(&self.link, at(when))
    }

    fn pending(&self, name: &str) -> Option<Pending> {
        let amendment = self.amendments.get(name)?.clone();
        Some(Pending { amendment, link: self.link.clone(), open: self.open.clone() })
    }

    /// Effects are none when the call was a repetition.
    fn apply(&mut self, outcome: Outcome<Amendment, MayAmend>) -> Amendment {
        self.effects = None;
        match outcome {
            Outcome::Repeated(amendment) => amendment,
            Outcome::Decided(amendment, proof) => {
                let effects = proof.effects().clone();
                self.amendments.insert(amendment.id.to_string(), amendment.clone());
                self.open = effects.open.clone();
                if let Some((link, former)) = effects.activated.clone() {
                    self.link = link;
                    self.former.push(former);
                }
                self.effects = Some(effects);
                amendment
            }
        }
    }

    fn act(&self) -> &AmendmentAct {
        &self.effects.as_ref().unwrap().act
    }
}

fn other(number: usize) -> Organisation {
    organisation(&format!("clinic-{number}"), OrganisationKind::SecondaryCare)
}

fn carol() -> Caller {
    caller("carol", Role::Clinician)
}

/// A clinician of another care organisation.
fn clara(number: usize) -> Caller {
    caller_of(other(number), &format!("clara-{number}"), Role::Clinician)
}

/// A clinician's agent, chartered to propose and to approve, which calls a function.
fn agent_of(organisation: Organisation, function: &str) -> Caller {
    let owner = member_of(&organisation, "owner", Role::Clinician);
    let mut actor = actor_of(organisation, "verifier", Role::Agent);
    let charter = Charter {
        agent: id("verifier"),
        owner: id("owner"),
        functions: [id("Amendments:propose"), id("Amendments:approve")].into(),
        purposes: BTreeSet::new(),
        categories: BTreeSet::new(),
        calls_a_day: 1,
        epsilon_a_day: 0,
        until: at(DAY),
        state: CharterState::Running,
    };
    let (used, function) = (DayUse::default(), Some(id(function)));
    actor.agent = Some(AgentAtWork { charter, owner, used, function, at: at(1) });
    Caller::Member(Box::new(actor))
}

fn draft(name: &str, base_version: u32) -> AmendmentDraft {
    AmendmentDraft {
        id: id(name),
        base_version,
        content: Content { hash: hash(name), ..content() },
        commitment: hash("next commitment"),
        reason: id("result corrected"),
    }
}

fn recipients() -> Vec<Recipient> {
    [Holder::Member(id("alice")), Holder::Organisation(id("hospital")), Holder::Organisation(id("clinic-0"))]
        .into_iter()
        .map(|holder| {
            let key = match &holder {
                Holder::Member(name) => key(name.as_str()),
                Holder::Organisation(name) => key(name.as_str()),
            };
            Recipient { holder, key }
        })
        .collect()
}

fn envelopes() -> Vec<Envelope> {
    let sealed = |recipient: Recipient| Envelope {
        holder: recipient.holder,
        recipient_key_hash: recipient.key.key_hash,
        sealed: id("c2VhbGVk"),
    };
    recipients().into_iter().map(sealed).collect()
}

fn names(ids: &BTreeSet<AmendmentId>) -> Vec<&str> {
    ids.iter().map(AmendmentId::as_str).collect()
}

#[test]
fn the_approval_that_reaches_the_majority_activates_the_next_version() {
    let mut world = World::with(3);
    let proposed = world.propose("a").unwrap();
    assert_eq!((proposed.quorum, proposed.voices.len(), proposed.version.number), (2, 3, 2));
    assert_eq!(proposed.until, at(14 * DAY));
    assert_eq!((&proposed.link, &proposed.patient, &proposed.publisher), (&id("l"), &id("alice"), &id("hospital")));
    assert_eq!(*world.act(), AmendmentAct::AmendmentProposed { amendment: id("a"), link: id("l"), version: 2 });
    assert_eq!((world.link.current.number, names(&world.open.ids())), (1, vec!["a"]));

    let first = world.approve(&clara(0), "a", 5).unwrap();
    assert_eq!(first.state, AmendmentState::Open);
    let voice = Voice { by: id("clara-0"), owner: None, at: at(5), opinion: Opinion::Approves };
    assert_eq!(first.voices[&id("clinic-0")], Some(voice));
    let act = AmendmentAct::AmendmentApproved { amendment: id("a"), link: id("l"), version: 2, by_agent: false };
    assert_eq!(*world.act(), act);
    assert!(world.effects.as_ref().unwrap().closed.is_empty());
    assert_eq!(world.link.current.number, 1);

    let before = world.link.clone();
    let second = world.approve(&clara(2), "a", 6).unwrap();
    assert_eq!(second.state, AmendmentState::Activated { at: at(6) });
    let act = AmendmentAct::AmendmentActivated { amendment: id("a"), link: id("l"), version: 2, by_agent: false };
    assert_eq!(*world.act(), act);
    let version = Version {
        number: 2,
        content: Content { hash: hash("a"), ..content() },
        commitment: hash("next commitment"),
        by: id("carol"),
        at: NOW,
        amendment: Some(id("a")),
    };
    assert_eq!(world.link, Link { current: version, ..before.clone() });
    assert_eq!(world.former, [VersionOfLink { version: before.current, superseded: Some(at(6)) }]);
    assert_eq!(names(&world.effects.as_ref().unwrap().closed), ["a"]);
    assert!(world.open.ids().is_empty());
}

#[test]
fn the_majority_is_of_the_other_active_care_organisations() {
    for (others, quorum) in [(0, 0), (1, 1), (2, 2), (3, 2), (4, 3), (5, 3)] {
        let amendment = World::with(others).propose("a").unwrap();
        assert_eq!((amendment.voices.len(), amendment.quorum), (others, quorum), "{others} others");
    }
    let mut world = World::with(2);
    let founded = Organisation { state: OrganisationState::Founded, ..other(7) };
    world.organisations.push(founded);
    assert_eq!(world.propose("a").unwrap().voices.into_keys().collect::<Vec<_>>(), [id("clinic-0"), id("clinic-1")]);
}

#[test]
fn governance_names_a_quorum_for_a_category_and_at_most_all_are_needed() {
    let mut world = World::with(3);
    for (named, quorum) in [(1, 1), (3, 3), (4, 3), (u32::MAX, 3)] {
        world.settings.amendment_quorum = [(Category::Summary, named), (Category::Claim, 9)].into();
        world.settings.amendment_days = 2;
        let amendment = world.propose(&format!("a-{named}")).unwrap();
        assert_eq!((amendment.quorum, amendment.until), (quorum, at(2 * DAY)), "{named}");
    }
    world.settings.amendment_quorum = [(Category::Claim, 1)].into();
    assert_eq!(world.propose("majority").unwrap().quorum, 2);
}

#[test]
fn an_amendment_that_nobody_is_asked_about_takes_effect_at_once() {
    for (others, named) in [(0, None), (0, Some(3)), (3, Some(0))] {
        let mut world = World::with(others);
        world.settings.amendment_quorum = named.map(|named| (Category::Summary, named)).into_iter().collect();
        let amendment = world.propose("a").unwrap();
        assert_eq!((amendment.state, amendment.quorum), (AmendmentState::Activated { at: NOW }, 0));
        assert_eq!((world.link.current.number, world.former.len()), (2, 1));
        let act = AmendmentAct::AmendmentActivated { amendment: id("a"), link: id("l"), version: 2, by_agent: false };
        assert_eq!(*world.act(), act);
        assert!(world.open.ids().is_empty());
        assert_eq!(names(&world.effects.as_ref().unwrap().closed), ["a"]);
    }
}

#[test]
fn an_amendment_is_rejected_when_the_quorum_cannot_be_reached_any_more() {
    let mut world = World::with(3);
    world.propose("a").unwrap();
    let first = world.reject(&clara(0), "a", 1).unwrap();
    assert_eq!(first.state, AmendmentState::Open);
    let rejected = |closed| AmendmentAct::AmendmentRejected {
        amendment: id("a"),
        link: id("l"),
        version: 2,
        reason: id("wrong dose"),
        by_agent: false,
        closed,
    };
    assert_eq!(*world.act(), rejected(false));
    assert_eq!(names(&world.open.ids()), ["a"]);
    world.approve(&clara(1), "a", 2).unwrap();
    let last = world.reject(&clara(2), "a", 3).unwrap();
    assert_eq!(last.state, AmendmentState::Rejected { at: at(3) });
    assert_eq!(*world.act(), rejected(true));
    assert_eq!(names(&world.effects.as_ref().unwrap().closed), ["a"]);
    assert_eq!((world.link.current.number, world.open.ids().len()), (1, 0));
    assert_eq!(world.standing("a", 4), AmendmentStanding::Rejected);

    let mut world = World::with(2);
    world.propose("a").unwrap();
    assert_eq!(world.reject(&clara(0), "a", 1).unwrap().state, AmendmentState::Rejected { at: at(1) });
    assert_eq!(code(world.approve(&clara(1), "a", 2)), RefusalCode::AmendmentClosed);
}

#[test]
fn an_organisation_has_one_voice_and_repeating_it_is_harmless() {
    let mut world = World::with(3);
    world.propose("a").unwrap();
    world.approve(&clara(0), "a", 1).unwrap();
    let colleague = caller_of(other(0), "cleo", Role::Clinician);
    let again = world.approve(&colleague, "a", 2).unwrap();
    assert_eq!((again.state, &world.effects), (AmendmentState::Open, &None));
    assert_eq!(code(world.reject(&colleague, "a", 3)), RefusalCode::VoiceGiven);
    world.reject(&clara(1), "a", 4).unwrap();
    world.reject(&clara(1), "a", 5).unwrap();
    assert_eq!(world.effects, None);
    assert_eq!(code(world.approve(&clara(1), "a", 6)), RefusalCode::VoiceGiven);
    let otherwise = decide_rejection(&clara(1), world.pending("a"), id("another reason"), at(7));
    assert_eq!(code(otherwise), RefusalCode::VoiceGiven);

    world.approve(&clara(2), "a", 8).unwrap();
    assert_eq!(world.link.current.number, 2);
    assert_eq!(world.approve(&clara(2), "a", 9).unwrap().state, AmendmentState::Activated { at: at(8) });
    assert_eq!(world.effects, None, "repeated after it took effect");
}

#[test]
fn only_members_of_other_care_organisations_that_were_asked_approve_and_reject() {
    let mut world = World::with(2);
    world.propose("a").unwrap();
    for role in Role::ALL.into_iter().filter(|role| *role != Role::Clinician) {
        assert_eq!(code(world.approve(&caller_of(other(0), "x", role), "a", 1)), RefusalCode::NotPermitted, "{role}");
        assert_eq!(code(world.reject(&caller_of(other(0), "x", role), "a", 1)), RefusalCode::NotPermitted, "{role}");
    }
    let colleague = caller("dora", Role::Clinician);
    let late = clara(2);
    let no_care = caller_of(home(Role::PayerOfficer), "quack", Role::Clinician);
    for refused in [carol(), colleague, late, no_care, Caller::Custodian(other(0))] {
        assert_eq!(code(world.approve(&refused, "a", 1)), RefusalCode::NotPermitted, "{refused:?}");
        assert_eq!(code(world.reject(&refused, "a", 1)), RefusalCode::NotPermitted, "{refused:?}");
    }
    assert_eq!(code(world.approve(&suspended(clara(0)), "a", 1)), RefusalCode::MemberSuspended);
    assert_eq!(code(world.approve(&clara(0), "b", 1)), RefusalCode::UnknownAmendment);
    assert_eq!(code(world.reject(&clara(0), "b", 1)), RefusalCode::UnknownAmendment);
    assert!(world.approve(&clara(0), "a", 1).is_ok());
}

#[test]
fn an_agent_is_just_another_approver_and_is_marked_with_its_owner() {
    let mut world = World::with(1);
    world.propose("a").unwrap();
    assert_eq!(code(world.reject(&agent_of(other(0), "Amendments:reject"), "a", 1)), RefusalCode::AgentNotPermitted);
    let activated = world.approve(&agent_of(other(0), "Amendments:approve"), "a", 1).unwrap();
    let voice = Voice { by: id("verifier"), owner: Some(id("owner")), at: at(1), opinion: Opinion::Approves };
    assert_eq!(activated.voices[&id("clinic-0")], Some(voice));
    let act = AmendmentAct::AmendmentActivated { amendment: id("a"), link: id("l"), version: 2, by_agent: true };
    assert_eq!(*world.act(), act);
}

#[test]
fn an_agents_proposal_that_takes_effect_at_once_is_marked_too() {
    let mut world = World::with(0);
    let proposed = world.propose_as(&agent_of(hospital(), "Amendments:propose"), draft("a", 1), 1).unwrap();
    assert_eq!(proposed.version.by, id("verifier"));
    let act = AmendmentAct::AmendmentActivated { amendment: id("a"), link: id("l"), version: 2, by_agent: true };
    assert_eq!(*world.act(), act);
}

#[test]
fn of_two_amendments_of_one_version_the_first_to_reach_the_quorum_wins_and_the_other_is_told() {
    let mut world = World::with(1);
    world.propose("a").unwrap();
    world.propose("b").unwrap();
    assert_eq!(names(&world.open.ids()), ["a", "b"]);
    world.approve(&clara(0), "b", 1).unwrap();
    assert_eq!(names(&world.effects.as_ref().unwrap().closed), ["a", "b"]);
    assert_eq!(world.standing("a", 1), AmendmentStanding::Superseded);
    assert_eq!(world.standing("a", 15 * DAY), AmendmentStanding::Superseded);
    assert_eq!(world.standing("b", 1), AmendmentStanding::Activated);
    assert_eq!(code(world.approve(&clara(0), "a", 2)), RefusalCode::AmendmentConflict);
    assert_eq!(code(world.reject(&clara(0), "a", 2)), RefusalCode::AmendmentConflict);
    assert_eq!(code(world.withdraw(&carol(), "a", 2)), RefusalCode::AmendmentConflict);
    assert_eq!(world.link.current.content.hash, hash::<ContentHash>("b"));
    assert_eq!(code(world.propose_as(&carol(), draft("c", 1), 3)), RefusalCode::AmendmentConflict);
    assert_eq!(code(world.propose_as(&carol(), draft("c", 3), 3)), RefusalCode::AmendmentConflict);
    assert!(world.propose_as(&carol(), draft("c", 2), 3).is_ok());
}

#[test]
fn an_amendment_expires_at_its_moment_and_not_before() {
    let mut world = World::with(2);
    world.propose("a").unwrap();
    assert_eq!(world.standing("a", 14 * DAY - 1), AmendmentStanding::Open);
    assert_eq!(world.standing("a", 14 * DAY), AmendmentStanding::Expired);
    world.approve(&clara(0), "a", 14 * DAY - 1).unwrap();
    assert_eq!(code(world.approve(&clara(1), "a", 14 * DAY)), RefusalCode::AmendmentClosed);
    assert_eq!(code(world.reject(&clara(1), "a", 14 * DAY)), RefusalCode::AmendmentClosed);
    assert_eq!(code(world.withdraw(&carol(), "a", 14 * DAY)), RefusalCode::AmendmentClosed);
    assert_eq!(world.link.current.number, 1);
    world.propose_as(&carol(), draft("b", 1), 14 * DAY).unwrap();
    assert_eq!(names(&world.effects.as_ref().unwrap().closed), ["a"], "the envelopes of an expired one go");
    assert_eq!(names(&world.open.ids()), ["b"]);
}

/// Found by review: an approval dated before the end, after a later proposal had removed the envelopes, activated a version without any.
#[test]
fn an_amendment_that_a_later_proposal_has_forgotten_takes_no_voice_whatever_its_date() {
    let mut world = World::with(1);
    world.propose("a").unwrap();
    world.propose_as(&carol(), draft("b", 1), 14 * DAY).unwrap();
    assert_eq!(names(&world.effects.as_ref().unwrap().closed), ["a"]);
    assert_eq!(code(world.approve(&clara(0), "a", 14 * DAY - 1)), RefusalCode::AmendmentClosed);
    assert_eq!(code(world.reject(&clara(0), "a", 14 * DAY - 1)), RefusalCode::AmendmentClosed);
    assert_eq!(world.link.current.number, 1);
    assert!(world.approve(&clara(0), "b", 14 * DAY).is_ok());
}

#[test]
fn the_proposers_organisation_takes_an_open_amendment_back() {
    let mut world = World::with(1);
    world.propose("a").unwrap();
    for role in Role::ALL.into_iter().filter(|role| *role != Role::Clinician) {
        assert_eq!(code(world.withdraw(&caller("x", role), "a", 1)), RefusalCode::NotPermitted, "{role}");
    }
    assert_eq!(code(world.withdraw(&clara(0), "a", 1)), RefusalCode::UnknownAmendment);
    assert_eq!(code(world.withdraw(&carol(), "b", 1)), RefusalCode::UnknownAmendment);
    assert_eq!(code(world.withdraw(&suspended(carol()), "a", 1)), RefusalCode::MemberSuspended);
    assert_eq!(code(world.withdraw(&Caller::Custodian(hospital()), "a", 1)), RefusalCode::NotPermitted);

    let withdrawn = world.withdraw(&caller("dora", Role::Clinician), "a", 1).unwrap();
    assert_eq!(withdrawn.state, AmendmentState::Withdrawn { by: id("dora"), at: at(1) });
    assert_eq!(*world.act(), AmendmentAct::AmendmentWithdrawn { amendment: id("a"), link: id("l"), version: 2 });
    assert_eq!((names(&world.effects.as_ref().unwrap().closed), world.open.ids().len()), (vec!["a"], 0));
    assert_eq!(world.withdraw(&carol(), "a", 2).unwrap(), withdrawn, "repeated");
    assert_eq!(world.standing("a", 2), AmendmentStanding::Withdrawn);
    assert_eq!(code(world.approve(&clara(0), "a", 2)), RefusalCode::AmendmentClosed);
    world.propose("b").unwrap();
    world.approve(&clara(0), "b", 3).unwrap();
    assert_eq!(code(world.withdraw(&carol(), "b", 4)), RefusalCode::AmendmentClosed);
}

#[test]
fn only_the_publishers_clinicians_propose() {
    let mut world = World::with(1);
    for role in Role::ALL.into_iter().filter(|role| *role != Role::Clinician) {
        let insider = caller_of(hospital(), "x", role);
        assert_eq!(code(world.propose_as(&insider, draft("a", 1), 0)), RefusalCode::NotPermitted, "{role}");
        assert_eq!(code(decide_proposing(&insider, Some(world.link.clone()))), RefusalCode::NotPermitted, "{role}");
    }
    assert_eq!(code(world.propose_as(&clara(0), draft("a", 1), 0)), RefusalCode::UnknownLink);
    assert_eq!(code(world.propose_as(&alice(), draft("a", 1), 0)), RefusalCode::OtherOrganisation);
    assert_eq!(code(world.propose_as(&suspended(carol()), draft("a", 1), 0)), RefusalCode::MemberSuspended);
    let gateway = Caller::Custodian(hospital());
    assert_eq!(code(world.propose_as(&gateway, draft("a", 1), 0)), RefusalCode::NotPermitted);
    assert_eq!(code(decide_proposing(&carol(), None)), RefusalCode::UnknownLink);
    world.link.publisher = id("payer");
    let no_care = caller_of(home(Role::PayerOfficer), "quack", Role::Clinician);
    assert_eq!(code(world.propose_as(&no_care, draft("a", 1), 0)), RefusalCode::NotPermitted);
}

#[test]
fn a_proposal_needs_content_and_the_envelopes_of_patient_and_publisher() {
    let mut world = World::with(1);
    for length in [0, limit::CONTENT_BYTES + 1] {
        let draft = AmendmentDraft { content: Content { length, ..content() }, ..draft("a", 1) };
        assert_eq!(code(world.propose_as(&carol(), draft, 0)), RefusalCode::Malformed);
    }
    let all = envelopes();
    let mut propose = |envelopes: &[Envelope]| code(world.propose_with(&carol(), draft("a", 1), envelopes, 0));
    assert_eq!(propose(&all[..1]), RefusalCode::EnvelopeMissing);
    assert_eq!(propose(&all[1..]), RefusalCode::EnvelopeMissing);
    assert_eq!(propose(&[all.clone(), vec![all[0].clone()]].concat()), RefusalCode::EnvelopeNotWanted);
    let stranger = Envelope { holder: Holder::Organisation(id("payer")), ..all[0].clone() };
    assert_eq!(propose(&[all.clone(), vec![stranger]].concat()), RefusalCode::EnvelopeNotWanted);
    assert_eq!(propose(&vec![all[0].clone(); limit::ENVELOPES + 1]), RefusalCode::Malformed);
    for length in [1, limit::CONTENT_BYTES] {
        let draft = AmendmentDraft { content: Content { length, ..content() }, ..draft(&format!("a{length}"), 1) };
        assert!(world.propose_with(&carol(), draft, &all[..2], 0).is_ok());
    }
}

#[test]
fn a_repeated_proposal_is_harmless_and_another_one_under_its_id_is_refused() {
    let mut world = World::with(1);
    let proposed = world.propose("a").unwrap();
    let colleague = caller("dora", Role::Clinician);
    assert_eq!(world.propose_with(&colleague, draft("a", 1), &[], 9).unwrap(), proposed);
    assert_eq!(world.effects, None);
    for other in [
        AmendmentDraft { base_version: 2, ..draft("a", 1) },
        AmendmentDraft { base_version: u32::MAX, ..draft("a", 1) },
        AmendmentDraft { content: content(), ..draft("a", 1) },
        AmendmentDraft { commitment: hash("other"), ..draft("a", 1) },
        AmendmentDraft { reason: id("other"), ..draft("a", 1) },
    ] {
        assert_eq!(code(world.propose_as(&carol(), other, 9)), RefusalCode::AmendmentExists);
    }
    world.approve(&clara(0), "a", 10).unwrap();
    let again = world.propose_as(&carol(), draft("a", 1), 11).unwrap();
    assert_eq!(again.state, AmendmentState::Activated { at: at(10) }, "repeated after it took effect");
    world.link.id = id("another-link");
    assert_eq!(code(world.propose_as(&carol(), draft("a", 1), 12)), RefusalCode::AmendmentExists);
}

#[test]
fn a_link_has_no_more_open_amendments_and_versions_than_there_may_be() {
    let mut world = World::with(1);
    for n in 0..limit::OPEN_AMENDMENTS {
        world.propose(&format!("a{n}")).unwrap();
    }
    assert_eq!(code(world.propose("more")), RefusalCode::TooManyAmendments);
    world.withdraw(&carol(), "a3", 1).unwrap();
    assert!(world.propose("more").is_ok());
    assert_eq!(code(world.propose("yet-more")), RefusalCode::TooManyAmendments);
    assert!(world.propose_as(&carol(), draft("later", 1), 14 * DAY).is_ok(), "expired ones do not count");

    let mut world = World::with(0);
    world.link.current.number = limit::VERSIONS - 1;
    assert_eq!(world.propose("last").unwrap().version.number, 9_999);
    assert_eq!(code(world.propose("more")), RefusalCode::TooManyVersions);
}

#[test]
fn a_link_that_is_withdrawn_or_erased_is_amended_no_more() {
    let (by, reason) = (id("x"), id("wrong patient"));
    let withdrawn = LinkState::Withdrawn { by, at: NOW, reason, superseded_by: None };
    let erased = LinkState::Erased { by: id("x"), at: NOW, reason: id("wrong patient") };
    for (state, expected) in [(withdrawn, RefusalCode::LinkWithdrawn), (erased, RefusalCode::LinkErased)] {
        let mut world = World::with(1);
        world.propose("a").unwrap();
        world.link.state = state;
        assert_eq!(code(world.propose("b")), expected);
        assert_eq!(code(world.approve(&clara(0), "a", 1)), expected);
        assert_eq!(code(world.reject(&clara(0), "a", 1)), expected);
        assert_eq!(code(world.withdraw(&carol(), "a", 1)), expected);
        assert_eq!(world.standing("a", 1), AmendmentStanding::LinkClosed);
        assert_eq!(world.standing("a", 15 * DAY), AmendmentStanding::LinkClosed);
    }
}

/// Found by review: any clinician of a care organisation who knew the link's id could read its amendments, for ever.
#[test]
fn an_amendment_is_known_to_those_who_may_know_of_its_link_and_while_it_is_open_to_those_who_are_asked() {
    let mut world = World::with(1);
    world.link.category = Category::Restricted;
    let amendment = world.propose("a").unwrap();
    let there = || Some((amendment.clone(), world.link.clone()));
    let read = |caller: &Caller| decide_reading(caller, there(), &Grounds::default(), NOW);
    let insiders = [alice(), carol(), caller("pam", Role::PrivacyOfficer), Caller::Custodian(hospital())];
    for reader in insiders.iter().chain([&clara(0)]) {
        let view = AmendmentView { amendment: amendment.clone(), standing: AmendmentStanding::Open };
        assert_eq!(read(reader), Ok(view), "{reader:?}");
    }
    let late = |caller: &Caller| decide_reading(caller, there(), &Grounds::default(), amendment.until);
    assert_eq!(late(&alice()).unwrap().standing, AmendmentStanding::Expired);
    assert_eq!(code(late(&clara(0))), RefusalCode::UnknownAmendment);
    let no_care = caller_of(home(Role::PayerOfficer), "quack", Role::Clinician);
    let strangers = [caller("bob", Role::Patient), caller("pia", Role::PayerOfficer), Caller::Custodian(other(0))];
    for stranger in strangers.into_iter().chain([no_care, clara(5), caller_of(other(0), "adam", Role::Administrator)]) {
        assert_eq!(code(read(&stranger)), RefusalCode::UnknownAmendment, "{stranger:?}");
    }
    assert_eq!(code(read(&suspended(clara(0)))), RefusalCode::MemberSuspended);
    assert_eq!(code(decide_reading(&clara(0), None, &Grounds::default(), NOW)), RefusalCode::UnknownAmendment);
    assert_eq!(
        code(decide_reading(&suspended(clara(0)), None, &Grounds::default(), NOW)),
        RefusalCode::MemberSuspended
    );
    let said = serde_json::to_string(&amendment).unwrap();
    assert!(!said.contains("restricted"), "{said}");
}

#[derive(Clone, Debug)]
enum Step {
    Propose(usize, u32),
    Approve(usize, usize),
    Reject(usize, usize),
    Withdraw(usize),
    Wait(i64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..6usize, 0..3u32).prop_map(|(name, behind)| Step::Propose(name, behind)),
        4 => (0..6usize, 0..2usize).prop_map(|(name, who)| Step::Approve(name, who)),
        2 => (0..6usize, 0..2usize).prop_map(|(name, who)| Step::Reject(name, who)),
        1 => (0..6usize).prop_map(Step::Withdraw),
        1 => (1..9i64).prop_map(|days| Step::Wait(days * DAY)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn versions_grow_one_by_one_with_a_quorum_and_former_ones_stay_as_they_were(
        steps in prop::collection::vec(step(), 1..60), named in prop::option::of(0..4u32),
    ) {
        let mut world = World::with(2);
        world.settings.amendment_quorum = named.map(|named| (Category::Summary, named)).into_iter().collect();
        let quorum = named.unwrap_or(2).min(2) as usize;
        let (first, mut now) = (world.link.clone(), 0);
        for step in steps {
            let (before, history) = (world.link.clone(), world.former.clone());
            let done = match step {
                Step::Propose(name, behind) => {
                    let base = world.link.current.number.saturating_sub(behind);
                    world.propose_as(&carol(), draft(&format!("a{name}"), base), now)
                }
                Step::Approve(name, who) => world.approve(&clara(who), &format!("a{name}"), now),
                Step::Reject(name, who) => world.reject(&clara(who), &format!("a{name}"), now),
                Step::Withdraw(name) => world.withdraw(&carol(), &format!("a{name}"), now),
                Step::Wait(time) => {
                    now += time;
                    continue;
                }
            };
            prop_assert!(world.open.ids().len() <= limit::OPEN_AMENDMENTS);
            prop_assert_eq!(&world.former[..history.len()], &history[..]);
            if world.link == before {
                prop_assert_eq!(world.former.len(), history.len());
                continue;
            }
            let amendment = done.unwrap();
            let approvals = amendment.voices.values().flatten().filter(|voice| voice.opinion == Opinion::Approves);
            prop_assert!(approvals.count() >= quorum);
            prop_assert!(at(now) < amendment.until);
            prop_assert_eq!(world.link.current.number, before.current.number + 1);
            prop_assert_eq!(&world.link.current, &amendment.version);
            let superseded = Some(at(now));
            prop_assert_eq!(world.former.last(), Some(&VersionOfLink { version: before.current, superseded }));
        }
        let numbers: Vec<u32> = world.former.iter().map(|former| former.version.number).collect();
        prop_assert_eq!(numbers, (1..world.link.current.number).collect::<Vec<_>>());
        prop_assert_eq!(Link { current: first.current.clone(), ..world.link.clone() }, first);
        for amendment in world.amendments.values() {
            let is_in_force = matches!(amendment.state, AmendmentState::Activated { .. });
            let has = |version: &Version| version.amendment.as_ref() == Some(&amendment.id);
            let carried = world.former.iter().filter(|former| has(&former.version)).count();
            prop_assert_eq!(is_in_force, carried == 1 || has(&world.link.current));
        }
    }
}
