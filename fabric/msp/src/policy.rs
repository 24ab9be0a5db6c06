//! Signature policies: their text, and whether a set of signers satisfies one.

use fabric_protos::common::msp_principal::Classification;
use fabric_protos::common::msp_role::MspRoleType;
use fabric_protos::common::signature_policy::{NOutOf, Type};
use fabric_protos::common::{MspPrincipal, MspRole, SignaturePolicy, SignaturePolicyEnvelope};
use prost::Message;

use crate::{Identity, Msps};

mod text;

pub use text::{PolicyTextError, parse};

/// Why a policy message cannot be evaluated. Fabric refuses whatever such a policy guards.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// Only version 0 exists.
    #[error("this evaluator only understands messages of version 0, but version was {0}")]
    Version(i32),
    /// A rule is missing.
    #[error("the policy has an empty rule")]
    Empty,
    /// A rule names an identity that the policy does not list.
    #[error("identity index out of range, requested {index}, but identities length is {length}")]
    Index {
        /// What the rule names.
        index: i32,
        /// How many the policy lists.
        length: usize,
    },
}

/// One signature of a set, not yet checked.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a> {
    /// The signer's `msp.SerializedIdentity`.
    pub identity: &'a [u8],
    /// What was signed.
    pub message: &'a [u8],
    /// The signature.
    pub signature: &'a [u8],
}

/// The distinct valid signers of a set, in its order. Unknown or invalid signers, wrong signatures and repetitions are
/// left out without a word, as Fabric does: they cannot spoil a set that is good without them.
pub fn valid_signers<'a>(msps: &Msps, set: impl IntoIterator<Item = Signed<'a>>) -> Vec<Identity> {
    let mut signers: Vec<Identity> = Vec::new();
    for signed in set {
        let Ok(identity) = msps.identify(signed.identity) else { continue };
        if !signers.contains(&identity) && identity.verify(signed.message, signed.signature).is_ok() {
            signers.push(identity);
        }
    }
    signers
}

/// Whether the policy can be evaluated at all.
pub fn check(policy: &SignaturePolicyEnvelope) -> Result<(), PolicyError> {
    if policy.version != 0 {
        return Err(PolicyError::Version(policy.version));
    }
    check_rule(policy.rule.as_ref(), policy.identities.len())
}

/// Whether `signers` satisfy the policy; each counts for one principal at most. Give distinct signers, as
/// [`valid_signers`] returns them. A policy that [`check`] refuses is satisfied by nobody.
///
/// Fabric's evaluation is greedy: rules take the first unused signer that fits, in order, and never go back, so that the
/// order of rules and signers can matter.
pub fn evaluate(policy: &SignaturePolicyEnvelope, signers: &[Identity]) -> bool {
    let Some(rule) = policy.rule.as_ref().filter(|_| check(policy).is_ok()) else { return false };
    satisfied(rule, &policy.identities, signers, &mut vec![false; signers.len()])
}

/// The policy that asks for `n` signatures, each of another of these organisations, by `role`.
pub fn n_out_of<'a>(
    n: usize,
    role: MspRoleType,
    msp_ids: impl IntoIterator<Item = &'a str>,
) -> SignaturePolicyEnvelope {
    let identities: Vec<MspPrincipal> = msp_ids.into_iter().map(|msp_id| principal(msp_id, role)).collect();
    let rules = (0..identities.len()).map(|index| signed_by(index as i32)).collect();
    SignaturePolicyEnvelope { version: 0, rule: Some(gate(n as i32, rules)), identities }
}

/// The principal that describes an organisation's members of a role.
pub fn principal(msp_id: &str, role: MspRoleType) -> MspPrincipal {
    let role = MspRole { msp_identifier: msp_id.to_owned(), role: role.into() };
    MspPrincipal { principal_classification: Classification::Role.into(), principal: role.encode_to_vec() }
}

fn signed_by(index: i32) -> SignaturePolicy {
    SignaturePolicy { r#type: Some(Type::SignedBy(index)) }
}

fn gate(n: i32, rules: Vec<SignaturePolicy>) -> SignaturePolicy {
    SignaturePolicy { r#type: Some(Type::NOutOf(NOutOf { n, rules })) }
}

fn check_rule(rule: Option<&SignaturePolicy>, length: usize) -> Result<(), PolicyError> {
    match rule.and_then(|rule| rule.r#type.as_ref()).ok_or(PolicyError::Empty)? {
        Type::SignedBy(index) if usize::try_from(*index).is_ok_and(|index| index < length) => Ok(()),
        Type::SignedBy(index) => Err(PolicyError::Index { index: *index, length }),
        Type::NOutOf(gate) => gate.rules.iter().try_for_each(|rule| check_rule(Some(rule), length)),
    }
}

fn satisfied(rule: &SignaturePolicy, principals: &[MspPrincipal], signers: &[Identity], used: &mut Vec<bool>) -> bool {
    match &rule.r#type {
        None => false,
        Some(Type::SignedBy(index)) => {
            let Some(principal) = usize::try_from(*index).ok().and_then(|index| principals.get(index)) else {
                return false;
            };
            let fits = (0..signers.len()).find(|at| !used[*at] && signers[*at].satisfies(principal));
            fits.inspect(|at| used[*at] = true).is_some()
        }
        Some(Type::NOutOf(gate)) => {
            // Every rule runs, even when enough have held; a failed one gives back what it took.
            let mut held = 0;
            for rule in &gate.rules {
                let mut taken = used.clone();
                if satisfied(rule, principals, signers, &mut taken) {
                    held += 1;
                    *used = taken;
                }
            }
            held >= gate.n
        }
    }
}
