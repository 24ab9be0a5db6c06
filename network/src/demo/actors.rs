//! Who plays in the demonstration: members of the consortium, by the kind of their organisation and their role.

use healthchain_rules::{OrganisationKind, Role};

use super::{failed, rest::Session};
use crate::{Network, NetworkError};

/// The demonstration's actors.
pub(super) struct Actors {
    /// A clinician who publishes.
    pub(super) hospital: Session,
    /// A clinician of another organisation.
    pub(super) clinic: Session,
    /// Somebody of a payer.
    pub(super) payer: Session,
    /// Whose record it is.
    pub(super) patient: Session,
}

impl Actors {
    pub(super) fn choose(network: &Network) -> Result<Self, NetworkError> {
        let find = |kind, role| find(network, kind, role);
        Ok(Self {
            hospital: find(OrganisationKind::PrimaryCare, Role::Clinician)?,
            clinic: find(OrganisationKind::SecondaryCare, Role::Clinician)?,
            payer: find(OrganisationKind::Payer, Role::PayerOfficer)?,
            patient: find(OrganisationKind::PatientServices, Role::Patient)?,
        })
    }
}

fn find(network: &Network, kind: OrganisationKind, role: Role) -> Result<Session, NetworkError> {
    let organisations = network.consortium().organisations.iter().filter(|organisation| organisation.kind == kind);
    let member = organisations.flat_map(|it| &it.members).find(|member| member.role == role);
    let access = member.and_then(|member| network.member(member.id.as_str()));
    let missing = || {
        let kind = serde_json::json!(kind);
        failed(
            "choosing the actors",
            format!("the consortium has no {role} in an organisation of kind {kind}; add one"),
        )
    };
    Session::open(access.ok_or_else(missing)?)
}
