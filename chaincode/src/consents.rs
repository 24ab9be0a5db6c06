//! The contract `Consents`.

use fabric_contract::Context;
use healthchain_interface::{ConsentQuery, Consents, GrantConsent, Page, PatientConsentsQuery, RevokeConsent};
use healthchain_rules::consent::{
    ConsentAct, GrantState, RevocationState, decide_grant, decide_reading, decide_reading_one, decide_revocation,
};
use healthchain_rules::{Consent, Link, MemberId, Outcome, Refusal, Scope, Terms};

use crate::audit::Record;
use crate::caller::load_caller_with;
use crate::page_token;
use crate::storage::Load;
use crate::storage::consent::{load_consent, load_consent_book, load_consents, save_granted, save_revoked};
use crate::storage::delegation::load_delegation;
use crate::storage::grantee::load_grantee;
use crate::storage::link::load_link;
use crate::transaction;

pub(crate) struct ConsentContract;

impl Consents for ConsentContract {
    async fn grant(&self, context: &mut Context, call: GrantConsent) -> Result<Consent, Refusal> {
        let GrantConsent { consent: id, patient, grantee, scope, purposes, from, until, effect } = call;
        let terms = Terms::new(grantee, scope, purposes, from, until, effect)?;
        let first = (load_consent(&patient, &id), load_consent_book(&patient));
        let (caller, (existing, book), (grantee, links, delegation)) = load_caller_with(context, first, |_, who| {
            let delegation = who.map(|who| load_delegation(&patient, who));
            (load_grantee(terms.grantee()), load_named_links(&terms), delegation)
        })
        .await?;

        let delegation = delegation.flatten();
        let state = GrantState {
            existing: existing.as_ref(),
            grantee: grantee.state(),
            links: &links,
            delegation: delegation.as_ref(),
        };
        let at = transaction::time(context)?;
        match decide_grant(&caller, &patient, state, book.unwrap_or_default(), id, terms, at)? {
            Outcome::Repeated((consent, _)) => Ok(consent),
            Outcome::Decided((consent, book), proof) => {
                save_granted(context, &consent, &book, proof)?;
                let act = ConsentAct::ConsentGranted { consent: consent.id.clone(), effect };
                Record::new(act).about(&patient).save(context, &caller)?;
                Ok(consent)
            }
        }
    }

    async fn revoke(&self, context: &mut Context, call: RevokeConsent) -> Result<Consent, Refusal> {
        let patient = call.patient;
        let first = (load_consent(&patient, &call.consent), load_consent_book(&patient));
        let (caller, (existing, book), (links, delegation)) = load_caller_with(context, first, |first, who| {
            let links = first.0.as_ref().map(|consent| load_named_links(&consent.terms));
            (links, who.map(|who| load_delegation(&patient, who)))
        })
        .await?;

        let state = RevocationState {
            existing,
            book: book.unwrap_or_default(),
            links: links.unwrap_or_default(),
            delegation: delegation.flatten(),
        };
        match decide_revocation(&caller, &patient, state, transaction::time(context)?)? {
            Outcome::Repeated((consent, _)) => Ok(consent),
            Outcome::Decided((consent, book), proof) => {
                save_revoked(context, &consent, &book, proof)?;
                let act = ConsentAct::ConsentRevoked { consent: consent.id.clone() };
                Record::new(act).about(&patient).save(context, &caller)?;
                Ok(consent)
            }
        }
    }

    async fn of_patient(&self, context: &Context, patient: MemberId) -> Result<Vec<Consent>, Refusal> {
        let (caller, book, delegation) = load_caller_with(context, load_consent_book(&patient), |_, who| {
            who.map(|who| load_delegation(&patient, who))
        })
        .await?;
        let at = transaction::time(context)?;
        decide_reading(&caller, &patient, delegation.flatten().as_ref(), at)?;
        Ok(book.unwrap_or_default().standing(&patient, at))
    }

    async fn consent(&self, context: &Context, query: ConsentQuery) -> Result<Consent, Refusal> {
        let ConsentQuery { patient, consent } = query;
        let (caller, consent, delegation) = load_caller_with(context, load_consent(&patient, &consent), |_, who| {
            who.map(|who| load_delegation(&patient, who))
        })
        .await?;
        decide_reading_one(&caller, &patient, consent, delegation.flatten().as_ref(), transaction::time(context)?)
    }

    async fn all_of_patient(&self, context: &Context, query: PatientConsentsQuery) -> Result<Page<Consent>, Refusal> {
        let PatientConsentsQuery { patient, page_token, limit } = query;
        let (caller, (), delegation) =
            load_caller_with(context, (), |(), who| who.map(|who| load_delegation(&patient, who))).await?;
        decide_reading(&caller, &patient, delegation.flatten().as_ref(), transaction::time(context)?)?;
        let from = page_token::read(&patient, page_token)?;
        let limit = limit.unwrap_or_default().into();
        let (items, next) = load_consents(context, &patient, from.as_ref(), limit).await?;
        let next_page_token = page_token::write(&patient, next)?;
        Ok(Page { items, next_page_token })
    }
}

/// The links that terms name.
pub(crate) fn load_named_links(terms: &Terms) -> Vec<Load<Link>> {
    match terms.scope() {
        Scope::Links(links) => links.iter().map(load_link).collect(),
        Scope::Categories(_) => Vec::new(),
    }
}
