//! What a consortium must satisfy, whoever wrote it.

use std::collections::{BTreeMap, BTreeSet};

use healthchain_rules::{OrganisationKind, Role};
use serde::Deserialize;

use super::{
    Batch, ChaincodeDefinition, Consortium, Ordering, Organisation, PORTS_PER_ORGANISATION, Policies, SHARED_PORTS,
};

/// A consortium as written, before its rules are checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Draft {
    channel: String,
    ordering: Ordering,
    first_port: u16,
    chaincode: ChaincodeDefinition,
    policies: Policies,
    batch: Batch,
    organisations: Vec<Organisation>,
}

impl TryFrom<Draft> for Consortium {
    type Error = String;

    fn try_from(draft: Draft) -> Result<Self, String> {
        check_names(&draft)?;
        check_ports(&draft)?;
        check_organisations(&draft)?;
        check_ordering(&draft)?;
        let Draft { channel, ordering, first_port, chaincode, policies, batch, organisations } = draft;
        Ok(Self { channel, ordering, first_port, chaincode, policies, batch, organisations })
    }
}

fn check_names(draft: &Draft) -> Result<(), String> {
    for (what, name) in [("channel", &draft.channel), ("chaincode.name", &draft.chaincode.name)]
        .into_iter()
        .chain(draft.organisations.iter().map(|organisation| ("organisation's name", &organisation.name)))
    {
        if !is_name(name) {
            return Err(format!("{what} \"{name}\" must be lower-case letters, digits and hyphens, a letter first"));
        }
    }
    let (mut names, mut msps, mut members) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for organisation in &draft.organisations {
        let msp = &organisation.msp_id;
        if !names.insert(&organisation.name) {
            return Err(format!("two organisations are named \"{}\"; rename one", organisation.name));
        }
        if !msps.insert(msp) {
            return Err(format!("two organisations have the msp_id \"{msp}\"; change one"));
        }
        for member in &organisation.members {
            if !members.insert(&member.id) {
                return Err(format!("two members have the id \"{}\"; change one", member.id));
            }
        }
    }
    Ok(())
}

fn check_ports(draft: &Draft) -> Result<(), String> {
    let mut taken = BTreeMap::new();
    let blocks = std::iter::once(("the consortium", draft.first_port, SHARED_PORTS)).chain(
        draft
            .organisations
            .iter()
            .map(|organisation| (&*organisation.name, organisation.first_port, PORTS_PER_ORGANISATION)),
    );
    for (owner, first, count) in blocks {
        if !(1024..=u16::MAX - PORTS_PER_ORGANISATION).contains(&first) {
            return Err(format!("first_port {first} of {owner} must lie between 1024 and 65525"));
        }
        for port in first..first + count {
            if let Some(other) = taken.insert(port, owner) {
                return Err(format!(
                    "port {port} belongs to both {other} and {owner}; an organisation takes {PORTS_PER_ORGANISATION} \
                     ports from its first_port on"
                ));
            }
        }
    }
    Ok(())
}

fn check_organisations(draft: &Draft) -> Result<(), String> {
    if !draft.organisations.iter().any(|organisation| organisation.kind.is_care()) {
        return Err("no organisation gives care; add one of kind \"primary-care\" or \"secondary-care\"".into());
    }
    if !draft.organisations.iter().any(|organisation| organisation.kind == OrganisationKind::PatientServices) {
        return Err("patients have no organisation; add one of kind \"patient-services\"".into());
    }
    for organisation in &draft.organisations {
        if !organisation.members.iter().any(|member| member.role == Role::Administrator) {
            return Err(format!(
                "{} has no administrator; add {{ id = \"…\", role = \"administrator\" }} to its members",
                organisation.name
            ));
        }
        if let Some(stray) = organisation.members.iter().find(|member| !member.role.belongs_in(organisation.kind)) {
            return Err(format!(
                "{} has the role {}, which {} does not have by its kind; move the member or change the role",
                stray.id, stray.role, organisation.name
            ));
        }
    }
    Ok(())
}

fn check_ordering(draft: &Draft) -> Result<(), String> {
    let orderers = draft.organisations.iter().filter(|organisation| organisation.orderer).count();
    match draft.ordering {
        Ordering::Bft if orderers < 4 => Err(format!(
            "ordering \"bft\" needs four orderers to bear a faulty one and there are {orderers}; add organisations or \
             choose \"raft\""
        )),
        Ordering::Raft if orderers == 0 => Err("no organisation runs an orderer; give one `orderer = true`".into()),
        Ordering::Bft | Ordering::Raft => Ok(()),
    }
}

fn is_name(text: &str) -> bool {
    text.len() <= 40
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}
