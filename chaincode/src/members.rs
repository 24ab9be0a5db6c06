//! The contract `Members`.

use fabric_contract::Context;
use healthchain_interface::{Me, Members, NewMember, SuspendMember};
use healthchain_rules::member::{
    MemberAct, Registration, decide_registration, decide_reinstatement, decide_suspension,
};
use healthchain_rules::{Caller, Member, MemberId, Outcome, Refusal, RefusalCode};

use crate::audit::Record;
use crate::caller::{load_caller, load_caller_with};
use crate::encryption_key::encryption_key;
use crate::storage::member::{load_key_holder, load_member, save_registered, save_standing};
use crate::transaction;

pub(crate) struct MemberContract;

impl Members for MemberContract {
    async fn register(&self, context: &mut Context, call: NewMember) -> Result<Member, Refusal> {
        let new = Registration {
            id: call.id,
            role: call.role,
            key_hash: call.key_hash,
            encryption_key: encryption_key(call.encryption_key)?,
        };
        let about = (load_member(&new.id), load_key_holder(&transaction::signer(context)?.msp_id, &new.key_hash));
        let (caller, (existing, key_holder), ()) = load_caller_with(context, about, |_, _| ()).await?;

        let at = transaction::time(context)?;
        match decide_registration(&caller, existing.as_ref(), key_holder.as_ref(), new, at)? {
            Outcome::Repeated(member) => Ok(member),
            Outcome::Decided(member, proof) => {
                save_registered(context, &member, proof)?;
                let act = MemberAct::MemberRegistered { registered: member.id.clone(), role: member.role };
                Record::new(act).upon(&member.id).save(context, &caller)?;
                Ok(member)
            }
        }
    }

    async fn suspend(&self, context: &mut Context, call: SuspendMember) -> Result<Member, Refusal> {
        let (caller, member, ()) = load_caller_with(context, load_member(&call.member), |_, _| ()).await?;

        match decide_suspension(&caller, member, call.reason.clone(), transaction::time(context)?)? {
            Outcome::Repeated(member) => Ok(member),
            Outcome::Decided(member, proof) => {
                save_standing(context, &member, proof)?;
                let act = MemberAct::MemberSuspended { suspended: member.id.clone(), reason: call.reason };
                Record::new(act).upon(&member.id).save(context, &caller)?;
                Ok(member)
            }
        }
    }

    async fn reinstate(&self, context: &mut Context, member: MemberId) -> Result<Member, Refusal> {
        let (caller, member, ()) = load_caller_with(context, load_member(&member), |_, _| ()).await?;

        match decide_reinstatement(&caller, member)? {
            Outcome::Repeated(member) => Ok(member),
            Outcome::Decided(member, proof) => {
                save_standing(context, &member, proof)?;
                let act = MemberAct::MemberReinstated { reinstated: member.id.clone() };
                Record::new(act).upon(&member.id).save(context, &caller)?;
                Ok(member)
            }
        }
    }

    async fn me(&self, context: &Context) -> Result<Me, Refusal> {
        Ok(match load_caller(context).await? {
            Caller::Member(actor) => Me::Member(Box::new(actor.member)),
            Caller::Custodian(organisation) => Me::Custodian(organisation),
        })
    }

    async fn member(&self, context: &Context, member: MemberId) -> Result<Member, Refusal> {
        let (caller, member, ()) = load_caller_with(context, load_member(&member), |_, _| ()).await?;
        caller.require_active()?;
        member.ok_or_else(|| Refusal::new(RefusalCode::UnknownMember, "no such member"))
    }
}
