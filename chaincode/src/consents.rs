//! The contract `Consents`.

use fabric_contract::Context;
use healthchain_interface::{Consents, GrantConsent, RevokeConsent};
use healthchain_rules::consent::{ConsentAct, GrantState, decide_grant, decide_reading, decide_revocation};
use healthchain_rules::{Consent, Grantee, MemberId, Outcome, Refusal, Scope, Terms};

use crate::audit::Record;
use crate::caller::load_caller_with;
use crate::storage::consent::{load_consent, load_consent_book, save_granted, save_revoked};
use crate::storage::link::load_link;
use crate::storage::member::load_member;
use crate::storage::organisation::load_organisation;
use crate::transaction;

pub(crate) struct ConsentContract;

impl Consents for ConsentContract {
    async fn grant(&self, context: &mut Context, call: GrantConsent) -> Result<Consent, Refusal> {
        let GrantConsent { consent: id, patient, grantee, scope, purposes, from, until, effect } = call;
        let terms = Terms::new(grantee, scope, purposes, from, until, effect)?;
        let member = match terms.grantee() {
            Grantee::Member(member) => Some(load_member(member)),
            Grantee::Organisation(_) | Grantee::Role(_) => None,
        };
        let organisation = match terms.grantee() {
            Grantee::Organisation(organisation) => Some(load_organisation(organisation)),
            Grantee::Member(_) | Grantee::Role(_) => None,
        };
        let links = match terms.scope() {
            Scope::Links(links) => links.iter().map(load_link).collect(),
            Scope::Categories(_) => Vec::new(),
        };
        let first = (load_consent(&patient, &id), load_consent_book(&patient));
        let (caller, (existing, book), (member, organisation, links)) =
            load_caller_with(context, first, |_, _| (member, organisation, links)).await?;

        let (member, organisation) = (member.flatten(), organisation.flatten());
        let state = GrantState {
            existing: existing.as_ref(),
            member: member.as_ref(),
            organisation: organisation.as_ref(),
            links: &links,
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
        let (caller, (existing, book), ()) = load_caller_with(context, first, |_, _| ()).await?;

        let at = transaction::time(context)?;
        match decide_revocation(&caller, &patient, existing, book.unwrap_or_default(), at)? {
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
        let (caller, book, ()) = load_caller_with(context, load_consent_book(&patient), |_, _| ()).await?;
        decide_reading(&caller, &patient)?;
        Ok(book.unwrap_or_default().standing(&patient, transaction::time(context)?))
    }
}
