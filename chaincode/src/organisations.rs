//! The contract `Organisations`.

use fabric_contract::Context;
use healthchain_interface::{EnterOrganisation, Founders, NameCustodians, Organisations};
use healthchain_rules::custody::{decide_clearance, decide_naming};
use healthchain_rules::organisation::{Entry, EntryState, OrganisationAct, decide_entry, decide_founding};
use healthchain_rules::{Actor, Caller, Custodians, MspId, Organisation, Outcome, Refusal, RefusalCode};

use crate::audit::Record;
use crate::caller::load_caller_with;
use crate::encryption_key::encryption_key;
use crate::storage::custody::{load_custodians, save_cleared, save_custodians};
use crate::storage::fetch;
use crate::storage::member::{load_key_holder, load_member};
use crate::storage::organisation::{load_organisation, load_organisations, save_entered, save_founded};
use crate::transaction;

pub(crate) struct OrganisationContract;

impl Organisations for OrganisationContract {
    async fn bootstrap(&self, context: &mut Context, founders: Founders) -> Result<Vec<Organisation>, Refusal> {
        let signer = transaction::signer(context)?;
        let existing = load_organisations(context).await?;

        let founders = founders.organisations.into_iter().map(|founder| (founder.msp_id, founder.kind)).collect();
        match decide_founding(&signer, &existing, founders)? {
            Outcome::Repeated(organisations) => Ok(organisations),
            Outcome::Decided(organisations, proof) => {
                save_founded(context, &organisations, proof)?;
                let names = organisations.iter().map(|organisation| organisation.msp_id.clone()).collect();
                let act = OrganisationAct::OrganisationsFounded { organisations: names };
                Record::new(act).save_as(context, signer.msp_id, None, None)?;
                Ok(organisations)
            }
        }
    }

    async fn enter(&self, context: &mut Context, call: EnterOrganisation) -> Result<Organisation, Refusal> {
        let signer = transaction::signer(context)?;
        let entry = Entry {
            encryption_key: encryption_key(call.encryption_key)?,
            gateway_url: call.gateway_url,
            gateway_key_hash: call.gateway_key_hash,
            administrator: call.administrator,
            administrator_encryption_key: encryption_key(call.administrator_encryption_key)?,
        };
        let loads = (
            load_organisation(&signer.msp_id),
            load_member(&entry.administrator),
            load_key_holder(&signer.msp_id, &signer.key_hash),
            load_key_holder(&signer.msp_id, &entry.gateway_key_hash),
        );
        let (organisation, administrator, signing_key, gateway_key) = fetch(context, loads).await?;

        let state = EntryState {
            organisation: organisation.as_ref(),
            administrator: administrator.as_ref(),
            signing_key: signing_key.as_ref(),
            gateway_key: gateway_key.as_ref(),
        };
        match decide_entry(&signer, state, entry, transaction::time(context)?)? {
            Outcome::Repeated((organisation, _)) => Ok(organisation),
            Outcome::Decided((organisation, administrator), proof) => {
                save_entered(context, &organisation, &administrator, proof)?;
                let caller = Caller::Member(Box::new(Actor { member: administrator, organisation, agent: None }));
                Record::new(OrganisationAct::OrganisationEntered).save(context, &caller)?;
                Ok(caller.organisation().clone())
            }
        }
    }

    async fn name_custodians(&self, context: &mut Context, call: NameCustodians) -> Result<Custodians, Refusal> {
        let NameCustodians { organisation, custodians } = call;
        let named = Custodians::of(organisation, custodians);
        let first =
            (load_custodians(&named.organisation), named.custodians.iter().map(load_organisation).collect::<Vec<_>>());
        let (caller, (existing, organisations), ()) = load_caller_with(context, first, |_, _| ()).await?;

        match decide_naming(&caller, existing, named, &organisations)? {
            Outcome::Repeated(custodians) => Ok(custodians),
            Outcome::Decided(custodians, proof) => {
                save_custodians(context, &custodians, proof)?;
                let act = OrganisationAct::CustodiansNamed { custodians: custodians.custodians.clone() };
                Record::new(act).save(context, &caller)?;
                Ok(custodians)
            }
        }
    }

    async fn confirm_copies_destroyed(&self, context: &mut Context, publisher: MspId) -> Result<Custodians, Refusal> {
        let (caller, existing, ()) = load_caller_with(context, load_custodians(&publisher), |_, _| ()).await?;

        match decide_clearance(&caller, &publisher, existing, transaction::time(context)?)? {
            Outcome::Repeated(custodians) => Ok(custodians),
            Outcome::Decided(custodians, proof) => {
                save_cleared(context, &custodians, proof)?;
                Record::new(OrganisationAct::CopiesDestroyed { publisher }).save(context, &caller)?;
                Ok(custodians)
            }
        }
    }

    async fn custodians(&self, context: &Context, organisation: MspId) -> Result<Custodians, Refusal> {
        let loads = (load_organisation(&organisation), load_custodians(&organisation));
        let (found, named) = fetch(context, loads).await?;
        found.ok_or_else(|| unknown(&organisation))?;
        let named = named.unwrap_or_else(|| Custodians::none(organisation));
        let loads: Vec<_> = named.custodians.iter().map(load_organisation).collect();
        Ok(named.in_effect(&fetch(context, loads).await?))
    }

    async fn organisation(&self, context: &Context, msp_id: MspId) -> Result<Organisation, Refusal> {
        fetch(context, load_organisation(&msp_id)).await?.ok_or_else(|| unknown(&msp_id))
    }

    async fn organisations(&self, context: &Context) -> Result<Vec<Organisation>, Refusal> {
        load_organisations(context).await
    }
}

fn unknown(msp_id: &MspId) -> Refusal {
    Refusal::new(RefusalCode::UnknownOrganisation, format!("there is no organisation {msp_id}"))
}
