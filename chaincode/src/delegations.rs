//! The contract `Delegations`.

use fabric_contract::Context;
use healthchain_interface::{
    Delegate, Delegations, EndDelegation, GuardianDelegationsQuery, Page, PatientDelegationsQuery,
};
use healthchain_rules::delegation::{DelegationAct, NewDelegation, decide_delegation, decide_end, decide_listing};
use healthchain_rules::{Delegation, Outcome, Refusal};

use crate::audit::Record;
use crate::caller::{load_caller, load_caller_with};
use crate::page_token;
use crate::storage::delegation::{
    load_delegation, load_delegations_of, load_delegations_to, save_delegated, save_ended,
};
use crate::storage::member::load_member;
use crate::transaction;

pub(crate) struct DelegationContract;

impl Delegations for DelegationContract {
    async fn delegate(&self, context: &mut Context, call: Delegate) -> Result<Delegation, Refusal> {
        let Delegate { delegation: id, patient, guardian, powers, categories, from, until } = call;
        let first = (load_member(&guardian), load_delegation(&patient, &guardian));
        let (caller, (member, existing), ()) = load_caller_with(context, first, |_, _| ()).await?;

        let new = NewDelegation { id, patient, guardian, powers, categories, from, until };
        match decide_delegation(&caller, member.as_ref(), existing, new, transaction::time(context)?)? {
            Outcome::Repeated(delegation) => Ok(delegation),
            Outcome::Decided(delegation, proof) => {
                save_delegated(context, &delegation, proof)?;
                let act = DelegationAct::DelegationGranted {
                    delegation: delegation.id.clone(),
                    guardian: delegation.guardian.clone(),
                    powers: delegation.powers.clone(),
                    until: delegation.until,
                };
                Record::new(act).about(&delegation.patient).upon(&delegation.guardian).save(context, &caller)?;
                Ok(delegation)
            }
        }
    }

    async fn end(&self, context: &mut Context, call: EndDelegation) -> Result<Delegation, Refusal> {
        let first = load_delegation(&call.patient, &call.guardian);
        let (caller, existing, ()) = load_caller_with(context, first, |_, _| ()).await?;

        match decide_end(&caller, existing, transaction::time(context)?)? {
            Outcome::Repeated(delegation) => Ok(delegation),
            Outcome::Decided(delegation, proof) => {
                save_ended(context, &delegation, proof)?;
                let guardian = delegation.guardian.clone();
                let act = DelegationAct::DelegationEnded { delegation: delegation.id.clone(), guardian };
                Record::new(act).about(&delegation.patient).upon(&delegation.guardian).save(context, &caller)?;
                Ok(delegation)
            }
        }
    }

    async fn of_patient(&self, context: &Context, query: PatientDelegationsQuery) -> Result<Page<Delegation>, Refusal> {
        let PatientDelegationsQuery { patient, page_token, limit } = query;
        let proof = decide_listing(&load_caller(context).await?, &patient)?;
        let from = page_token::read(&patient, page_token)?;
        let limit = limit.unwrap_or_default().into();
        let (items, next) = load_delegations_of(context, &patient, from.as_ref(), limit, proof).await?;
        let next_page_token = page_token::write(&patient, next)?;
        Ok(Page { items, next_page_token })
    }

    async fn of_guardian(
        &self,
        context: &Context,
        query: GuardianDelegationsQuery,
    ) -> Result<Page<Delegation>, Refusal> {
        let GuardianDelegationsQuery { guardian, page_token, limit } = query;
        let proof = decide_listing(&load_caller(context).await?, &guardian)?;
        let from = page_token::read(&guardian, page_token)?;
        let limit = limit.unwrap_or_default().into();
        let (items, next) = load_delegations_to(context, &guardian, from.as_ref(), limit, proof).await?;
        let next_page_token = page_token::write(&guardian, next)?;
        Ok(Page { items, next_page_token })
    }
}
