//! The organisation's own record numbers beside its patients' pseudonyms, after IHE's Patient Identifier Cross-referencing for Mobile
//! (PIXm, ITI-83): an identifier is a system and a value. The numbers stay in this organisation's gateway.

use healthchain_interface::{Me, MembersClient};
use healthchain_rules::{Member, MemberId, Role, Standing};

use crate::failure::Failure;
use crate::gateway::Gateway;
use crate::state::patient_index::{self, Entered, Entry, Identifier};
use crate::wallet::WalletMember;

/// Why the index does not do what it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexRefusal {
    /// The index is for the organisation's active clinicians and maintainers, as the ledger knows them.
    NotForYou,
    /// The number stands for another patient.
    OfAnotherPatient,
    /// The pseudonym is a member's who is no patient.
    NotAPatient,
    /// The number stands for nobody.
    Unknown,
}

/// Proof that the ledger knows the caller as one whom the index is for.
pub struct MayUseIndex(());

/// Asks the ledger who the caller is. About rights on records this says nothing.
pub async fn may_use_index(gateway: &Gateway, member: &WalletMember) -> Result<MayUseIndex, Failure> {
    let me = MembersClient::new(gateway.contract(member.signer()?)).me().await?;
    let is_for = |member: &Member| {
        let role = matches!(member.role, Role::Clinician | Role::Maintainer);
        role && matches!(member.standing, Standing::Active) && member.organisation == gateway.organisation.msp_id
    };
    match me {
        Me::Member(member) if is_for(&member) => Ok(MayUseIndex(())),
        _ => Err(Failure::Index(IndexRefusal::NotForYou)),
    }
}

/// Enters a number of a patient whom the ledger knows; tells whether it is new.
pub async fn enter(gateway: &Gateway, member: &WalletMember, _: &MayUseIndex, entry: &Entry) -> Result<bool, Failure> {
    let known = MembersClient::new(gateway.contract(member.signer()?)).member(&entry.patient).await?;
    if known.role != Role::Patient {
        return Err(Failure::Index(IndexRefusal::NotAPatient));
    }
    match patient_index::enter(&gateway.state, entry).await? {
        Entered::Now => Ok(true),
        Entered::Before => Ok(false),
        Entered::OfAnother => Err(Failure::Index(IndexRefusal::OfAnotherPatient)),
    }
}

/// The entry of a number.
pub async fn find(gateway: &Gateway, _: &MayUseIndex, identifier: Identifier) -> Result<Option<Entry>, Failure> {
    let patient = patient_index::patient_of(&gateway.state, &identifier).await?;
    Ok(patient.map(|patient| Entry { identifier, patient }))
}

/// The entries of a patient.
pub async fn of_patient(gateway: &Gateway, _: &MayUseIndex, patient: &MemberId) -> Result<Vec<Entry>, Failure> {
    let identifiers = patient_index::of_patient(&gateway.state, patient).await?;
    Ok(identifiers.into_iter().map(|identifier| Entry { identifier, patient: patient.clone() }).collect())
}

/// Takes a number out.
pub async fn remove(gateway: &Gateway, _: &MayUseIndex, identifier: Identifier) -> Result<Entry, Failure> {
    let whose = patient_index::remove(&gateway.state, &identifier).await?;
    let patient = whose.ok_or(Failure::Index(IndexRefusal::Unknown))?;
    Ok(Entry { identifier, patient })
}
