//! A ledger in memory: just enough of the contracts to be a gateway's other side. What it permits, the test says.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use fabric_msp::{Creator, SigningIdentity};
use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use healthchain_gateway::ledger::{Before, Endorsed, Ledger, LedgerFailure, Notice, Position, Signed, Start, Unsigned};
use healthchain_interface::{
    AddEnvelope, AmendmentsQuery, KnownQuery, OpenLink, Opened, Page, ProposeAmendment, PublishLink,
};
use healthchain_rules::amendment::AmendmentAct;
use healthchain_rules::audit::{Act, AuditEntry};
use healthchain_rules::erasure::ErasureAct;
use healthchain_rules::link::LinkAct;
use healthchain_rules::opening::OpeningAct;
use healthchain_rules::organisation::OrganisationAct;
use healthchain_rules::{
    Amendment, AmendmentId, AmendmentState, AmendmentView, Content, Custodians, Decision, Denial, Destroyed,
    DestroyedVersion, Destruction, EncryptionKey, Envelope, ErasureReceipt, Holder, KeyHash, LedgerEvent, LedgerTime,
    Link, LinkId, LinkState, MemberId, MspId, Opening, Organisation, OrganisationKind, OrganisationState, Provision,
    Reason, Recipient, Refusal, RefusalCode, Rule, TransactionId, Version,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, watch};

type Answer = Result<Vec<u8>, LedgerFailure>;

/// When an injected failure strikes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// Before the ledger does anything.
    Before,
    /// After it did what it was asked: the answer is lost.
    After,
}

#[derive(Clone)]
enum Who {
    Member(MemberId, MspId),
    Custodian(MspId),
}

impl Who {
    fn organisation(&self) -> &MspId {
        match self {
            Self::Member(_, organisation) | Self::Custodian(organisation) => organisation,
        }
    }
}

#[derive(Default)]
pub(crate) struct State {
    callers: BTreeMap<String, Who>,
    /// Whom an envelope is made for at publication.
    pub(crate) recipients: Vec<Recipient>,
    /// Whose envelope an opening by an organisation's member needs.
    pub(crate) recipient_of: BTreeMap<MspId, Recipient>,
    /// Organisations whose members may open.
    pub(crate) permitted: BTreeSet<MspId>,
    /// The channel's, 0 unless the test says otherwise.
    pub(crate) height: u64,
    /// Who keeps copies of what an organisation publishes.
    pub(crate) custodians: BTreeMap<MspId, BTreeSet<MspId>>,
    /// Who was struck off, of these, and has not said that its copies are destroyed.
    pub(crate) former: BTreeMap<MspId, BTreeSet<MspId>>,
    /// Where organisations' gateways are, as they said when they entered.
    pub(crate) gateway_urls: BTreeMap<MspId, String>,
    pub(crate) links: BTreeMap<LinkId, Link>,
    pub(crate) envelopes: Vec<(LinkId, Envelope)>,
    pub(crate) openings: BTreeMap<TransactionId, Opening>,
    pub(crate) amendments: BTreeMap<AmendmentId, Amendment>,
    /// Envelopes of versions that wait for approval.
    waiting: BTreeMap<AmendmentId, Vec<Envelope>>,
    /// Members who may do nothing and are told nothing.
    pub(crate) suspended: BTreeSet<MemberId>,
    pub(crate) receipts: BTreeMap<LinkId, ErasureReceipt>,
    /// What functions answer, whatever else they would.
    pub(crate) answers: BTreeMap<String, serde_json::Value>,
    /// Writes that wait until the test lets them go.
    held: BTreeMap<String, Arc<Semaphore>>,
    /// Functions that were called, in order.
    pub(crate) calls: Vec<String>,
    /// What each function was asked last.
    arguments: BTreeMap<String, Vec<Vec<u8>>>,
    proposals: u64,
    /// Transactions that were signed elsewhere, and what was answered.
    submitted: BTreeMap<String, Vec<u8>>,
    failures: VecDeque<(String, When, LedgerFailure)>,
    /// Members whose every call is refused.
    refused: BTreeMap<MemberId, RefusalCode>,
    events: Vec<Notice>,
}

pub(crate) struct MemoryLedger {
    pub(crate) state: Mutex<State>,
    happened: watch::Sender<usize>,
}

impl MemoryLedger {
    pub(crate) fn new() -> Self {
        Self { state: Mutex::default(), happened: watch::Sender::new(0) }
    }

    pub(crate) fn register(&self, member: &str, organisation: &MspId, identity: &SigningIdentity) {
        let who = Who::Member(member.parse().unwrap(), organisation.clone());
        self.state.lock().unwrap().callers.insert(hash(identity), who);
    }

    pub(crate) fn enter(&self, organisation: &MspId, gateway: &SigningIdentity) {
        self.state.lock().unwrap().callers.insert(hash(gateway), Who::Custodian(organisation.clone()));
    }

    /// The next call of this function fails.
    pub(crate) fn fail_next(&self, function: &str, when: When, failure: LedgerFailure) {
        self.state.lock().unwrap().failures.push_back((function.to_owned(), when, failure));
    }

    /// Writes by this function wait until the test adds permits.
    pub(crate) fn hold(&self, function: &str) -> Arc<Semaphore> {
        let let_go = Arc::new(Semaphore::new(0));
        self.state.lock().unwrap().held.insert(function.to_owned(), Arc::clone(&let_go));
        let_go
    }

    /// From now on this member is refused whatever it asks, or not any more.
    pub(crate) fn refuse_member(&self, member: &str, code: Option<RefusalCode>) {
        let (member, mut state) = (member.parse().unwrap(), self.state.lock().unwrap());
        match code {
            Some(code) => state.refused.insert(member, code),
            None => state.refused.remove(&member),
        };
    }

    /// Tells of something that somebody of an organisation did.
    pub(crate) fn tell(&self, organisation: &str, act: impl Into<Act>) {
        let mut state = self.state.lock().unwrap();
        state.tell_act(&organisation.parse().unwrap(), act.into());
        self.happened.send_replace(state.events.len());
    }

    /// The same, about a patient.
    pub(crate) fn tell_about(&self, patient: &str, organisation: &str, act: impl Into<Act>) {
        let mut state = self.state.lock().unwrap();
        state.tell_act(&organisation.parse().unwrap(), act.into());
        let told = state.events.last_mut().and_then(|notice| notice.event.as_mut());
        told.unwrap().entry.patient = Some(patient.parse().unwrap());
        self.happened.send_replace(state.events.len());
    }

    /// How many follow its events now.
    pub(crate) fn followers(&self) -> usize {
        self.happened.receiver_count()
    }

    /// What this function was asked last.
    pub(crate) fn argument_of(&self, function: &str) -> serde_json::Value {
        argument(&self.state.lock().unwrap().arguments[function], 0)
    }

    pub(crate) fn called(&self, function: &str) -> usize {
        self.state.lock().unwrap().calls.iter().filter(|called| *called == function).count()
    }

    /// Tells the event of a link's publication, which is not told by itself.
    pub(crate) fn tell_published(&self, link: &str) {
        let mut state = self.state.lock().unwrap();
        let link = state.link(&link.parse().unwrap()).unwrap().clone();
        let act = LinkAct::LinkPublished { link: link.id, version: 1, category: link.category };
        state.tell_act(&link.publisher, act.into());
        self.happened.send_replace(state.events.len());
    }

    /// A link of this patient is withdrawn by this member of the hospital; tells the link.
    pub(crate) fn withdraw(&self, member: &str, patient: &str) -> String {
        let mut state = self.state.lock().unwrap();
        let link = format!("link-{}", state.events.len());
        let (id, reason): (LinkId, Reason) = (link.parse().unwrap(), "wrong".parse().unwrap());
        let act = LinkAct::LinkWithdrawn { link: id, reason, superseded_by: None };
        let transaction = transaction(1000 + state.events.len() as u64);
        let (member, patient) = (Some(member.parse().unwrap()), Some(patient.parse().unwrap()));
        let organisation = "HospitalMSP".parse().unwrap();
        let entry =
            AuditEntry { transaction, time: now(), organisation, member, owner: None, patient, act: act.into() };
        state.tell_entry(entry, None);
        state.height = state.events.len() as u64;
        self.happened.send_replace(state.events.len());
        link
    }

    /// Has an administrator name custodians in place of the former ones.
    pub(crate) fn name_custodians(&self, organisation: &MspId, custodians: &[&MspId]) {
        let custodians: BTreeSet<MspId> = custodians.iter().copied().cloned().collect();
        let mut state = self.state.lock().unwrap();
        let before = state.custodians.insert(organisation.clone(), custodians.clone()).unwrap_or_default();
        let former = state.former.entry(organisation.clone()).or_default();
        former.extend(before);
        former.retain(|one| !custodians.contains(one));
        state.tell_act(organisation, OrganisationAct::CustodiansNamed { custodians }.into());
        self.happened.send_replace(state.events.len());
    }

    /// Has a privacy officer erase a link.
    pub(crate) fn erase(&self, link: &str) {
        let mut state = self.state.lock().unwrap();
        let id: LinkId = link.parse().unwrap();
        let (by, at, reason): (MemberId, _, Reason) = ("officer".parse().unwrap(), now(), "wrong".parse().unwrap());
        let link = state.links.get_mut(&id).unwrap();
        link.state = LinkState::Erased { by: by.clone(), at, reason: reason.clone() };
        let versions = vec![DestroyedVersion { number: 1, content_hash: link.current.content.hash.clone() }];
        let (patient, publisher) = (link.patient.clone(), link.publisher.clone());
        let destroyed = Destroyed { versions, envelopes: 1, amendments: BTreeSet::new() };
        let named = [&state.custodians, &state.former].into_iter().filter_map(|all| all.get(&publisher)).flatten();
        let copies = named.map(|custodian| (custodian.clone(), Destruction::Ordered)).collect();
        let content = Destruction::Ordered;
        let act = ErasureAct::LinkErased { link: id.clone(), reason: reason.clone() };
        state.envelopes.retain(|(of, _)| *of != id);
        state.tell_act(&publisher, act.into());
        let receipt = ErasureReceipt {
            link: id.clone(),
            patient,
            publisher,
            by,
            at,
            reason,
            destroyed,
            stays: vec![],
            content,
            copies,
            namings: 0,
        };
        state.receipts.insert(id, receipt);
        self.happened.send_replace(state.events.len());
    }

    /// Has another organisation approve an amendment.
    pub(crate) fn approve(&self, amendment: &str) {
        let mut state = self.state.lock().unwrap();
        let id: AmendmentId = amendment.parse().unwrap();
        let amendment = state.amendments.get_mut(&id).unwrap();
        amendment.state = AmendmentState::Activated { at: now() };
        let (link, version) = (amendment.link.clone(), amendment.version.clone());
        let act = AmendmentAct::AmendmentActivated {
            amendment: id.clone(),
            link: link.clone(),
            version: version.number,
            by_agent: false,
        };
        state.links.get_mut(&link).unwrap().current = version;
        let envelopes = state.waiting.remove(&id).unwrap().into_iter().map(|envelope| (link.clone(), envelope));
        // Those of the newest version are found first.
        state.envelopes.splice(0..0, envelopes);
        state.tell_act(&"ClinicMSP".parse().unwrap(), act.into());
        self.happened.send_replace(state.events.len());
    }

    /// Has another organisation reject an amendment.
    pub(crate) fn reject(&self, amendment: &str) {
        let mut state = self.state.lock().unwrap();
        state.amendments.get_mut(&amendment.parse::<AmendmentId>().unwrap()).unwrap().state =
            AmendmentState::Rejected { at: now() };
    }

    /// As if a link's publisher had claimed another link's content.
    pub(crate) fn claim_content_of(&self, link: &str, other: &str) {
        let mut state = self.state.lock().unwrap();
        let hash = state.links[&other.parse::<LinkId>().unwrap()].current.content.hash.clone();
        state.links.get_mut(&link.parse::<LinkId>().unwrap()).unwrap().current.content.hash = hash;
    }

    fn call(&self, signer: &Creator, function: &str, arguments: &[Vec<u8>]) -> Answer {
        let mut state = self.state.lock().unwrap();
        state.calls.push(function.to_owned());
        state.arguments.insert(function.to_owned(), arguments.to_vec());
        let failure = match state.failures.front() {
            Some((failing, ..)) if failing == function => state.failures.pop_front(),
            _ => None,
        };
        let answer = match failure {
            Some((_, When::Before, failure)) => Err(failure),
            Some((_, When::After, failure)) => state.run(signer, function, arguments).and(Err(failure)),
            None => state.run(signer, function, arguments),
        };
        self.happened.send_replace(state.events.len());
        answer
    }
}

impl State {
    fn run(&mut self, signer: &Creator, function: &str, arguments: &[Vec<u8>]) -> Answer {
        let who = self.callers.get(&key_hash(signer)).cloned();
        let who = who.ok_or_else(|| refused(RefusalCode::UnknownCaller))?;
        if let Who::Member(member, _) = &who
            && let Some(code) = self.refused.get(member)
        {
            return Err(refused(*code));
        }
        if let Some(said) = self.answers.get(function) {
            return answer(said);
        }
        match function {
            "height" => answer(&self.height),
            "Links:recipients" => answer(&self.recipients),
            "Links:publish" => self.publish(&who, argument(arguments, 0)),
            "Links:link" => answer(self.link(&argument(arguments, 0))?),
            "Amendments:propose" => self.propose(&who, argument(arguments, 0)),
            "Amendments:amendment" if !self.answers.contains_key(function) => {
                let found = self.amendments.get(&argument::<AmendmentId>(arguments, 0));
                answer(&self.view(found.ok_or_else(|| refused(RefusalCode::UnknownAmendment))?))
            }
            "Amendments:ofLink" => {
                let AmendmentsQuery { link, .. } = argument(arguments, 0);
                let of_link = self.amendments.values().filter(|amendment| amendment.link == link);
                answer(&Page { items: of_link.map(|one| self.view(one)).collect(), next_page_token: None })
            }
            "Links:open" => self.open(&who, argument(arguments, 0)),
            "Links:opening" => answer(self.opening(&argument(arguments, 0))?),
            "Links:envelope" => {
                let opening = self.opening(&argument(arguments, 0))?;
                let may_know = match &who {
                    Who::Member(member, _) => *member == opening.opener,
                    Who::Custodian(organisation) => *organisation == opening.organisation,
                };
                if !may_know {
                    return Err(refused(RefusalCode::UnknownOpening));
                }
                if !self.permitted.contains(&opening.organisation) {
                    return Err(refused(RefusalCode::OpeningNotInForce));
                }
                answer(&self.envelope_for(&opening.link, opening))
            }
            "Links:inForce" => {
                let opening = self.opening(&argument(arguments, 0))?;
                let in_force = opening.decision.is_permitted() && self.permitted.contains(&opening.organisation);
                answer(in_force.then_some(opening).ok_or_else(|| refused(RefusalCode::OpeningNotInForce))?)
            }
            "Organisations:organisation" => {
                let msp_id: MspId = argument(arguments, 0);
                let url = self.gateway_urls.get(&msp_id).map_or("https://localhost:1", String::as_str);
                let known = self.recipient_of.get(&msp_id).map(|recipient| recipient.key.clone());
                answer(&organisation(msp_id, url, known))
            }
            "Organisations:custodians" => {
                let organisation: MspId = argument(arguments, 0);
                let custodians = self.custodians.get(&organisation).cloned().unwrap_or_default();
                let former = self.former.get(&organisation).cloned().unwrap_or_default();
                answer(&Custodians { former, ..Custodians::of(organisation, custodians) })
            }
            "Organisations:confirmCopiesDestroyed" => {
                let organisation: MspId = argument(arguments, 0);
                let is_former = self.former.get_mut(&organisation).is_some_and(|all| all.remove(who.organisation()));
                let custodians = self.custodians.get(&organisation).cloned().unwrap_or_default();
                match is_former {
                    true => answer(&Custodians::of(organisation, custodians)),
                    false => Err(refused(RefusalCode::NotACustodian)),
                }
            }
            "Links:replicable" => {
                let link = self.link(&argument(arguments, 0))?;
                let (own, other): (_, MspId) = (who.organisation(), argument(arguments, 2));
                let is_publisher = link.publisher == *own;
                let custodian = if is_publisher { &other } else { own };
                let named = self.custodians.get(&link.publisher).is_some_and(|named| named.contains(custodian));
                let refusal = match (is_publisher || link.publisher == other, named) {
                    (true, true) => link.require_active().err().map(|refusal| refusal.code()),
                    (true, false) if is_publisher => Some(RefusalCode::NotACustodian),
                    _ => Some(RefusalCode::UnknownLink),
                };
                match refusal {
                    Some(code) => Err(refused(code)),
                    None => answer(&link.current.content),
                }
            }
            "Links:custodianEnvelope" => {
                let link: LinkId = argument(arguments, 0);
                let own = Holder::Organisation(who.organisation().clone());
                let mut envelopes = self.envelopes.iter();
                let found = envelopes.find(|(of, envelope)| *of == link && envelope.holder == own);
                answer(found.map(|(_, envelope)| envelope).ok_or_else(|| refused(RefusalCode::UnknownEnvelope))?)
            }
            "Links:erasureReceipt" => {
                let receipt = self.receipts.get(&argument::<LinkId>(arguments, 0));
                answer(receipt.ok_or_else(|| refused(RefusalCode::LinkNotErased))?)
            }
            "Links:confirmDestruction" => {
                let receipt = self.receipts.get_mut(&argument::<LinkId>(arguments, 0));
                let receipt = receipt.ok_or_else(|| refused(RefusalCode::LinkNotErased))?;
                let own = match receipt.publisher == *who.organisation() {
                    true => &mut receipt.content,
                    false => {
                        receipt.copies.get_mut(who.organisation()).ok_or_else(|| refused(RefusalCode::UnknownLink))?
                    }
                };
                *own = Destruction::Confirmed { at: now() };
                answer(receipt)
            }
            "Links:addEnvelope" => {
                let AddEnvelope { opening, envelope } = argument(arguments, 0);
                let link = self.opening(&opening)?.link.clone();
                self.envelopes.push((link, envelope.clone()));
                answer(&envelope)
            }
            "Audit:known" => {
                let KnownQuery { member, events } = argument(arguments, 0);
                if !matches!(&who, Who::Custodian(_)) {
                    return Err(refused(RefusalCode::NotPermitted));
                }
                if self.suspended.contains(&member) {
                    return Err(refused(RefusalCode::MemberSuspended));
                }
                let concerns = |event: &&LedgerEvent| {
                    [&event.entry.member, &event.entry.patient, &event.upon]
                        .into_iter()
                        .flatten()
                        .any(|one| *one == member)
                };
                let known = events.iter().filter(concerns).map(|event| &event.entry.transaction);
                answer(&known.collect::<Vec<_>>())
            }
            // Whatever else is asked is only passed on: the arguments come back.
            _ => answer(
                &arguments.iter().map(|json| serde_json::from_slice(json).unwrap()).collect::<Vec<serde_json::Value>>(),
            ),
        }
    }

    fn publish(&mut self, who: &Who, call: PublishLink) -> Answer {
        let Who::Member(by, publisher) = who else { return Err(refused(RefusalCode::NotPermitted)) };
        if self.links.contains_key(&call.link) {
            return Err(refused(RefusalCode::LinkExists));
        }
        let link = Link {
            id: call.link.clone(),
            patient: call.patient,
            category: call.category,
            publisher: publisher.clone(),
            published: now(),
            current: Version {
                number: 1,
                content: Content { hash: call.content_hash, length: call.content_length, media_type: call.media_type },
                commitment: call.commitment,
                by: by.clone(),
                at: now(),
                amendment: None,
            },
            state: LinkState::Active,
        };
        self.envelopes.extend(call.envelopes.into_iter().map(|envelope| (call.link.clone(), envelope)));
        self.links.insert(call.link, link.clone());
        answer(&link)
    }

    fn propose(&mut self, who: &Who, call: ProposeAmendment) -> Answer {
        let Who::Member(by, publisher) = who else { return Err(refused(RefusalCode::NotPermitted)) };
        let link = self.link(&call.link)?.clone();
        if link.publisher != *publisher {
            return Err(refused(RefusalCode::UnknownLink));
        }
        if self.amendments.contains_key(&call.amendment) {
            return Err(refused(RefusalCode::AmendmentExists));
        }
        if call.base_version != link.current.number {
            return Err(refused(RefusalCode::AmendmentConflict));
        }
        if call.envelopes.is_empty() {
            return Err(refused(RefusalCode::EnvelopeMissing));
        }
        let amendment = Amendment {
            id: call.amendment.clone(),
            link: call.link,
            patient: link.patient,
            publisher: publisher.clone(),
            version: Version {
                number: call.base_version + 1,
                content: Content { hash: call.content_hash, length: call.content_length, media_type: call.media_type },
                commitment: call.commitment,
                by: by.clone(),
                at: now(),
                amendment: Some(call.amendment.clone()),
            },
            reason: call.reason,
            until: LedgerTime::from_milliseconds(now().milliseconds() + 86_400_000),
            quorum: 1,
            voices: [("ClinicMSP".parse().unwrap(), None)].into(),
            state: AmendmentState::Open,
        };
        self.waiting.insert(call.amendment.clone(), call.envelopes);
        self.amendments.insert(call.amendment, amendment.clone());
        answer(&amendment)
    }

    fn view(&self, amendment: &Amendment) -> AmendmentView {
        let standing = amendment.standing(&self.links[&amendment.link], now());
        AmendmentView { amendment: amendment.clone(), standing }
    }

    fn open(&mut self, who: &Who, call: OpenLink) -> Answer {
        let Who::Member(opener, organisation) = who.clone() else { return Err(refused(RefusalCode::NotPermitted)) };
        let link = self.link(&call.link)?.clone();
        let decision = if self.permitted.contains(&organisation) {
            Decision::Permitted {
                category: link.category,
                provision: Provision::Rule(Rule::DirectTreatment),
                recipient: self.recipient_of[&organisation].clone(),
                content: link.current.content.clone(),
                commitment: link.current.commitment.clone(),
            }
        } else {
            Decision::Denied { reason: Denial::ConsentRequired, exception: None, provision: None }
        };
        let opening = Opening {
            transaction: transaction(self.openings.len() as u64),
            time: now(),
            link: call.link.clone(),
            version: link.current.number,
            patient: link.patient,
            publisher: link.publisher,
            opener,
            organisation,
            purpose: call.purpose,
            owner: None,
            emergency: None,
            decision,
        };
        self.openings.insert(opening.transaction.clone(), opening.clone());
        let envelope = self.envelope_for(&call.link, &opening);
        if let (Some(recipient), None) = (opening.recipient(), &envelope) {
            self.tell(&opening, recipient.clone());
        }
        answer(&Opened { opening, envelope })
    }

    fn tell(&mut self, opening: &Opening, wanted: Recipient) {
        let entry = AuditEntry {
            transaction: opening.transaction.clone(),
            time: opening.time,
            organisation: opening.organisation.clone(),
            member: Some(opening.opener.clone()),
            owner: None,
            patient: Some(opening.patient.clone()),
            act: OpeningAct::of(opening).into(),
        };
        self.tell_entry(entry, Some(wanted));
    }

    /// Tells of something that the test has the ledger do.
    fn tell_act(&mut self, organisation: &MspId, act: Act) {
        let (member, owner, patient) = (None, None, None);
        let transaction = transaction(1000 + self.events.len() as u64);
        let organisation = organisation.clone();
        self.tell_entry(AuditEntry { transaction, time: now(), organisation, member, owner, patient, act }, None);
    }

    fn tell_entry(&mut self, entry: AuditEntry, wanted: Option<Recipient>) {
        let position = Position { block: self.events.len() as u64, transaction: entry.transaction.to_string() };
        self.events.push(Notice { position, event: Some(LedgerEvent { entry, upon: None, wanted }) });
    }

    fn link(&self, id: &LinkId) -> Result<&Link, LedgerFailure> {
        self.links.get(id).ok_or_else(|| refused(RefusalCode::UnknownLink))
    }

    fn opening(&self, id: &TransactionId) -> Result<&Opening, LedgerFailure> {
        self.openings.get(id).ok_or_else(|| refused(RefusalCode::UnknownOpening))
    }

    fn envelope_for(&self, link: &LinkId, opening: &Opening) -> Option<Envelope> {
        let Decision::Permitted { recipient, .. } = &opening.decision else { return None };
        let mut envelopes = self.envelopes.iter();
        let found = envelopes.find(|(of, envelope)| {
            of == link && envelope.recipient_key_hash.as_str() == recipient.key.key_hash.as_str()
        });
        found.map(|(_, envelope)| envelope.clone())
    }
}

impl Ledger for MemoryLedger {
    fn evaluate<'a>(
        &'a self,
        signer: &'a SigningIdentity,
        function: &'a str,
        arguments: Vec<Vec<u8>>,
    ) -> BoxFuture<'a, Answer> {
        Box::pin(async move { self.call(signer.creator(), function, &arguments) })
    }

    fn submit<'a>(
        &'a self,
        signer: &'a SigningIdentity,
        function: &'a str,
        arguments: Vec<Vec<u8>>,
    ) -> BoxFuture<'a, Answer> {
        Box::pin(async move {
            let held = self.state.lock().unwrap().held.get(function).cloned();
            if let Some(let_go) = held {
                let_go.acquire().await.unwrap().forget();
            }
            self.call(signer.creator(), function, &arguments)
        })
    }

    fn propose(
        &self,
        _own: &SigningIdentity,
        creator: &Creator,
        function: &str,
        arguments: Vec<Vec<u8>>,
    ) -> Result<Unsigned, LedgerFailure> {
        let mut state = self.state.lock().unwrap();
        state.proposals += 1;
        let transaction = format!("{:064x}", state.proposals);
        let creator = key_hash(creator);
        let proposal = Proposal { transaction: transaction.clone(), creator, function: function.to_owned(), arguments };
        Ok(Unsigned { transaction, bytes: serde_json::to_vec(&proposal).unwrap() })
    }

    fn evaluate_signed<'a>(&'a self, _own: &'a SigningIdentity, signed: Signed<'a>) -> BoxFuture<'a, Answer> {
        Box::pin(async move {
            let Proposal { function, arguments, .. } = proposal(signed)?;
            self.call(signed.creator, &function, &arguments)
        })
    }

    fn endorse_signed<'a>(
        &'a self,
        _own: &'a SigningIdentity,
        signed: Signed<'a>,
    ) -> BoxFuture<'a, Result<Endorsed, LedgerFailure>> {
        Box::pin(async move {
            let proposal = proposal(signed)?;
            // Endorsed bytes are others than the proposal's; here they hold the same, behind a space.
            let bytes = [b" ", signed.bytes].concat();
            Ok(Endorsed { unsigned: Unsigned { transaction: proposal.transaction, bytes }, result: b"\"so\"".to_vec() })
        })
    }

    fn submit_signed<'a>(
        &'a self,
        _own: &'a SigningIdentity,
        signed: Signed<'a>,
        before: Before,
    ) -> BoxFuture<'a, Answer> {
        Box::pin(async move {
            let Proposal { transaction, function, arguments, .. } = proposal(signed)?;
            let earlier = self.state.lock().unwrap().submitted.get(&transaction).cloned();
            match earlier {
                Some(answer) if before == Before::MayBeOut => Ok(answer),
                Some(_) => panic!("{transaction} is handed over twice"),
                None => {
                    let answer = self.call(signed.creator, &function, &arguments)?;
                    self.state.lock().unwrap().submitted.insert(transaction, answer.clone());
                    Ok(answer)
                }
            }
        })
    }

    fn events(&self, _signer: &SigningIdentity, start: Start) -> BoxStream<'static, Result<Notice, LedgerFailure>> {
        let told = self.state.lock().unwrap().events.clone();
        let next = match start {
            Start::After(position) => position.block + 1,
            Start::Block(number) => number,
        };
        // A stream ends when its connection does: the custodian asks again from its checkpoint.
        let mut happened = self.happened.subscribe();
        let known = told.len();
        let wait = async move {
            let _ = happened.wait_for(|events| *events > known).await;
        };
        let told = told.into_iter().filter(move |notice| notice.position.block >= next).map(Ok);
        futures::stream::iter(told).chain(futures::stream::once(wait).filter_map(|()| std::future::ready(None))).boxed()
    }

    fn height<'a>(&'a self, signer: &'a SigningIdentity) -> BoxFuture<'a, Result<u64, LedgerFailure>> {
        Box::pin(async move { self.call(signer.creator(), "height", &[]).map(|height| argument(&[height], 0)) })
    }
}

/// What the test's ledger has members sign.
#[derive(Serialize, Deserialize)]
struct Proposal {
    transaction: String,
    creator: String,
    function: String,
    arguments: Vec<Vec<u8>>,
}

fn proposal(signed: Signed<'_>) -> Result<Proposal, LedgerFailure> {
    signed.creator.accept(signed.bytes, signed.signature).map_err(LedgerFailure::NotSigned)?;
    let proposal: Proposal = serde_json::from_slice(signed.bytes).unwrap();
    assert_eq!(proposal.creator, key_hash(signed.creator), "somebody else's call");
    Ok(proposal)
}

pub(crate) fn transaction(number: u64) -> TransactionId {
    format!("{number:064x}").parse().unwrap()
}

pub(crate) fn now() -> LedgerTime {
    LedgerTime::from_milliseconds(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64)
}

fn organisation(msp_id: MspId, gateway_url: &str, known: Option<EncryptionKey>) -> Organisation {
    let some_hash = KeyHash::from_bytes(&[7; 32]);
    let public_key = format!("MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE{:A<85}A==", "").parse().unwrap();
    let state = OrganisationState::Active {
        encryption_key: known.unwrap_or(EncryptionKey { public_key, key_hash: some_hash.clone() }),
        gateway_url: gateway_url.parse().unwrap(),
        gateway_key_hash: some_hash,
        entered: now(),
    };
    Organisation { msp_id, kind: OrganisationKind::PrimaryCare, state }
}

fn hash(identity: &SigningIdentity) -> String {
    key_hash(identity.creator())
}

fn key_hash(creator: &Creator) -> String {
    hex::encode(creator.certificate().key_hash())
}

fn argument<T: DeserializeOwned>(arguments: &[Vec<u8>], index: usize) -> T {
    serde_json::from_slice(&arguments[index]).unwrap()
}

fn answer<T: Serialize + ?Sized>(value: &T) -> Answer {
    Ok(serde_json::to_vec(value).unwrap())
}

pub(crate) fn refused(code: RefusalCode) -> LedgerFailure {
    let (status, message) = Refusal::new(code, "said by the test's ledger").into();
    LedgerFailure::Refused { status: i32::from(status), message }
}
