//! The contract `Audit`, and how the other contracts leave their entries.

use fabric_contract::Context;
use healthchain_interface::{Audit, MemberAuditQuery, Page, PageLimit, PageToken, PatientAuditQuery};
use healthchain_rules::audit::{Act, AuditEntry, MayReadTrail, decide_reading_of_member, decide_reading_of_patient};
use healthchain_rules::{Caller, MemberId, Refusal};

use crate::caller::{load_caller, load_caller_with};
use crate::page_token;
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
        let (caller, member, ()) = load_caller_with(context, load_member(&query.member), |_| ()).await?;
        let proof = decide_reading_of_member(&caller, member.as_ref())?;
        page(context, Trail::OfMember(query.member), query.page_token, query.limit, proof).await
    }
}

/// What a contract function did, to be left on the trails.
pub(crate) struct Record<'a> {
    act: Act,
    patient: Option<&'a MemberId>,
    upon: Option<&'a MemberId>,
}

impl<'a> Record<'a> {
    /// Something that the caller did.
    pub(crate) fn new(act: Act) -> Self {
        Self { act, patient: None, upon: None }
    }

    /// It concerns this patient's records or consents.
    pub(crate) fn about(self, patient: &'a MemberId) -> Self {
        Self { patient: Some(patient), ..self }
    }

    /// It was done to this member.
    pub(crate) fn upon(self, member: &'a MemberId) -> Self {
        Self { upon: Some(member), ..self }
    }

    /// Saves it.
    pub(crate) fn save(self, context: &mut Context, caller: &Caller) -> Result<(), Refusal> {
        let member = match caller {
            Caller::Member(actor) => Some(actor.member.id.clone()),
            Caller::Custodian(_) => None,
        };
        let entry = AuditEntry {
            transaction: transaction::id(context)?,
            time: transaction::time(context)?,
            organisation: caller.organisation().msp_id.clone(),
            member,
            patient: self.patient.cloned(),
            act: self.act,
        };
        save_entry(context, &entry, self.upon)
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
