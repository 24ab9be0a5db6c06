//! The contract `Requests`.

use fabric_contract::Context;
use healthchain_interface::{
    AnswerRequest, AskForAccess, OwnRequestsQuery, Page, PageLimit, PageToken, PatientRequestsQuery,
    RemoveStandingRule, Requests, SetStandingRule,
};
use healthchain_rules::request::{
    AccessRequest, Answer, AnswerState, AskState, RequestAct, Wish, decide_answer, decide_asking, decide_listing,
    decide_reading, decide_withdrawal,
};
use healthchain_rules::standing_rule::{self, StandingRule, StandingRules, decide_removal, decide_setting};
use healthchain_rules::{ConsentId, LedgerTime, MemberId, Outcome, Refusal, RequestId};

use crate::audit::Record;
use crate::caller::{load_caller, load_caller_with};
use crate::consents::load_named_links;
use crate::page_token;
use crate::storage::consent::{load_consent, load_consent_book};
use crate::storage::delegation::load_delegation;
use crate::storage::grantee::load_grantee;
use crate::storage::member::load_member;
use crate::storage::request::{
    RequestList, load_open_requests, load_request, load_requests, load_standing_rules, save_answered, save_asked,
    save_standing_rules,
};
use crate::transaction;

pub(crate) struct RequestContract;

impl Requests for RequestContract {
    async fn ask(&self, context: &mut Context, call: AskForAccess) -> Result<AccessRequest, Refusal> {
        let AskForAccess { request: id, patient, beneficiary, scope, purposes, from, until, reason } = call;
        let organisation = transaction::signer(context)?.msp_id;
        let open = load_open_requests(&patient, &organisation);
        let first = (load_request(&id), load_member(&patient), open, load_standing_rules(&patient));
        let (caller, (existing, member, open, rules), answering) = load_caller_with(context, first, |first, _| {
            let has_rules = first.3.as_ref().is_some_and(|rules| !rules.rules().is_empty());
            has_rules.then(|| (load_consent(&patient, &ConsentId::from(&id)), load_consent_book(&patient)))
        })
        .await?;
        let (consent, book) = answering.unwrap_or_default();

        let (open, rules, book) = (open.unwrap_or_default(), rules.unwrap_or_default(), book.unwrap_or_default());
        let state = AskState { existing, patient: member, open, rules, consent, book };
        let wish = Wish { id, patient, beneficiary, scope, purposes, from, until, reason };
        match decide_asking(&caller, state, wish, transaction::time(context)?)? {
            Outcome::Repeated(settled) => Ok(settled.request),
            Outcome::Decided(settled, proof) => {
                let request = save_asked(context, settled, proof)?;
                Record::new(request.act()).about(&request.patient).save(context, &caller)?;
                Ok(request)
            }
        }
    }

    async fn answer(&self, context: &mut Context, call: AnswerRequest) -> Result<AccessRequest, Refusal> {
        let patient = &call.patient;
        let consent = match &call.answer {
            Answer::Grant { consent, .. } => Some((load_consent(patient, consent), load_consent_book(patient))),
            Answer::Refuse { .. } => None,
        };
        let first = (load_request(&call.request), consent);
        let (caller, (request, consent), (delegation, open, named)) = load_caller_with(context, first, |first, who| {
            let request = first.0.as_ref();
            let named =
                |request: &AccessRequest| (load_grantee(request.terms.grantee()), load_named_links(&request.terms));
            (
                who.map(|who| load_delegation(patient, who)),
                request.map(|request| load_open_requests(&request.patient, &request.organisation)),
                request.map(named),
            )
        })
        .await?;

        let (consent, book) = consent.unwrap_or_default();
        let (grantee, links) = named.unwrap_or_default();
        let state = AnswerState {
            request,
            open: open.flatten().unwrap_or_default(),
            delegation: delegation.flatten(),
            consent,
            book: book.unwrap_or_default(),
            member: grantee.member,
            organisation: grantee.organisation,
            links,
        };
        match decide_answer(&caller, patient, state, call.answer, transaction::time(context)?)? {
            Outcome::Repeated(settled) => Ok(settled.request),
            Outcome::Decided(settled, proof) => {
                let request = save_answered(context, settled, proof)?;
                Record::new(request.act()).about(patient).upon(&request.requester).save(context, &caller)?;
                Ok(request)
            }
        }
    }

    async fn withdraw(&self, context: &mut Context, request: RequestId) -> Result<AccessRequest, Refusal> {
        let (caller, request, open) =
            load_caller_with(context, load_request(&request), |request: &Option<AccessRequest>, _| {
                request.as_ref().map(|request| load_open_requests(&request.patient, &request.organisation))
            })
            .await?;
        let open = open.flatten().unwrap_or_default();
        match decide_withdrawal(&caller, request, open, transaction::time(context)?)? {
            Outcome::Repeated(settled) => Ok(settled.request),
            Outcome::Decided(settled, proof) => {
                let request = save_answered(context, settled, proof)?;
                Record::new(request.act()).about(&request.patient).save(context, &caller)?;
                Ok(request)
            }
        }
    }

    async fn request(&self, context: &Context, request: RequestId) -> Result<AccessRequest, Refusal> {
        let (caller, request, delegation) =
            load_caller_with(context, load_request(&request), |request: &Option<AccessRequest>, who| {
                request.as_ref().zip(who).map(|(request, who)| load_delegation(&request.patient, who))
            })
            .await?;
        decide_reading(&caller, request, delegation.flatten().as_ref(), transaction::time(context)?)
    }

    async fn of_patient(&self, context: &Context, query: PatientRequestsQuery) -> Result<Page<AccessRequest>, Refusal> {
        let patient = query.patient;
        let (caller, (), delegation) =
            load_caller_with(context, (), |(), who| who.map(|who| load_delegation(&patient, who))).await?;
        let at = transaction::time(context)?;
        decide_listing(&caller, &patient, delegation.flatten().as_ref(), at)?;
        page(context, RequestList::OfPatient(patient), query.page_token, query.limit, at).await
    }

    async fn of_requester(&self, context: &Context, query: OwnRequestsQuery) -> Result<Page<AccessRequest>, Refusal> {
        let caller = load_caller(context).await?;
        let requester = caller.active_member()?.member.id.clone();
        let at = transaction::time(context)?;
        page(context, RequestList::OfRequester(requester), query.page_token, query.limit, at).await
    }

    async fn set_rule(&self, context: &mut Context, call: SetStandingRule) -> Result<StandingRules, Refusal> {
        let SetStandingRule { rule: id, patient, grantee, purposes, categories, answer } = call;
        let rule = StandingRule::new(grantee, purposes, categories, answer)?;
        let grantee = load_grantee(rule.grantee());
        let (caller, rules, grantee) = load_caller_with(context, load_standing_rules(&patient), |_, _| grantee).await?;
        match decide_setting(&caller, &patient, rules.unwrap_or_default(), id.clone(), rule, grantee.state())? {
            Outcome::Repeated(rules) => Ok(rules),
            Outcome::Decided(rules, proof) => {
                save_standing_rules(context, &patient, &rules, proof)?;
                Record::new(RequestAct::StandingRuleSet { rule: id }).about(&patient).save(context, &caller)?;
                Ok(rules)
            }
        }
    }

    async fn remove_rule(&self, context: &mut Context, call: RemoveStandingRule) -> Result<StandingRules, Refusal> {
        let RemoveStandingRule { rule: id, patient } = call;
        let (caller, rules, ()) = load_caller_with(context, load_standing_rules(&patient), |_, _| ()).await?;
        match decide_removal(&caller, &patient, rules.unwrap_or_default(), &id)? {
            Outcome::Repeated(rules) => Ok(rules),
            Outcome::Decided(rules, proof) => {
                save_standing_rules(context, &patient, &rules, proof)?;
                Record::new(RequestAct::StandingRuleRemoved { rule: id }).about(&patient).save(context, &caller)?;
                Ok(rules)
            }
        }
    }

    async fn rules(&self, context: &Context, patient: MemberId) -> Result<StandingRules, Refusal> {
        let (caller, rules, ()) = load_caller_with(context, load_standing_rules(&patient), |_, _| ()).await?;
        standing_rule::decide_reading(&caller, &patient)?;
        Ok(rules.unwrap_or_default())
    }
}

async fn page(
    context: &Context,
    list: RequestList,
    token: Option<PageToken>,
    limit: Option<PageLimit>,
    at: LedgerTime,
) -> Result<Page<AccessRequest>, Refusal> {
    let from = page_token::read(&list, token)?;
    let (requests, next) = load_requests(context, &list, from.as_ref(), limit.unwrap_or_default().into()).await?;
    let next_page_token = page_token::write(&list, next)?;
    Ok(Page { items: requests.into_iter().map(|request| request.seen_at(at)).collect(), next_page_token })
}
