//! Attestations: who else, beside the administrator who registered it, vouches that a member is who it says, and by which method.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::identifier::{MemberId, MspId};
use crate::member::{Caller, Member, Standing};
use crate::outcome::Outcome;
use crate::refusal::{Refusal, RefusalCode};
use crate::role::{Permission, Role};
use crate::time::LedgerTime;

/// The fact that somebody vouched for a member's identity. Never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IdentityAttestation {
    /// Whose identity.
    pub member: MemberId,
    /// Who vouches for it.
    pub by: MemberId,
    /// The attester's organisation.
    pub organisation: MspId,
    /// What the attester is.
    pub role: Role,
    /// How the identity was found.
    pub method: ProofingMethod,
    /// When.
    pub at: LedgerTime,
}

/// How an identity was proofed, in the terms of NIST SP 800-63A (version 3, section 5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProofingMethod {
    /// The person was present, with evidence.
    InPerson,
    /// The person was remote, and an operator took part throughout.
    SupervisedRemote,
    /// The person was remote, and no operator took part.
    UnsupervisedRemote,
    /// The attester has known the person by earlier care or business; no new evidence was taken.
    ExistingRelationship,
}

/// Proof that the identity may be attested so.
#[derive(Debug, PartialEq, Eq)]
pub struct MayAttest(());

/// Whether the caller may attest that this member, of whatever organisation, is who it says; `existing` is what the caller attested of
/// it before. Nobody attests oneself.
pub fn decide_attestation(
    caller: &Caller,
    member: Option<&Member>,
    existing: Option<IdentityAttestation>,
    method: ProofingMethod,
    at: LedgerTime,
) -> Result<Outcome<IdentityAttestation, MayAttest>, Refusal> {
    let actor = caller.permitted_member(Permission::AttestIdentity)?;
    let member = member.ok_or_else(|| Refusal::new(RefusalCode::UnknownMember, "no such member"))?;
    if actor.stands_for(&member.id) {
        return Err(Refusal::new(RefusalCode::OwnAttestation, "nobody attests oneself: ask somebody who knows you"));
    }
    match existing {
        Some(existing) if existing.method == method => Ok(Outcome::Repeated(existing)),
        Some(_) => Err(Refusal::new(
            RefusalCode::AttestationExists,
            "you attested this member by another method already: that stays",
        )),
        None if matches!(member.standing, Standing::Retired { .. }) => {
            Err(Refusal::new(RefusalCode::StandingConflict, "the member is retired"))
        }
        None => {
            let attestation = IdentityAttestation {
                member: member.id.clone(),
                by: actor.member.id.clone(),
                organisation: actor.organisation.msp_id.clone(),
                role: actor.role(),
                method,
                at,
            };
            Ok(Outcome::Decided(attestation, MayAttest(())))
        }
    }
}
