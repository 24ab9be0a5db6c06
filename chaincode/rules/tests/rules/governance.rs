//! Proposals and votes: who decides, when, and that nothing is decided without most of those who take part.

use std::collections::BTreeSet;

use crate::support::*;
use healthchain_rules::change::{Affairs, Change, Execution};
use healthchain_rules::governance::*;
use healthchain_rules::*;
use proptest::prelude::*;

pub(crate) fn admit(name: &str) -> Change {
    Change::AdmitOrganisation { msp_id: id(name), kind: OrganisationKind::Payer }
}

pub(crate) fn expel(name: &str) -> Change {
    Change::ExpelOrganisation { msp_id: id(name), reason: id("broke the rules") }
}

pub(crate) fn left(name: &str) -> Organisation {
    Organisation { state: OrganisationState::Left { at: at(-1) }, ..organisation(name, OrganisationKind::Payer) }
}

pub(crate) fn never_entered(name: &str) -> Organisation {
    Organisation { state: OrganisationState::Founded, ..left(name) }
}

/// These organisations take part, and nothing else is known.
pub(crate) fn affairs(names: &[&str]) -> Affairs {
    let organisations = names.iter().map(|name| organisation(name, OrganisationKind::Payer)).collect();
    Affairs { organisations, ..Affairs::default() }
}

pub(crate) fn admin(name: &str) -> Caller {
    caller_of(organisation(name, OrganisationKind::Payer), &format!("admin-{name}"), Role::Administrator)
}

pub(crate) fn propose(name: &str, change: Change, affairs: &Affairs) -> Result<Ruling, Refusal> {
    decided(decide_proposal(&admin(name), None, id("p1"), change, affairs, NOW)?)
}

fn vote(name: &str, choice: Choice, proposal: &Proposal, affairs: &Affairs) -> Result<Ruling, Refusal> {
    decided(decide_vote(&admin(name), Some(proposal.clone()), choice, None, affairs, NOW)?)
}

fn decided(outcome: Outcome<Ruling, MayGovern>) -> Result<Ruling, Refusal> {
    match outcome {
        Outcome::Decided(ruling, _) => Ok(ruling),
        Outcome::Repeated(ruling) => panic!("repeated: {ruling:?}"),
    }
}

fn repeated(outcome: Result<Outcome<Ruling, MayGovern>, Refusal>) -> Proposal {
    match outcome.unwrap() {
        Outcome::Repeated(Ruling { proposal, execution: None }) => proposal,
        other => panic!("{other:?}"),
    }
}

const CARRIED: ProposalState = ProposalState::Carried { at: NOW };
const REJECTED: ProposalState = ProposalState::Rejected { at: NOW };

#[test]
fn an_only_organisation_decides_at_once() {
    let ruling = propose("a", admit("new"), &affairs(&["a"])).unwrap();
    let founded = Organisation { msp_id: id("new"), kind: OrganisationKind::Payer, state: OrganisationState::Founded };
    assert_eq!(ruling.proposal.state, CARRIED);
    assert_eq!(ruling.execution, Some(Execution::Organisation { organisation: founded, former_gateway_key: None }));
}

#[test]
fn a_proposal_is_its_organisations_approval() {
    let proposal = propose("a", admit("new"), &affairs(&["a", "b"])).unwrap().proposal;
    let vote = Vote { by: id("admin-a"), at: NOW, choice: Choice::Approve, reason: None };
    assert_eq!(
        proposal,
        Proposal {
            id: id("p1"),
            change: admit("new"),
            base: None,
            by: id("admin-a"),
            organisation: id("a"),
            made: NOW,
            expires: NOW.plus_days(14),
            votes: [(id("a"), vote)].into(),
            state: ProposalState::Open,
        }
    );
}

#[test]
fn half_of_the_organisations_carry_nothing_and_one_more_does() {
    let four = affairs(&["a", "b", "c", "d"]);
    let one = propose("a", admit("new"), &four).unwrap();
    assert_eq!((&one.proposal.state, &one.execution), (&ProposalState::Open, &None));
    let two = vote("b", Choice::Approve, &one.proposal, &four).unwrap();
    assert_eq!((&two.proposal.state, &two.execution), (&ProposalState::Open, &None));
    let three = vote("c", Choice::Approve, &two.proposal, &four).unwrap();
    assert_eq!(three.proposal.state, CARRIED);
    assert!(three.execution.is_some());
    assert_eq!(three.proposal.votes.len(), 3);
}

#[test]
fn a_proposal_is_rejected_when_no_majority_is_possible_any_more() {
    let four = affairs(&["a", "b", "c", "d"]);
    let proposal = propose("a", admit("new"), &four).unwrap().proposal;
    let proposal = vote("b", Choice::Reject, &proposal, &four).unwrap().proposal;
    assert_eq!(proposal.state, ProposalState::Open);
    let ruling = vote("c", Choice::Reject, &proposal, &four).unwrap();
    assert_eq!((&ruling.proposal.state, &ruling.execution), (&REJECTED, &None));

    let three = affairs(&["a", "b", "c"]);
    let proposal = propose("a", admit("new"), &three).unwrap().proposal;
    let proposal = vote("b", Choice::Reject, &proposal, &three).unwrap().proposal;
    assert_eq!(proposal.state, ProposalState::Open);
    assert_eq!(vote("c", Choice::Reject, &proposal, &three).unwrap().proposal.state, REJECTED);
}

#[test]
fn votes_of_organisations_that_left_or_have_not_entered_do_not_count() {
    let five = affairs(&["a", "b", "c", "d", "e"]);
    let proposal = propose("a", admit("new"), &five).unwrap().proposal;
    let proposal = vote("b", Choice::Approve, &proposal, &five).unwrap().proposal;
    assert_eq!(vote("c", Choice::Approve, &proposal, &five).unwrap().proposal.state, CARRIED);
    let mut without_b = affairs(&["a", "c", "d", "e"]);
    without_b.organisations.push(left("b"));
    let open = vote("c", Choice::Approve, &proposal, &without_b).unwrap().proposal;
    assert_eq!(open.state, ProposalState::Open, "two of four");
    assert_eq!(vote("d", Choice::Approve, &open, &without_b).unwrap().proposal.state, CARRIED, "three of four");

    let mut founded = affairs(&["a", "b"]);
    founded.organisations.push(never_entered("c"));
    let early = Vote { by: id("admin-c"), at: NOW, choice: Choice::Approve, reason: None };
    let proposal = propose("a", admit("new"), &founded).unwrap().proposal;
    let proposal = Proposal { votes: [(id("a"), early.clone()), (id("c"), early)].into(), ..proposal };
    assert_eq!(
        repeated(decide_vote(&admin("a"), Some(proposal.clone()), Choice::Approve, None, &founded, NOW)),
        proposal
    );
}

/// Found by review: the first of the founders to enter decided alone, and could expel all others before they entered.
#[test]
fn those_who_have_not_entered_yet_count_among_those_of_whom_it_takes_most() {
    let mut some = affairs(&["a"]);
    some.organisations.push(never_entered("b"));
    some.organisations.push(left("gone"));
    let alone = propose("a", expel("b"), &some).unwrap();
    assert_eq!((&alone.proposal.state, &alone.execution), (&ProposalState::Open, &None), "one of two");

    let mut four = affairs(&["a", "b", "c"]);
    four.organisations.push(never_entered("d"));
    let two = vote("b", Choice::Approve, &propose("a", expel("d"), &four).unwrap().proposal, &four).unwrap();
    assert_eq!(two.proposal.state, ProposalState::Open, "two of four");
    assert_eq!(vote("c", Choice::Approve, &two.proposal, &four).unwrap().proposal.state, CARRIED, "three of four");
    let against = propose("a", expel("d"), &four).unwrap().proposal;
    let against = vote("b", Choice::Reject, &against, &four).unwrap().proposal;
    assert_eq!(against.state, ProposalState::Open, "three of four may approve still");
    assert_eq!(vote("c", Choice::Reject, &against, &four).unwrap().proposal.state, REJECTED);
}

/// Found by review: the votes that an organisation gave before it left counted again when it had come back.
#[test]
fn an_organisation_that_left_and_came_back_votes_anew() {
    let back = |name: &str, since| {
        let OrganisationState::Active { encryption_key, gateway_url, gateway_key_hash, .. } =
            organisation(name, OrganisationKind::Payer).state
        else {
            panic!("not active")
        };
        let state = OrganisationState::Active { encryption_key, gateway_url, gateway_key_hash, entered: since };
        Organisation { state, ..organisation(name, OrganisationKind::Payer) }
    };
    let five = affairs(&["a", "b", "c", "d", "e"]);
    let proposal = propose("a", admit("new"), &five).unwrap().proposal;
    let proposal = vote("b", Choice::Approve, &proposal, &five).unwrap().proposal;
    let with_b = |since| {
        let mut affairs = affairs(&["a", "c", "d", "e"]);
        affairs.organisations.push(back("b", since));
        affairs
    };
    assert_eq!(vote("c", Choice::Approve, &proposal, &with_b(NOW)).unwrap().proposal.state, CARRIED, "given since");
    let returned = with_b(at(1));
    let open = vote("c", Choice::Approve, &proposal, &returned).unwrap().proposal;
    assert_eq!(open.state, ProposalState::Open, "b's vote is of before");

    let b = caller_of(back("b", at(1)), "new-b", Role::Administrator);
    let again = |choice, proposal: &Proposal| decide_vote(&b, Some(proposal.clone()), choice, None, &returned, at(2));
    let approved = decided(again(Choice::Approve, &open).unwrap()).unwrap().proposal;
    assert_eq!(approved.state, ProposalState::Carried { at: at(2) });
    assert_eq!(approved.votes[&id("b")], Vote { by: id("new-b"), at: at(2), choice: Choice::Approve, reason: None });
    let against = decided(again(Choice::Reject, &open).unwrap()).unwrap().proposal;
    assert_eq!((&against.state, against.votes[&id("b")].choice), (&ProposalState::Open, Choice::Reject));
    assert_eq!(code(again(Choice::Approve, &against)), RefusalCode::AlreadyVoted);
}

#[test]
fn a_vote_that_comes_again_is_harmless_and_another_is_refused() {
    let three = affairs(&["a", "b", "c"]);
    let proposal = propose("a", admit("new"), &three).unwrap().proposal;
    let again = |name: &str, choice, reason, proposal: &Proposal| {
        decide_vote(&admin(name), Some(proposal.clone()), choice, reason, &three, at(5))
    };
    assert_eq!(repeated(again("a", Choice::Approve, None, &proposal)), proposal);
    assert_eq!(code(again("a", Choice::Reject, None, &proposal)), RefusalCode::AlreadyVoted);
    assert_eq!(code(again("a", Choice::Approve, Some(id("why")), &proposal)), RefusalCode::AlreadyVoted);

    let carried = vote("b", Choice::Approve, &proposal, &three).unwrap().proposal;
    assert_eq!(repeated(again("b", Choice::Approve, None, &carried)), carried);
    assert_eq!(code(again("b", Choice::Reject, None, &carried)), RefusalCode::AlreadyVoted);
    assert_eq!(code(again("c", Choice::Approve, None, &carried)), RefusalCode::ProposalClosed);
    let colleague = caller_of(organisation("a", OrganisationKind::Payer), "second", Role::Administrator);
    let as_colleague = decide_vote(&colleague, Some(proposal.clone()), Choice::Approve, None, &three, at(5));
    assert_eq!(repeated(as_colleague), proposal, "an organisation has one vote");
}

#[test]
fn a_vote_that_comes_again_is_counted_anew_when_others_have_left() {
    let four = affairs(&["a", "b", "c", "d"]);
    let proposal = propose("a", admit("new"), &four).unwrap().proposal;
    let proposal = vote("b", Choice::Approve, &proposal, &four).unwrap().proposal;
    let mut three = affairs(&["a", "b", "c"]);
    three.organisations.push(left("d"));
    let ruling = vote("a", Choice::Approve, &proposal, &three).unwrap();
    assert_eq!((ruling.proposal.state, ruling.proposal.votes), (CARRIED, proposal.votes));
}

#[test]
fn a_proposal_is_voted_on_until_it_expires() {
    let two = affairs(&["a", "b"]);
    let proposal = propose("a", admit("new"), &two).unwrap().proposal;
    let end = NOW.plus_days(14);
    let before = LedgerTime::from_milliseconds(end.milliseconds() - 1);
    let vote_at =
        |name: &str, when| decide_vote(&admin(name), Some(proposal.clone()), Choice::Approve, None, &two, when);
    assert!(matches!(vote_at("b", before), Ok(Outcome::Decided(Ruling { execution: Some(_), .. }, _))));
    assert_eq!(code(vote_at("b", end)), RefusalCode::ProposalExpired);
    assert_eq!(proposal.clone().as_of(before), proposal);
    let expired = Proposal { state: ProposalState::Expired, ..proposal.clone() };
    assert_eq!(repeated(vote_at("a", end)), expired, "a vote that was cast is still known");
    assert_eq!(decide_reading(&admin("b"), Some(proposal.clone()), end).unwrap(), expired);
    assert_eq!(code(decide_withdrawal(&admin("a"), Some(proposal.clone()), end)), RefusalCode::ProposalExpired);
    let carried = Proposal { state: CARRIED, ..proposal };
    assert_eq!(carried.clone().as_of(end), carried);
    let settings = Settings { proposal_days: 3, ..Settings::default() };
    let shorter = propose("a", admit("new"), &Affairs { settings, ..two }).unwrap().proposal;
    assert_eq!(shorter.expires, NOW.plus_days(3));
}

#[test]
fn a_proposal_that_comes_again_is_harmless_and_its_id_is_taken_for_another() {
    let two = affairs(&["a", "b"]);
    let proposal = propose("a", admit("new"), &two).unwrap().proposal;
    let again =
        |name: &str, change| decide_proposal(&admin(name), Some(proposal.clone()), id("p1"), change, &two, at(9));
    assert_eq!(repeated(again("a", admit("new"))), proposal);
    assert_eq!(code(again("a", admit("other"))), RefusalCode::ProposalExists);
    assert_eq!(code(again("b", admit("new"))), RefusalCode::ProposalExists);
}

#[test]
fn a_proposal_is_taken_back_by_its_organisation_while_it_is_open() {
    let two = affairs(&["a", "b"]);
    let proposal = propose("a", admit("new"), &two).unwrap().proposal;
    let withdraw = |name: &str, proposal: &Proposal| decide_withdrawal(&admin(name), Some(proposal.clone()), NOW);
    assert_eq!(code(withdraw("b", &proposal)), RefusalCode::OtherOrganisation);
    let withdrawn = decided(withdraw("a", &proposal).unwrap()).unwrap();
    let state = ProposalState::Withdrawn { by: id("admin-a"), at: NOW };
    assert_eq!((&withdrawn.proposal.state, &withdrawn.execution), (&state, &None));
    assert_eq!(repeated(withdraw("a", &withdrawn.proposal)), withdrawn.proposal);
    assert_eq!(code(vote("b", Choice::Approve, &withdrawn.proposal, &two)), RefusalCode::ProposalClosed);
    let carried = vote("b", Choice::Approve, &proposal, &two).unwrap().proposal;
    assert_eq!(code(withdraw("a", &carried)), RefusalCode::ProposalClosed);
    let rejected = vote("b", Choice::Reject, &proposal, &two).unwrap().proposal;
    assert_eq!(code(withdraw("a", &rejected)), RefusalCode::ProposalClosed);
}

#[test]
fn governance_is_for_active_administrators_of_active_organisations() {
    let two = affairs(&["a", "hospital"]);
    let open = propose("a", admit("new"), &two).unwrap().proposal;
    let all = |caller: &Caller| {
        let proposed = decide_proposal(caller, None, id("p2"), admit("new"), &two, NOW);
        let voted = decide_vote(caller, Some(open.clone()), Choice::Approve, None, &two, NOW);
        [code(proposed), code(voted), code(decide_withdrawal(caller, Some(open.clone()), NOW))]
    };
    for role in Role::ALL.into_iter().filter(|role| *role != Role::Administrator) {
        assert_eq!(all(&caller("x", role)), [RefusalCode::NotPermitted; 3], "{role}");
    }
    assert_eq!(all(&suspended(admin("a"))), [RefusalCode::MemberSuspended; 3]);
    let custodian = Caller::Custodian(organisation("a", OrganisationKind::Payer));
    assert_eq!(all(&custodian), [RefusalCode::NotPermitted; 3]);
    let gone = caller_of(left("a"), "admin-a", Role::Administrator);
    assert_eq!(all(&gone), [RefusalCode::OrganisationNotActive; 3]);
    assert_eq!(code(decide_reading(&gone, Some(open.clone()), NOW)), RefusalCode::OrganisationNotActive);
    assert_eq!(code(decide_reading(&suspended(alice()), Some(open.clone()), NOW)), RefusalCode::MemberSuspended);
    assert_eq!(decide_reading(&alice(), Some(open.clone()), NOW).unwrap(), open);
    assert_eq!(decide_reading(&custodian, Some(open.clone()), NOW).unwrap(), open);
}

#[test]
fn a_proposal_that_is_not_there_is_unknown() {
    let two = affairs(&["a", "b"]);
    assert_eq!(code(decide_vote(&admin("a"), None, Choice::Approve, None, &two, NOW)), RefusalCode::UnknownProposal);
    assert_eq!(code(decide_withdrawal(&admin("a"), None, NOW)), RefusalCode::UnknownProposal);
    assert_eq!(code(decide_reading(&admin("a"), None, NOW)), RefusalCode::UnknownProposal);
}

#[test]
fn what_cannot_be_carried_out_any_more_is_not_carried() {
    let three = affairs(&["a", "b", "c"]);
    let proposal = propose("a", expel("c"), &three).unwrap().proposal;
    assert_eq!(vote("b", Choice::Approve, &proposal, &three).unwrap().proposal.state, CARRIED);
    let mut without_c = affairs(&["a", "b"]);
    without_c.organisations.push(left("c"));
    let outdated = vote("b", Choice::Approve, &proposal, &without_c).unwrap_err();
    assert_eq!(outdated.code(), RefusalCode::ProposalOutdated);
    assert!(outdated.detail().ends_with("c left the consortium"), "{outdated}");
    assert_eq!(vote("b", Choice::Reject, &proposal, &without_c).unwrap().proposal.state, REJECTED);
}

#[test]
fn the_act_says_what_was_decided() {
    let two = affairs(&["a", "b"]);
    let open = propose("a", admit("new"), &two).unwrap().proposal;
    let cast = GovernanceAct::VoteCast { proposal: id("p1"), choice: Choice::Reject };
    assert_eq!(GovernanceAct::of(&open, cast.clone()), cast);
    let carried = vote("b", Choice::Approve, &open, &two).unwrap().proposal;
    let expected = GovernanceAct::ProposalCarried { proposal: id("p1"), change: admit("new") };
    assert_eq!(GovernanceAct::of(&carried, cast.clone()), expected);
    let rejected = vote("b", Choice::Reject, &open, &two).unwrap().proposal;
    assert_eq!(GovernanceAct::of(&rejected, cast.clone()), GovernanceAct::ProposalRejected { proposal: id("p1") });
    let withdrawn = decided(decide_withdrawal(&admin("a"), Some(open), NOW).unwrap()).unwrap().proposal;
    assert_eq!(GovernanceAct::of(&withdrawn, cast), GovernanceAct::ProposalWithdrawn { proposal: id("p1") });
}

/// A consortium that governs itself.
#[derive(Debug)]
struct World {
    organisations: Vec<Organisation>,
    proposals: Vec<Proposal>,
}

#[derive(Clone, Debug)]
enum Call {
    Propose(Change),
    Vote(prop::sample::Index, Choice),
    Withdraw(prop::sample::Index),
    Enter,
}

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

fn calls() -> impl Strategy<Value = Vec<(&'static str, Call)>> {
    let name = || prop::sample::select(NAMES.to_vec());
    let change = prop_oneof![2 => name().prop_map(expel), 1 => name().prop_map(admit)];
    let choice = prop_oneof![3 => Just(Choice::Approve), 1 => Just(Choice::Reject)];
    let call = prop_oneof![
        4 => change.prop_map(Call::Propose),
        8 => (any::<prop::sample::Index>(), choice).prop_map(|(which, choice)| Call::Vote(which, choice)),
        1 => any::<prop::sample::Index>().prop_map(Call::Withdraw),
        1 => Just(Call::Enter),
    ];
    prop::collection::vec((name(), call), 1..60)
}

impl World {
    fn affairs(&self) -> Affairs {
        Affairs { organisations: self.organisations.clone(), ..Affairs::default() }
    }

    fn active(&self) -> BTreeSet<MspId> {
        self.affairs().active().into_iter().cloned().collect()
    }

    /// How many organisations have not left.
    fn of_whom(&self) -> usize {
        self.organisations.iter().filter(|one| !matches!(one.state, OrganisationState::Left { .. })).count()
    }

    fn organisation(&mut self, name: &str) -> Option<&mut Organisation> {
        self.organisations.iter_mut().find(|one| one.msp_id.as_str() == name)
    }

    /// What the call decides, if it is not refused; and the proposal as it was.
    fn decide(&mut self, name: &str, call: &Call) -> Option<(Outcome<Ruling, MayGovern>, Option<Proposal>)> {
        let organisation = self.organisation(name)?.clone();
        let (caller, affairs) = (caller_of(organisation, name, Role::Administrator), self.affairs());
        let find = |which: &prop::sample::Index| {
            (!self.proposals.is_empty()).then(|| self.proposals[which.index(self.proposals.len())].clone())
        };
        let (outcome, before) = match call {
            Call::Propose(change) => {
                let new = id(&format!("p{}", self.proposals.len()));
                (decide_proposal(&caller, None, new, change.clone(), &affairs, NOW), None)
            }
            Call::Vote(which, choice) => {
                let proposal = find(which);
                (decide_vote(&caller, proposal.clone(), *choice, None, &affairs, NOW), proposal)
            }
            Call::Withdraw(which) => {
                let proposal = find(which);
                (decide_withdrawal(&caller, proposal.clone(), NOW), proposal)
            }
            Call::Enter => return self.enter(name),
        };
        outcome.ok().map(|outcome| (outcome, before))
    }

    fn enter<T>(&mut self, name: &str) -> Option<T> {
        let found = self.organisation(name)?;
        if found.state == OrganisationState::Founded {
            *found = organisation(name, OrganisationKind::Payer);
        }
        None
    }

    fn save(&mut self, ruling: Ruling) {
        match self.proposals.iter_mut().find(|one| one.id == ruling.proposal.id) {
            Some(known) => *known = ruling.proposal,
            None => self.proposals.push(ruling.proposal),
        }
        let Some(Execution::Organisation { organisation: changed, .. }) = ruling.execution else { return };
        match self.organisation(changed.msp_id.as_str()) {
            Some(known) => *known = changed,
            None => self.organisations.push(changed),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn whatever_is_proposed_and_voted_a_majority_of_those_who_have_not_left_decided_it_and_somebody_is_left(
        first in 1usize..=5, calls in calls(),
    ) {
        let organisations = NAMES[..first].iter().map(|name| organisation(name, OrganisationKind::Payer)).collect();
        let mut world = World { organisations, proposals: Vec::new() };
        for (name, call) in calls {
            let active = world.active();
            let Some((outcome, before)) = world.decide(name, &call) else { continue };
            prop_assert!(active.contains(&id(name)), "{name} takes no part");
            let Outcome::Decided(ruling, _) = outcome else { continue };

            let votes = &ruling.proposal.votes;
            let cast_before = before.map(|proposal| proposal.votes).unwrap_or_default();
            let added: Vec<_> = votes.keys().filter(|voter| !cast_before.contains_key(voter)).collect();
            prop_assert!(added.iter().all(|voter| voter.as_str() == name), "nobody votes for others");
            prop_assert!(cast_before.iter().all(|(voter, vote)| votes.get(voter) == Some(vote)), "no vote changes");

            let approvals = active.iter().filter(|one| votes.get(one).is_some_and(|vote| vote.choice == Choice::Approve));
            let has_majority = approvals.count() * 2 > world.of_whom();
            prop_assert_eq!(ruling.execution.is_some(), ruling.proposal.state == CARRIED);
            let is_withdrawn = matches!(ruling.proposal.state, ProposalState::Withdrawn { .. });
            prop_assert!(is_withdrawn || has_majority == ruling.execution.is_some());
            world.save(ruling);
            prop_assert!(!world.active().is_empty(), "somebody is left to decide");
        }
    }
}
