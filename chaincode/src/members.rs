//! The contract `Members`.

use fabric_contract::Context;
use healthchain_interface::{
    AttestIdentity, AttestationsQuery, Me, Members, NewMember, OrganisationMembersQuery, Page, RetireMember, RotateKey,
    SuspendMember,
};
use healthchain_rules::attestation::{IdentityAttestation, decide_attestation};
use healthchain_rules::member::MemberAct;
use healthchain_rules::registration::{Registration, decide_registration};
use healthchain_rules::rotation::{NewKeys, RotationState, decide_rotation};
use healthchain_rules::standing::{
    as_seen_by, decide_listing, decide_reinstatement, decide_retirement, decide_suspension,
};
use healthchain_rules::{Caller, Member, MemberId, Outcome, Refusal, RefusalCode};

use crate::audit::Record;
use crate::caller::{load_caller, load_caller_with};
use crate::encryption_key::encryption_key;
use crate::page_token;
use crate::storage::member::{
    load_attestation, load_attestations, load_key_holder, load_member, load_members_of, save_attestation,
    save_registered, save_rotated, save_standing,
};
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

    async fn retire(&self, context: &mut Context, call: RetireMember) -> Result<Member, Refusal> {
        let (caller, member, ()) = load_caller_with(context, load_member(&call.member), |_, _| ()).await?;

        match decide_retirement(&caller, member, call.reason.clone(), transaction::time(context)?)? {
            Outcome::Repeated(member) => Ok(member),
            Outcome::Decided(member, proof) => {
                save_standing(context, &member, proof)?;
                let act = MemberAct::MemberRetired { retired: member.id.clone(), reason: call.reason };
                Record::new(act).upon(&member.id).save(context, &caller)?;
                Ok(member)
            }
        }
    }

    async fn attest(&self, context: &mut Context, call: AttestIdentity) -> Result<IdentityAttestation, Refusal> {
        let AttestIdentity { member, method } = call;
        let second = |_: &_, who: Option<&MemberId>| who.map(|who| load_attestation(&member, who));
        let (caller, found, existing) = load_caller_with(context, load_member(&member), second).await?;

        let at = transaction::time(context)?;
        match decide_attestation(&caller, found.as_ref(), existing.flatten(), method, at)? {
            Outcome::Repeated(attestation) => Ok(attestation),
            Outcome::Decided(attestation, proof) => {
                save_attestation(context, &attestation, proof)?;
                let act = MemberAct::IdentityAttested { attested: attestation.member.clone(), method };
                Record::new(act).upon(&attestation.member).save(context, &caller)?;
                Ok(attestation)
            }
        }
    }

    async fn rotate_key(&self, context: &mut Context, call: RotateKey) -> Result<Member, Refusal> {
        let keys = NewKeys { key_hash: call.key_hash, encryption_key: encryption_key(call.encryption_key)? };
        let second = |member: &Option<Member>, _: Option<&MemberId>| {
            member.as_ref().map(|member| {
                let of = |key_hash| load_key_holder(&member.organisation, key_hash);
                (of(&member.key_hash), of(&keys.key_hash))
            })
        };
        let (caller, member, holders) = load_caller_with(context, load_member(&call.member), second).await?;
        let (present, taken) = holders.unwrap_or_default();

        let state = RotationState { member: member.as_ref(), present: present.as_ref(), taken: taken.as_ref() };
        match decide_rotation(&caller, state, keys)? {
            Outcome::Repeated(rotation) => Ok(rotation.member),
            Outcome::Decided(rotation, proof) => {
                save_rotated(context, &rotation, proof)?;
                let member = rotation.member;
                let act = MemberAct::KeyRotated {
                    rotated: member.id.clone(),
                    from: rotation.former,
                    to: member.key_hash.clone(),
                    encryption_key: member.encryption_key.key_hash.clone(),
                };
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
        let member = member.ok_or_else(|| Refusal::new(RefusalCode::UnknownMember, "no such member"))?;
        Ok(as_seen_by(&caller, member))
    }

    async fn attestations(
        &self,
        context: &Context,
        query: AttestationsQuery,
    ) -> Result<Page<IdentityAttestation>, Refusal> {
        let AttestationsQuery { member, page_token, limit } = query;
        load_caller(context).await?.require_active()?;
        let from = page_token::read(&member, page_token)?;
        let limit = limit.unwrap_or_default().into();
        let (items, next) = load_attestations(context, &member, from.as_ref(), limit).await?;
        let next_page_token = page_token::write(&member, next)?;
        Ok(Page { items, next_page_token })
    }

    async fn of_organisation(
        &self,
        context: &Context,
        query: OrganisationMembersQuery,
    ) -> Result<Page<Member>, Refusal> {
        let OrganisationMembersQuery { organisation, page_token, limit } = query;
        let proof = decide_listing(&load_caller(context).await?, &organisation)?;
        let from = page_token::read(&organisation, page_token)?;
        let limit = limit.unwrap_or_default().into();
        let (items, next) = load_members_of(context, &organisation, from.as_ref(), limit, proof).await?;
        let next_page_token = page_token::write(&organisation, next)?;
        Ok(Page { items, next_page_token })
    }
}
