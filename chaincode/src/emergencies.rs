//! The contract `Emergencies`.

use fabric_contract::Context;
use healthchain_interface::{DeclareEmergency, Emergencies, Page, ReviewEmergency, ToReviewQuery};
use healthchain_rules::emergency::{
    Declaration, EmergencyAct, decide_declaration, decide_end, decide_listing, decide_reading, decide_review,
};
use healthchain_rules::{Emergency, Outcome, Refusal, TransactionId};

use crate::audit::Record;
use crate::caller::{load_caller, load_caller_with};
use crate::page_token;
use crate::storage::emergency::{
    load_docket, load_emergencies_due, load_emergency, save_declared, save_ended, save_reviewed,
};
use crate::storage::member::load_member;
use crate::storage::settings::load_settings;
use crate::transaction;

pub(crate) struct EmergencyContract;

impl Emergencies for EmergencyContract {
    async fn declare(&self, context: &mut Context, call: DeclareEmergency) -> Result<Emergency, Refusal> {
        let first = (load_member(&call.patient), load_settings());
        let (caller, (patient, settings), docket) =
            load_caller_with(context, first, |_, who| who.map(load_docket)).await?;
        let (docket, settings) = (docket.flatten().unwrap_or_default(), settings.unwrap_or_default());
        let (transaction, at) = (transaction::id(context)?, transaction::time(context)?);
        let declaration = Declaration { transaction, reason: call.reason, hours: call.hours };
        let ((emergency, docket), proof) =
            decide_declaration(&caller, patient.as_ref(), docket, &settings, declaration, at)?;

        save_declared(context, &emergency, &docket, proof)?;
        let act = EmergencyAct::EmergencyDeclared { until: emergency.until, review_due: emergency.review_due };
        Record::new(act).about(&emergency.patient).save(context, &caller)?;
        Ok(emergency)
    }

    async fn end(&self, context: &mut Context, emergency: TransactionId) -> Result<Emergency, Refusal> {
        let (caller, emergency, ()) = load_caller_with(context, load_emergency(&emergency), |_, _| ()).await?;
        match decide_end(&caller, emergency, transaction::time(context)?)? {
            Outcome::Repeated(emergency) => Ok(emergency),
            Outcome::Decided(emergency, proof) => {
                save_ended(context, &emergency, proof)?;
                let act = EmergencyAct::EmergencyEnded { emergency: emergency.id.clone() };
                Record::new(act).about(&emergency.patient).save(context, &caller)?;
                Ok(emergency)
            }
        }
    }

    async fn review(&self, context: &mut Context, call: ReviewEmergency) -> Result<Emergency, Refusal> {
        let (caller, emergency, docket) =
            load_caller_with(context, load_emergency(&call.emergency), |emergency: &Option<Emergency>, _| {
                emergency.as_ref().map(|emergency| load_docket(&emergency.clinician))
            })
            .await?;
        let docket = docket.flatten().unwrap_or_default();
        let at = transaction::time(context)?;
        match decide_review(&caller, emergency, docket, call.finding, call.note, at)? {
            Outcome::Repeated((emergency, _)) => Ok(emergency),
            Outcome::Decided((emergency, docket), proof) => {
                save_reviewed(context, &emergency, &docket, proof)?;
                let act = EmergencyAct::EmergencyReviewed { emergency: emergency.id.clone(), finding: call.finding };
                Record::new(act).about(&emergency.patient).upon(&emergency.clinician).save(context, &caller)?;
                Ok(emergency)
            }
        }
    }

    async fn emergency(&self, context: &Context, emergency: TransactionId) -> Result<Emergency, Refusal> {
        let (caller, emergency, ()) = load_caller_with(context, load_emergency(&emergency), |_, _| ()).await?;
        decide_reading(&caller, emergency)
    }

    async fn to_review(&self, context: &Context, query: ToReviewQuery) -> Result<Page<Emergency>, Refusal> {
        /// Names the query in its page tokens.
        const QUERY: &str = "emergencies-to-review";

        let caller = load_caller(context).await?;
        let own = decide_listing(&caller)?;
        let query_name = QUERY.to_owned();
        let from = page_token::read(&query_name, query.page_token)?;
        let limit = query.limit.unwrap_or_default().into();
        let (mut items, next) = load_emergencies_due(context, from.as_ref(), limit).await?;
        items.retain(|emergency| emergency.organisation != *own);
        let next_page_token = page_token::write(&query_name, next)?;
        Ok(Page { items, next_page_token })
    }
}
