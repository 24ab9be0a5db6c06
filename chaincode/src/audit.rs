//! The contract `Audit`, and how the other contracts leave their entries.

use fabric_contract::Context;
use healthchain_interface::{Audit, MemberAuditQuery, Page, PageLimit, PageToken, PatientAuditQuery};
use healthchain_rules::audit::{Act, AuditEntry, MayReadTrail, decide_reading_of_member, decide_reading_of_patient};
use healthchain_rules::{Caller, LedgerEvent, MemberId, MspId, Recipient, Refusal};

use crate::caller::{load_caller, load_caller_with};
use crate::page_token;
use crate::storage::agent::save_day_use;
use crate::storage::audit::{Trail, load_trail, save_entry};
use crate::storage::member::load_member;
use crate::transaction;

pub(crate) struct AuditContract;

impl Audit for AuditContract {
    async fn of_patient(&self, context: &Context, query: PatientAuditQuery) -> Result<Page<AuditEntry>, Refusal> {
        let caller = load_caller(context).await?;
        let proof = decide_reading_of_patient(&caller, &query.patient)?;
        page(context, Trail::OfPatient(query.patient), query.page_token, query.limit, proof).await
    }

    async fn of_member(&self, context: &Context, query: MemberAuditQuery) -> Result<Page<AuditEntry>, Refusal> {
        let (caller, member, ()) = load_caller_with(context, load_member(&query.member), |_, _| ()).await?;
        let proof = decide_reading_of_member(&caller, member.as_ref())?;
        page(context, Trail::OfMember(query.member), query.page_token, query.limit, proof).await
    }
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
        save_entry(context, &entry, self.upon)?;
        transaction::announce(context, &LedgerEvent { entry, wanted: self.wanted })
    }
}

async fn page(
    context: &Context,
    trail: Trail,
    token: Option<PageToken>,
    limit: Option<PageLimit>,
    proof: MayReadTrail,
) -> Result<Page<AuditEntry>, Refusal> {
    let from = token.map(|token| page_token::read(&trail, &token)).transpose()?;
    let limit = limit.unwrap_or_default().into();
    let (items, next) = load_trail(context, &trail, from.as_ref(), limit, proof).await?;
    let next_page_token = next.map(|position| page_token::write(&trail, &position)).transpose()?;
    Ok(Page { items, next_page_token })
}
