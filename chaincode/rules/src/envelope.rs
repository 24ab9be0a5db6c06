//! Envelopes: a link's payload sealed to one key. Whom they may be sealed to, and when one is added.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::category::Category;
use crate::consent::{Subject, Wanted};
use crate::entitlement::{Entitlement, Grounds, KeyOf, entitlement};
use crate::group::Groups;
use crate::identifier::{KeyHash, LinkId, Malformed, MemberId, MspId, Sealed, TransactionId};
use crate::limit;
use crate::link::Link;
use crate::member::{Actor, Caller, Member, Standing};
use crate::opening::{self, Opening};
use crate::organisation::{EncryptionKey, Organisation};
use crate::outcome::Outcome;
use crate::purpose::Purpose;
use crate::refusal::{Refusal, RefusalCode};
use crate::role::{Permission, Role};
use crate::time::LedgerTime;

/// Whose key an envelope is sealed to. JSON: `{"organisation": "…"}` or `{"member": "…"}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Holder {
    /// An organisation's key, held by its gateways.
    Organisation(MspId),
    /// A person's key.
    Member(MemberId),
}

/// A link's payload, sealed (HPKE, RFC 9180) to one recipient's key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Envelope {
    /// Whose key it is sealed to.
    pub holder: Holder,
    /// The hash of that key.
    pub recipient_key_hash: KeyHash,
    /// The sealed payload.
    pub sealed: Sealed,
}

/// Somebody to seal an envelope to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Recipient {
    /// Who.
    pub holder: Holder,
    /// The key, and its hash.
    #[serde(flatten)]
    pub key: EncryptionKey,
}

/// What is done to envelopes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "act", rename_all = "kebab-case")]
pub enum EnvelopeAct {
    /// An envelope was added, as an opening instructed.
    EnvelopeAdded {
        /// For which link.
        link: LinkId,
        /// As which opening instructed.
        opening: TransactionId,
        /// For whom.
        holder: Holder,
        /// The opener's organisation; unknown in entries of the first release.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        organisation: Option<MspId>,
    },
    /// An envelope was added for a key that is new, or newly entitled.
    EnvelopeResealed {
        /// For which link.
        link: LinkId,
        /// For which version of it.
        version: u32,
        /// For whom.
        holder: Holder,
    },
}

/// Nobody in particular is in no group.
static NO_GROUPS: Groups = Groups::new();

/// Proof that the envelope may be added.
#[derive(Debug, PartialEq, Eq)]
pub struct MayAddEnvelope(());

/// Whether the caller may ask whom to seal to: a clinician or the gateway of a care organisation. Gives that organisation.
pub fn decide_asking(caller: &Caller) -> Result<&Organisation, Refusal> {
    if let Caller::Member(_) = caller {
        caller.permitted_member(Permission::PublishLink)?;
    }
    let organisation = caller.organisation();
    require_care_organisation(organisation)?;
    Ok(organisation)
}

/// A record that is sealed: of which category, and under which link, when it has one already.
#[derive(Clone, Copy, Debug)]
pub struct Sealing<'a> {
    link: Option<&'a LinkId>,
    category: Category,
}

impl From<Category> for Sealing<'_> {
    fn from(category: Category) -> Self {
        Self { link: None, category }
    }
}

impl<'a> From<&'a Link> for Sealing<'a> {
    fn from(link: &'a Link) -> Self {
        Self::of_link(&link.id, link.category)
    }
}

impl<'a> Sealing<'a> {
    /// The record of this link.
    pub const fn of_link(link: &'a LinkId, category: Category) -> Self {
        Self { link: Some(link), category }
    }
}

/// Whom an envelope may be sealed to when `publisher` publishes a record of `patient`: the patient, the publisher, and the other
/// organisations and persons entitled now for some purpose, but for third parties where the patient's subscription offers no instant
/// release: they get their envelopes when they first open the link. `members` are those whom permissions in force name; those of an
/// organisation that is not among `organisations`, or takes no part, are left out.
///
/// Each key is named once. An organisation is entitled when any member that it could have would be: this asks the same rule as an opening.
pub fn recipients<'a>(
    publisher: &Organisation,
    patient: &Member,
    organisations: &[Organisation],
    members: &[Member],
    record: impl Into<Sealing<'a>>,
    grounds: &Grounds,
    at: LedgerTime,
) -> Vec<Recipient> {
    let Sealing { link, category } = record.into();
    let entitled = |subject: Subject<'_>, through: KeyOf| {
        let wanted = Wanted { link, category, patient: &patient.id, publisher: Some(&publisher.msp_id) };
        subject.role.purposes().iter().any(|purpose: &Purpose| {
            let found = entitlement(subject, wanted, grounds, *purpose, at);
            matches!(found, Entitlement::Entitled { through: found, .. } if found == through)
                && !grounds.waits_for_opening(subject, wanted, *purpose, at)
        })
    };
    let is_entitled_organisation = |organisation: &&Organisation| {
        let has_entitled_role = |role: &Role| {
            let subject = Subject {
                member: None,
                organisation: &organisation.msp_id,
                role: *role,
                groups: &NO_GROUPS,
                charter: None,
                owner: None,
            };
            role.belongs_in(organisation.kind) && entitled(subject, KeyOf::Organisation)
        };
        organisation.msp_id == publisher.msp_id || Role::ALL.iter().any(has_entitled_role)
    };
    let is_entitled_member = |member: &&Member| {
        let subject = Subject {
            member: Some(&member.id),
            organisation: &member.organisation,
            role: member.role,
            groups: &member.groups,
            charter: None,
            owner: None,
        };
        let takes_part = std::iter::once(publisher)
            .chain(organisations)
            .any(|organisation| organisation.msp_id == member.organisation && organisation.is_active());
        let may_act = takes_part && member.standing == Standing::Active;
        member.id != patient.id && may_act && entitled(subject, KeyOf::Member)
    };
    let of_member =
        |member: &Member| Recipient { holder: Holder::Member(member.id.clone()), key: member.encryption_key.clone() };
    let of_organisation = |organisation: &Organisation| {
        let key = organisation.encryption_key()?.clone();
        Some(Recipient { holder: Holder::Organisation(organisation.msp_id.clone()), key })
    };
    let mut keys = BTreeSet::new();
    std::iter::once(of_member(patient))
        .chain(of_organisation(publisher))
        .chain(
            organisations
                .iter()
                .filter(|organisation| organisation.msp_id != publisher.msp_id)
                .filter(is_entitled_organisation)
                .filter_map(of_organisation),
        )
        .chain(members.iter().filter(is_entitled_member).map(of_member))
        .filter(|recipient| keys.insert(recipient.key.key_hash.clone()))
        .collect()
}

/// What adding an envelope asks of the ledger.
#[derive(Clone, Copy, Debug)]
pub struct AdditionState<'a> {
    /// The opener, as it stands now.
    pub opener: &'a Actor,
    /// The opening's link.
    pub link: &'a Link,
    /// What the opening rests on, as it stands now.
    pub grounds: &'a Grounds,
    /// The envelope for the opening's recipient that is there already.
    pub existing: Option<&'a Envelope>,
}

/// The opening, if the caller is the gateway of its publisher; for others it is unknown.
pub fn decide_adding(caller: &Caller, opening: Option<Opening>) -> Result<Opening, Refusal> {
    let custodian = caller.custodian()?;
    opening.filter(|opening| opening.publisher == custodian.msp_id).ok_or_else(opening::unknown_opening)
}

/// Whether an envelope may be added as the opening instructs: for its recipient and no other key, while it is in force.
pub fn decide_addition(
    opening: &Opening,
    state: AdditionState<'_>,
    envelope: Envelope,
    at: LedgerTime,
) -> Result<Outcome<Envelope, MayAddEnvelope>, Refusal> {
    let recipient = opening::require_in_force(opening, state.opener, state.link, state.grounds, at)?;
    if !recipient.is_of(&envelope) {
        return Err(Refusal::new(
            RefusalCode::EnvelopeNotWanted,
            "seal the envelope to the opening's recipient, and to nobody else",
        ));
    }
    match state.existing {
        None => Ok(Outcome::Decided(envelope, MayAddEnvelope(()))),
        Some(existing) if *existing == envelope => Ok(Outcome::Repeated(envelope)),
        Some(_) => Err(Refusal::new(RefusalCode::EnvelopeExists, "there is an envelope for this key: use that one")),
    }
}

/// The publisher whose gateway may have its own envelope of a link; to others the link is unknown.
pub fn decide_reading_own(caller: &Caller, link: Option<Link>) -> Result<(Link, EncryptionKey), Refusal> {
    let custodian = caller.custodian()?;
    let link = link.filter(|link| link.publisher == custodian.msp_id).ok_or_else(crate::link::unknown_link)?;
    let key = custodian.encryption_key().ok_or_else(unknown_envelope)?.clone();
    Ok((link, key))
}

/// The refusal of an envelope that does not exist.
pub fn unknown_envelope() -> Refusal {
    Refusal::new(RefusalCode::UnknownEnvelope, "no such envelope")
}

impl Recipient {
    /// Whether the envelope is sealed to this recipient's present key, as far as it says.
    pub(crate) fn is_of(&self, envelope: &Envelope) -> bool {
        self.holder == envelope.holder && self.key.key_hash == envelope.recipient_key_hash
    }
}

/// Refuses organisations that do not care for patients or do not take part.
pub(crate) fn require_care_organisation(organisation: &Organisation) -> Result<(), Refusal> {
    if organisation.kind.is_care() && organisation.encryption_key().is_some() {
        Ok(())
    } else {
        Err(Refusal::new(RefusalCode::NotPermitted, "only active care organisations do this"))
    }
}

/// Envelopes of a publication: one for the patient, one for the publisher, none twice, none for anybody else than `recipients`.
pub(crate) fn require_complete(
    envelopes: &[Envelope],
    recipients: &[Recipient],
    patient: &MemberId,
    publisher: &MspId,
) -> Result<(), Refusal> {
    if envelopes.len() > limit::ENVELOPES {
        return Err(Malformed::new("the list of envelopes", "at most 64 long; openings ask for more").into());
    }
    let not_wanted = |envelope: &Envelope| !recipients.iter().any(|recipient| recipient.is_of(envelope));
    if envelopes.iter().any(not_wanted) {
        return Err(Refusal::new(
            RefusalCode::EnvelopeNotWanted,
            "seal envelopes only to the recipients that Links:recipients names, with their present keys",
        ));
    }
    let keys: BTreeSet<&KeyHash> = envelopes.iter().map(|envelope| &envelope.recipient_key_hash).collect();
    if keys.len() != envelopes.len() {
        return Err(Refusal::new(RefusalCode::EnvelopeNotWanted, "seal one envelope to each key, not several"));
    }
    let has = |holder: Holder| envelopes.iter().any(|envelope| envelope.holder == holder);
    if has(Holder::Member(patient.clone())) && has(Holder::Organisation(publisher.clone())) {
        Ok(())
    } else {
        Err(Refusal::new(RefusalCode::EnvelopeMissing, "seal envelopes to the patient and to the own organisation"))
    }
}
