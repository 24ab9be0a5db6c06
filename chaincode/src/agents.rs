//! The contract `Agents`.

use fabric_contract::Context;
use healthchain_interface::{Agent, Agents, DeployAgent, StopAgent};
use healthchain_rules::agent::{
    AgentAct, Deployment, DeploymentState, decide_deployment, decide_reading, decide_stopping,
};
use healthchain_rules::{Charter, CharterState, MemberId, Outcome, Refusal};

use crate::audit::Record;
use crate::caller::load_caller_with;
use crate::encryption_key::encryption_key;
use crate::storage::agent::{load_charter, load_day_use, save_deployed, save_stopped};
use crate::storage::member::{load_key_holder, load_member};
use crate::transaction;

pub(crate) struct AgentContract;

impl Agents for AgentContract {
    async fn deploy(&self, context: &mut Context, call: DeployAgent) -> Result<Charter, Refusal> {
        let new = Deployment {
            charter: Charter {
                agent: call.agent,
                owner: call.owner,
                functions: call.functions,
                purposes: call.purposes,
                categories: call.categories,
                calls_a_day: call.calls_a_day,
                epsilon_a_day: call.epsilon_a_day,
                until: call.until,
                state: CharterState::Running,
            },
            key_hash: call.key_hash,
            encryption_key: encryption_key(call.encryption_key)?,
        };
        let about = (
            load_member(&new.charter.agent),
            load_charter(&new.charter.agent),
            load_key_holder(&transaction::signer(context)?.msp_id, &new.key_hash),
            load_member(&new.charter.owner),
        );
        let (caller, (existing, charter, key_holder, owner), ()) = load_caller_with(context, about, |_, _| ()).await?;

        let state = DeploymentState {
            existing: existing.as_ref(),
            charter: charter.as_ref(),
            key_holder: key_holder.as_ref(),
            owner: owner.as_ref(),
        };
        match decide_deployment(&caller, state, new, transaction::time(context)?)? {
            Outcome::Repeated((_, charter)) => Ok(charter),
            Outcome::Decided((agent, charter), proof) => {
                save_deployed(context, &agent, &charter, proof)?;
                let act = AgentAct::AgentDeployed { agent: agent.id.clone(), answering: charter.owner.clone() };
                Record::new(act).upon(&agent.id).save(context, &caller)?;
                Ok(charter)
            }
        }
    }

    async fn stop(&self, context: &mut Context, call: StopAgent) -> Result<Charter, Refusal> {
        let about = (load_member(&call.agent), load_charter(&call.agent));
        let (caller, (agent, charter), ()) = load_caller_with(context, about, |_, _| ()).await?;

        let at = transaction::time(context)?;
        match decide_stopping(&caller, agent.as_ref(), charter, call.reason.clone(), at)? {
            Outcome::Repeated(charter) => Ok(charter),
            Outcome::Decided(charter, proof) => {
                save_stopped(context, &charter, proof)?;
                let act = AgentAct::AgentStopped { agent: charter.agent.clone(), reason: call.reason };
                Record::new(act).upon(&charter.agent).save(context, &caller)?;
                Ok(charter)
            }
        }
    }

    async fn agent(&self, context: &Context, agent: MemberId) -> Result<Agent, Refusal> {
        let at = transaction::time(context)?;
        let about = (load_member(&agent), load_charter(&agent), load_day_use(&agent, at));
        let (caller, (member, charter, used), ()) = load_caller_with(context, about, |_, _| ()).await?;
        let charter = decide_reading(&caller, member.as_ref(), charter)?;
        Ok(Agent { charter, used: used.unwrap_or_default() })
    }
}
