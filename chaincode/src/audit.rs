//! The contract `Audit`, and how the other contracts leave their entries.

use fabric_contract::Context;
use healthchain_interface::{AccountingQuery, Audit, EntriesQuery, KnownQuery, Page, PlaceHold, ReadTrail};
use healthchain_rules::accounting::{
    HoldAct, HoldBook, HoldTarget, HoldTerms, decide_hold, decide_reading_hold, decide_release, disclosure,
};
use healthchain_rules::audit::{Act, AuditEntry};
use healthchain_rules::reading::{MayHaveEntries, TrailState, decide_entries, decide_reading};
use healthchain_rules::replay::{decide_replaying, require_evidence};
use healthchain_rules::telling::{Listener, decide_telling};
use healthchain_rules::{
    AgentAtWork, Caller, Charter, Delegation, Disclosure, Hold, HoldId, LedgerEvent, LedgerTime, Member, MemberId,
    MspId, Opening, Outcome, Reading, Recipient, Refusal, Replay, Role, Trail, TransactionId, limit,
};
use serde::{Deserialize, Serialize};

use crate::caller::load_caller_with;
use crate::links;
use crate::page_token;
use crate::storage::accounting::{load_hold, load_hold_book, save_hold};
use crate::storage::agent::{load_charter, save_day_use};
use crate::storage::audit::{TrailPosition, load_entries, load_reading, save_entry, save_reading};
use crate::storage::concerned::LoadConcerned;
use crate::storage::delegation::load_delegation;
use crate::storage::evidence::load_evidence;
use crate::storage::member::load_member;
use crate::storage::opening::load_opening;
use crate::storage::organisation::load_organisation;
use crate::storage::{Load, Loads, fetch};
use crate::transaction;

pub(crate) struct AuditContract;

impl Audit for AuditContract {
    async fn read(&self, context: &mut Context, call: ReadTrail) -> Result<Reading, Refusal> {
        let trail = &call.trail;
        let (caller, (), state) = load_caller_with(context, (), |(), who| load_state(trail, who)).await?;
        let (transaction, at) = (transaction::id(context)?, transaction::time(context)?);
        let (reading, proof) =
            decide_reading(&caller, &trail_state(state), call.trail, (call.from, call.until), transaction, at)?;
        save_reading(context, &reading, proof)?;
        let (patient, upon) = (reading.trail.patient(), reading.trail.member());
        Record { patient, upon, ..Record::new(reading.act()) }.save(context, &caller)?;
        Ok(reading)
    }

    async fn entries(&self, context: &Context, query: EntriesQuery) -> Result<Page<AuditEntry>, Refusal> {
        let Permitted { reading, proof, holds, at } = load_permitted(context, &query.reading).await?;

        let listed = Listed::Entries(query.reading);
        let position = page_token::read(&listed, query.page_token)?;
        let shown = |entry: AuditEntry| (!holds.hides(&entry, at)).then_some(entry);
        let limit = query.limit.unwrap_or_default().into();
        let (items, next) = fill(context, (&reading, &proof), position, (limit, limit + 1), shown).await?;
        let next_page_token = page_token::write(&listed, next)?;
        Ok(Page { items, next_page_token })
    }

    async fn accounting(&self, context: &Context, query: AccountingQuery) -> Result<Page<Disclosure>, Refusal> {
        let Permitted { reading, proof, holds, at } = load_permitted(context, &query.reading).await?;
        let reading = reading.for_accounting(at)?;
        let listed = Listed::Accounting { reading: query.reading, all: query.all };
        let position = page_token::read(&listed, query.page_token)?;
        let shown = |entry: AuditEntry| {
            let disclosed = Some(&entry).filter(|entry| !holds.hides(entry, at)).and_then(disclosure);
            disclosed.filter(|disclosed| query.all || disclosed.exception.is_none())
        };
        let limit = query.limit.unwrap_or_default().into();
        let (items, next) = fill(context, (&reading, &proof), position, (limit, limit::PAGE_SCAN), shown).await?;
        let next_page_token = page_token::write(&listed, next)?;
        Ok(Page { items, next_page_token })
    }

    async fn hold(&self, context: &mut Context, call: PlaceHold) -> Result<Hold, Refusal> {
        let PlaceHold { hold: id, patient, recipient, statement, until, reason } = call;
        let first = (
            load_hold(&transaction::signer(context)?.msp_id, &id),
            load_hold_book(&patient),
            load_member(&patient),
            load_organisation(&recipient),
        );
        let (caller, (existing, book, member, organisation), ()) = load_caller_with(context, first, |_, _| ()).await?;

        let target =
            HoldTarget { existing: existing.as_ref(), patient: member.as_ref(), recipient: organisation.as_ref() };
        let terms = HoldTerms { patient, recipient, statement, until, reason };
        match decide_hold(&caller, target, book.unwrap_or_default(), id, terms, transaction::time(context)?)? {
            Outcome::Repeated((hold, _)) => Ok(hold),
            Outcome::Decided((hold, book), proof) => {
                save_hold(context, &hold, &book, proof)?;
                Record::new(HoldAct::HoldPlaced { hold: hold.id.clone() }).save(context, &caller)?;
                Ok(hold)
            }
        }
    }

    async fn release_hold(&self, context: &mut Context, hold: HoldId) -> Result<Hold, Refusal> {
        let first = load_hold(&transaction::signer(context)?.msp_id, &hold);
        let (caller, existing, book) = load_caller_with(context, first, |existing: &Option<Hold>, _| {
            existing.as_ref().map(|hold| load_hold_book(&hold.terms.patient))
        })
        .await?;
        let book = book.flatten().unwrap_or_default();
        match decide_release(&caller, existing, book, transaction::time(context)?)? {
            Outcome::Repeated((hold, _)) => Ok(hold),
            Outcome::Decided((hold, book), proof) => {
                save_hold(context, &hold, &book, proof)?;
                Record::new(HoldAct::HoldReleased { hold: hold.id.clone() }).save(context, &caller)?;
                Ok(hold)
            }
        }
    }

    async fn held(&self, context: &Context, hold: HoldId) -> Result<Hold, Refusal> {
        let first = load_hold(&transaction::signer(context)?.msp_id, &hold);
        let (caller, existing, ()) = load_caller_with(context, first, |_, _| ()).await?;
        decide_reading_hold(&caller, existing)
    }

    async fn replay(&self, context: &Context, opening: TransactionId) -> Result<Replay, Refusal> {
        let first = (load_opening(&opening), load_evidence(&opening));
        let (caller, (opening, evidence), found) = load_caller_with(context, first, |(opening, _), who| {
            let with = |(opening, who): (&Opening, _)| {
                (load_delegation(&opening.patient, who), load_hold_book(&opening.patient))
            };
            opening.as_ref().zip(who).map(with)
        })
        .await?;
        let (delegation, holds) = found.unwrap_or_default();
        let holds = holds.unwrap_or_default();
        let opening = decide_replaying(&caller, opening, delegation.as_ref(), &holds, transaction::time(context)?)?;
        links::opening::replay(context, opening, require_evidence(evidence)?).await
    }

    async fn known(&self, context: &Context, query: KnownQuery) -> Result<Vec<TransactionId>, Refusal> {
        let KnownQuery { member, events } = query;
        let (caller, listener, (charter, concerned)) =
            load_caller_with(context, load_member(&member), |found: &Option<Member>, _| {
                let is_agent = found.as_ref().is_some_and(|found| found.role == Role::Agent);
                (is_agent.then(|| load_charter(&member)), LoadConcerned::of(&events, &member))
            })
            .await?;
        let at = transaction::time(context)?;
        let listener = load_listener(context, listener, charter.flatten(), at).await?;
        decide_telling(&caller, listener, &concerned, &events, at)
    }
}

/// At most `limit` of what `shown` makes of the entries, read so many at once, and where they go on: at an entry that is shown, so that a
/// token tells of no other, unless hundreds in a row are not.
async fn fill<T>(
    context: &Context,
    (reading, proof): (&Reading, &MayHaveEntries),
    mut position: Option<TrailPosition>,
    (limit, at_once): (u32, u32),
    shown: impl Fn(AuditEntry) -> Option<T>,
) -> Result<(Vec<T>, Option<TrailPosition>), Refusal> {
    let mut items = Vec::new();
    let mut looked_at = 0;
    loop {
        let (entries, next) = load_entries(context, reading, position.as_ref(), at_once, proof).await?;
        looked_at += at_once;
        for entry in entries {
            let here = TrailPosition::at(&entry);
            let Some(item) = shown(entry) else { continue };
            if items.len() == limit as usize {
                return Ok((items, Some(here)));
            }
            items.push(item);
        }
        if next.is_none() || looked_at >= limit::PAGE_SCAN {
            return Ok((items, next));
        }
        position = next;
    }
}

/// A reading whose entries the caller may have.
struct Permitted {
    reading: Reading,
    proof: MayHaveEntries,
    /// Empty, unless it is a patient's trail.
    holds: HoldBook,
    at: LedgerTime,
}

async fn load_permitted(context: &Context, reading: &TransactionId) -> Result<Permitted, Refusal> {
    let (caller, reading, found) =
        load_caller_with(context, load_reading(reading), |reading: &Option<Reading>, who| {
            let with =
                |reading: &Reading| (load_state(&reading.trail, who), reading.trail.patient().map(load_hold_book));
            reading.as_ref().map(with)
        })
        .await?;
    let at = transaction::time(context)?;
    let (state, holds) = found.unwrap_or_default();
    let (reading, proof) = decide_entries(&caller, &trail_state(state), reading, at)?;
    Ok(Permitted { reading, proof, holds: holds.flatten().unwrap_or_default(), at })
}

type LoadState = (Option<Load<Member>>, Option<Load<Delegation>>);

/// What says whether somebody may read a trail.
fn load_state(trail: &Trail, who: Option<&MemberId>) -> LoadState {
    let delegation = trail.patient().zip(who).map(|(patient, who)| load_delegation(patient, who));
    (trail.member().map(load_member), delegation)
}

fn trail_state((member, delegation): <LoadState as Loads>::Loaded) -> TrailState {
    TrailState { member: member.flatten(), delegation: delegation.flatten() }
}

/// What bounds an agent that is to be told: it could begin to read a trail now, as far as its charter goes.
async fn load_listener(
    context: &Context,
    member: Option<Member>,
    charter: Option<Charter>,
    at: LedgerTime,
) -> Result<Option<Listener>, Refusal> {
    let Some(member) = member else { return Ok(None) };
    if member.role != Role::Agent {
        return Ok(Some(Listener { member, agent: None }));
    }
    let Some(charter) = charter else { return Ok(None) };
    let owner = fetch(context, load_member(&charter.owner)).await?;
    let function = "Audit:read".parse().ok();
    let agent = owner.map(|owner| AgentAtWork { function, ..AgentAtWork::at_rest(charter, owner, at) });
    Ok(agent.map(|agent| Listener { member, agent: Some(agent) }))
}

/// What a page token belongs to.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Listed {
    Entries(TransactionId),
    Accounting { reading: TransactionId, all: bool },
}

/// What a contract function did: left on the trails, and told to listeners.
pub(crate) struct Record<'a> {
    act: Act,
    patient: Option<&'a MemberId>,
    upon: Option<&'a MemberId>,
    wanted: Option<Recipient>,
    epsilon: u32,
}

impl<'a> Record<'a> {
    /// Something that the caller did.
    pub(crate) fn new(act: impl Into<Act>) -> Self {
        Self { act: act.into(), patient: None, upon: None, wanted: None, epsilon: 0 }
    }

    /// It concerns this patient's records or consents.
    pub(crate) fn about(self, patient: &'a MemberId) -> Self {
        Self { patient: Some(patient), ..self }
    }

    /// It was done to this member.
    pub(crate) fn upon(self, member: &'a MemberId) -> Self {
        Self { upon: Some(member), ..self }
    }

    /// It asks the publisher's gateway to seal an envelope for this recipient, if any.
    pub(crate) fn wanting(self, wanted: Option<Recipient>) -> Self {
        Self { wanted, ..self }
    }

    /// It spends privacy budget, in thousandths of ε; an agent has a daily one.
    pub(crate) fn spending(self, epsilon: u32) -> Self {
        Self { epsilon, ..self }
    }

    /// Saves it as done by the caller. There is one record a transaction.
    pub(crate) fn save(self, context: &mut Context, caller: &Caller) -> Result<(), Refusal> {
        let organisation = caller.organisation().msp_id.clone();
        let Caller::Member(actor) = caller else { return self.save_as(context, organisation, None, None) };
        let Some(work) = &actor.agent else {
            return self.save_as(context, organisation, Some(actor.member.id.clone()), None);
        };
        save_day_use(context, &work.charter.agent, work.at, work.used_after(self.epsilon))?;
        self.save_as(context, organisation, Some(actor.member.id.clone()), Some(work.owner.id.clone()))
    }

    /// Saves it as done by an organisation, and a member of it, of which the ledger did not know before.
    pub(crate) fn save_as(
        self,
        context: &mut Context,
        organisation: MspId,
        member: Option<MemberId>,
        owner: Option<MemberId>,
    ) -> Result<(), Refusal> {
        let entry = AuditEntry {
            transaction: transaction::id(context)?,
            time: transaction::time(context)?,
            organisation,
            member,
            owner,
            patient: self.patient.cloned(),
            act: self.act,
        };
        let event = LedgerEvent { entry, upon: self.upon.cloned(), wanted: self.wanted };
        save_entry(context, &event)?;
        transaction::announce(context, &event)
    }
}
