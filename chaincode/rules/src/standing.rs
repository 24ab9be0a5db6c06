//! Whether members may act: how they are suspended, reinstated and retired, and who sees an organisation's members.

use crate::group::Groups;
use crate::identifier::{MspId, Reason};
use crate::member::{Actor, Caller, Member, Standing};
use crate::outcome::Outcome;
use crate::refusal::{Refusal, RefusalCode};
use crate::role::{Permission, Role};
use crate::time::LedgerTime;

/// Proof that the member's standing may change so.
#[derive(Debug, PartialEq, Eq)]
pub struct MayChangeStanding(());

/// Proof that the caller may see the organisation's members.
#[derive(Debug, PartialEq, Eq)]
pub struct MayListMembers(());

/// Whether the caller may suspend this member.
pub fn decide_suspension(
    caller: &Caller,
    member: Option<Member>,
    reason: Reason,
    at: LedgerTime,
) -> Result<Outcome<Member, MayChangeStanding>, Refusal> {
    let actor = caller.permitted_member(Permission::SuspendMember)?;
    let member = stoppable_member(actor, member)?;
    match &member.standing {
        Standing::Active => {
            let standing = Standing::Suspended { by: actor.member.id.clone(), at, reason };
            Ok(Outcome::Decided(Member { standing, ..member }, MayChangeStanding(())))
        }
        Standing::Suspended { reason: standing, .. } if *standing == reason => Ok(Outcome::Repeated(member)),
        Standing::Suspended { .. } => {
            Err(Refusal::new(RefusalCode::StandingConflict, "the member is suspended already, for another reason"))
        }
        Standing::Retired { .. } => Err(Refusal::new(RefusalCode::StandingConflict, "the member is retired")),
    }
}

/// Whether the caller may let this member act again.
pub fn decide_reinstatement(
    caller: &Caller,
    member: Option<Member>,
) -> Result<Outcome<Member, MayChangeStanding>, Refusal> {
    let actor = caller.permitted_member(Permission::SuspendMember)?;
    let member = own_member(actor, member)?;
    match member.standing {
        Standing::Active => Ok(Outcome::Repeated(member)),
        Standing::Suspended { .. } => {
            Ok(Outcome::Decided(Member { standing: Standing::Active, ..member }, MayChangeStanding(())))
        }
        Standing::Retired { .. } => Err(Refusal::new(RefusalCode::StandingConflict, "the member is retired")),
    }
}

/// Whether the caller may retire this member, for ever.
pub fn decide_retirement(
    caller: &Caller,
    member: Option<Member>,
    reason: Reason,
    at: LedgerTime,
) -> Result<Outcome<Member, MayChangeStanding>, Refusal> {
    let actor = caller.permitted_member(Permission::SuspendMember)?;
    let member = stoppable_member(actor, member)?;
    match &member.standing {
        Standing::Active | Standing::Suspended { .. } => {
            let standing = Standing::Retired { at, by: Some(actor.member.id.clone()), reason: Some(reason) };
            Ok(Outcome::Decided(Member { standing, ..member }, MayChangeStanding(())))
        }
        Standing::Retired { reason: standing, .. } if *standing == Some(reason) => Ok(Outcome::Repeated(member)),
        Standing::Retired { .. } => {
            Err(Refusal::new(RefusalCode::StandingConflict, "the member is retired already, for another reason"))
        }
    }
}

/// The member as the caller sees it: what groups it is in is its organisation's affair, of whose members and gateway alone it is seen.
pub fn as_seen_by(caller: &Caller, member: Member) -> Member {
    if caller.organisation().msp_id == member.organisation {
        member
    } else {
        Member { groups: Groups::new(), ..member }
    }
}

/// Whether the caller may see all members of this organisation: administrators and privacy officers, those of their own.
pub fn decide_listing(caller: &Caller, organisation: &MspId) -> Result<MayListMembers, Refusal> {
    let actor = caller.permitted_member(Permission::ReadOrganisationAudit)?;
    if actor.organisation.msp_id == *organisation {
        Ok(MayListMembers(()))
    } else {
        Err(Refusal::new(RefusalCode::OtherOrganisation, "another organisation's members: ask its privacy officer"))
    }
}

/// A member of the actor's organisation whom the actor may stop: not itself, and an administrator only as an administrator, whatever
/// else a group permits. So an organisation keeps an administrator who may act.
fn stoppable_member(actor: &Actor, member: Option<Member>) -> Result<Member, Refusal> {
    let member = own_member(actor, member)?;
    if actor.stands_for(&member.id) {
        return Err(Refusal::new(
            RefusalCode::OwnSuspension,
            "nobody suspends or retires oneself, nor lets a program do it: ask another administrator",
        ));
    }
    if member.role == Role::Administrator && actor.role() != Role::Administrator {
        return Err(Refusal::new(RefusalCode::NotPermitted, "only an administrator stops an administrator"));
    }
    Ok(member)
}

fn own_member(actor: &Actor, member: Option<Member>) -> Result<Member, Refusal> {
    let member = member.ok_or_else(|| Refusal::new(RefusalCode::UnknownMember, "no such member"))?;
    if member.organisation == actor.organisation.msp_id {
        Ok(member)
    } else {
        Err(Refusal::new(RefusalCode::OtherOrganisation, "another organisation's member: ask an administrator there"))
    }
}
