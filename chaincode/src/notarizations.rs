//! The contract `Notarizations`.

use fabric_contract::Context;
use healthchain_interface::{Notarizations, NotarizationsQuery, Notarize, Page, RevokeNotarization, VerifyQuery};
use healthchain_rules::notarization::{
    Notarization, NotarizationAct, NotarizationDraft, NotarizationGround, Verification, decide_listing,
    decide_notarization, decide_reading, decide_revocation,
};
use healthchain_rules::{NotarizationId, Outcome, Refusal};

use crate::audit::Record;
use crate::caller::load_caller_with;
use crate::page_token;
use crate::storage::delegation::load_delegation;
use crate::storage::fetch;
use crate::storage::member::load_member;
use crate::storage::notarization::{
    load_notarization, load_notarizations_of_patient, load_verifications, save_notarized, save_revoked,
};
use crate::storage::settings::load_settings;
use crate::storage::subscription::load_subscription;
use crate::transaction;

pub(crate) struct NotarizationContract;

impl Notarizations for NotarizationContract {
    async fn notarize(&self, context: &mut Context, call: Notarize) -> Result<Notarization, Refusal> {
        let Notarize { notarization: id, patient, kind, hash, bill_to } = call;
        let first = (load_notarization(&id), load_member(&patient), load_subscription(&patient), load_settings());
        let (caller, (existing, member, subscription, settings), ()) =
            load_caller_with(context, first, |_, _| ()).await?;

        let settings = settings.unwrap_or_default();
        let ground = NotarizationGround {
            existing: existing.as_ref(),
            patient: member.as_ref(),
            subscription: subscription.as_ref(),
            settings: &settings,
        };
        let draft = NotarizationDraft { id, patient, kind, hash, bill_to };
        let (transaction, at) = (transaction::id(context)?, transaction::time(context)?);
        match decide_notarization(&caller, ground, draft, transaction, at)? {
            Outcome::Repeated(notarization) => Ok(notarization),
            Outcome::Decided(notarization, proof) => {
                save_notarized(context, &notarization, &proof)?;
                let act = NotarizationAct::Notarized { notarization: notarization.id.clone(), kind };
                Record::new(act).about(&notarization.patient).save(context, &caller)?;
                Ok(notarization)
            }
        }
    }

    async fn revoke(&self, context: &mut Context, call: RevokeNotarization) -> Result<Notarization, Refusal> {
        let first = load_notarization(&call.notarization);
        let (caller, notarization, ()) = load_caller_with(context, first, |_, _| ()).await?;

        let at = transaction::time(context)?;
        match decide_revocation(&caller, notarization, call.reason.clone(), at)? {
            Outcome::Repeated(notarization) => Ok(notarization),
            Outcome::Decided(notarization, proof) => {
                save_revoked(context, &notarization, proof)?;
                let act =
                    NotarizationAct::NotarizationRevoked { notarization: notarization.id.clone(), reason: call.reason };
                Record::new(act).about(&notarization.patient).save(context, &caller)?;
                Ok(notarization)
            }
        }
    }

    /// Asks not who calls: the answer is the same for everybody.
    async fn verify(&self, context: &Context, query: VerifyQuery) -> Result<Page<Verification>, Refusal> {
        let from: Option<NotarizationId> = page_token::read(&query.hash, query.page_token)?;
        let limit = query.limit.unwrap_or_default().into();
        let (items, next) = load_verifications(context, &query.hash, from.as_ref(), limit).await?;
        let next_page_token = page_token::write(&query.hash, next)?;
        Ok(Page { items, next_page_token })
    }

    async fn notarization(&self, context: &Context, id: NotarizationId) -> Result<Notarization, Refusal> {
        let first = load_notarization(&id);
        let (caller, notarization, delegation) =
            load_caller_with(context, first, |notarization: &Option<Notarization>, who| {
                notarization.as_ref().zip(who).map(|(found, who)| load_delegation(&found.patient, who))
            })
            .await?;
        decide_reading(&caller, notarization, delegation.flatten().as_ref(), transaction::time(context)?)
    }

    async fn of_patient(&self, context: &Context, query: NotarizationsQuery) -> Result<Page<Notarization>, Refusal> {
        let patient = query.patient;
        let (caller, (), delegation) =
            load_caller_with(context, (), |(), who| who.map(|who| load_delegation(&patient, who))).await?;
        let at = transaction::time(context)?;
        let proof = decide_listing(&caller, &patient, delegation.flatten().as_ref(), at)?;

        let from = page_token::read(&patient, query.page_token)?;
        let limit = query.limit.unwrap_or_default().into();
        let (ids, next) = load_notarizations_of_patient(context, &patient, from.as_ref(), limit, proof).await?;
        let items = fetch(context, ids.iter().map(load_notarization).collect::<Vec<_>>()).await?;
        let next_page_token = page_token::write(&patient, next)?;
        Ok(Page { items, next_page_token })
    }
}
