//! Custodians of records: other organisations that keep copies of an organisation's encrypted contents, so that these can be read
//! while the publisher's gateway is down. Keeping a copy gives no key to it; but a custodian that is itself entitled to a record has an
//! envelope for it, too, so that nothing but its own gateway keeps it from opening a copy off the ledger. An organisation trusts its
//! custodians with that.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::identifier::{Malformed, MspId};
use crate::limit;
use crate::link::{self, Content, Link, VersionOfLink};
use crate::member::Caller;
use crate::opening::{Opening, unknown_opening};
use crate::organisation::Organisation;
use crate::outcome::Outcome;
use crate::refusal::{Refusal, RefusalCode};
use crate::role::Permission;

/// Who keeps copies of what an organisation publishes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Custodians {
    /// The publisher.
    pub organisation: MspId,
    /// The other organisations that it named.
    pub custodians: BTreeSet<MspId>,
}

/// Proof that the organisation may have these custodians.
#[derive(Debug, PartialEq, Eq)]
pub struct MayNameCustodians(());

impl Custodians {
    /// None.
    pub fn none(organisation: MspId) -> Self {
        Self { organisation, custodians: BTreeSet::new() }
    }

    /// Those of them that take part now; `organisations` are those that were named.
    pub fn in_effect(mut self, organisations: &[Organisation]) -> Self {
        self.custodians.retain(|custodian| find(organisations, custodian).is_some_and(Organisation::is_active));
        self
    }
}

/// Whether the caller may give its organisation these custodians in place of the former ones: an administrator of it.
/// `organisations` are those that are named, as far as they exist.
pub fn decide_naming(
    caller: &Caller,
    existing: Option<Custodians>,
    named: Custodians,
    organisations: &[Organisation],
) -> Result<Outcome<Custodians, MayNameCustodians>, Refusal> {
    let actor = caller.permitted_member(Permission::NameCustodians)?;
    if named.organisation != actor.organisation.msp_id {
        return Err(Refusal::new(
            RefusalCode::OtherOrganisation,
            "an organisation's own administrators name its custodians",
        ));
    }
    if named.custodians.len() > limit::CUSTODIANS || named.custodians.contains(&named.organisation) {
        return Err(
            Malformed::new("the custodians' list", "at most 8 organisations, the own one not among them").into()
        );
    }
    if existing.unwrap_or_else(|| Custodians::none(named.organisation.clone())) == named {
        return Ok(Outcome::Repeated(named));
    }
    for custodian in &named.custodians {
        let found = find(organisations, custodian);
        let unknown =
            || Refusal::new(RefusalCode::UnknownOrganisation, format!("there is no organisation {custodian}"));
        found.ok_or_else(unknown)?.require_active()?;
    }
    Ok(Outcome::Decided(named, MayNameCustodians(())))
}

/// The content of a link's version, if it may go between the caller's organisation and another one without an opening, as the one is
/// the link's publisher and the other its custodian. Asked by the gateways of both. A custodian knows of no other links.
pub fn decide_copying(
    caller: &Caller,
    link: Option<Link>,
    custodians: Option<&Custodians>,
    other: Option<&Organisation>,
    number: u32,
    former: Option<VersionOfLink>,
) -> Result<Content, Refusal> {
    let own = &caller.custodian()?.msp_id;
    let link = link.ok_or_else(link::unknown_link)?;
    let other = other.filter(|other| link.publisher == *own || link.publisher == other.msp_id);
    let other = other.ok_or_else(link::unknown_link)?;
    let is_publisher = link.publisher == *own;
    let custodian = if is_publisher { &other.msp_id } else { own };
    if !is_among(custodians, &link.publisher, custodian) {
        return Err(match is_publisher {
            true => Refusal::new(RefusalCode::NotACustodian, "the other organisation is no custodian of this one"),
            false => link::unknown_link(),
        });
    }
    other.require_active()?;
    link.require_active()?;
    Ok(link::version(link, number, former)?.version.content)
}

/// The opening, if the caller's organisation may give out its content: the gateway of its publisher, or of a custodian of the
/// publisher; for others it is unknown.
pub fn decide_giving(
    caller: &Caller,
    opening: Option<Opening>,
    custodians: Option<&Custodians>,
) -> Result<Opening, Refusal> {
    let own = &caller.custodian()?.msp_id;
    let may_give = |opening: &Opening| opening.publisher == *own || is_among(custodians, &opening.publisher, own);
    opening.filter(may_give).ok_or_else(unknown_opening)
}

/// Whether an organisation is one of the publisher's custodians.
pub(crate) fn is_among(custodians: Option<&Custodians>, publisher: &MspId, organisation: &MspId) -> bool {
    custodians.is_some_and(|found| found.organisation == *publisher && found.custodians.contains(organisation))
}

fn find<'a>(organisations: &'a [Organisation], msp_id: &MspId) -> Option<&'a Organisation> {
    organisations.iter().find(|organisation| organisation.msp_id == *msp_id)
}
