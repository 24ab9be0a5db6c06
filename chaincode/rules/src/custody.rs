//! Custodians of records: other organisations that keep copies of an organisation's encrypted contents, so that these can be read
//! while the publisher's gateway is down. Keeping a copy gives no key to it; but a custodian that is itself entitled to a record has an
//! envelope for it, too, so that nothing but its own gateway keeps it from opening a copy off the ledger. An organisation trusts its
//! custodians with that.
//!
//! Whoever is struck off may still hold copies until its gateway says that it has destroyed them all: until then receipts of erasure name
//! it as they name custodians.

use std::collections::{BTreeMap, BTreeSet};

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
use crate::time::LedgerTime;

/// Who keeps copies of what an organisation publishes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Custodians {
    /// The publisher.
    pub organisation: MspId,
    /// The other organisations that it named.
    pub custodians: BTreeSet<MspId>,
    /// Those that were struck off and have not said yet that they destroyed their copies.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub former: BTreeSet<MspId>,
    /// How often custodians were named.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub namings: u32,
    /// Those that were struck off and said so, whether or not they are named again.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub cleared: BTreeMap<MspId, Clearance>,
}

/// When an organisation that was struck off had destroyed all its copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Clearance {
    /// When its gateway said so last.
    pub at: LedgerTime,
    /// How often custodians had been named by then. Times do not tell what came first: each is its caller's.
    pub namings: u32,
}

/// Proof that the organisation may have these custodians.
#[derive(Debug, PartialEq, Eq)]
pub struct MayNameCustodians(());

/// Proof that the organisation's word counts that it has destroyed its copies.
#[derive(Debug, PartialEq, Eq)]
pub struct MayConfirmClearance(());

impl Custodians {
    /// None.
    pub fn none(organisation: MspId) -> Self {
        Self::of(organisation, BTreeSet::new())
    }

    /// These, as if none had been named before.
    pub fn of(organisation: MspId, custodians: BTreeSet<MspId>) -> Self {
        Self { organisation, custodians, former: BTreeSet::new(), namings: 0, cleared: BTreeMap::new() }
    }

    /// Who may hold copies now.
    pub fn holders(&self) -> impl Iterator<Item = &MspId> {
        self.custodians.union(&self.former)
    }

    /// Those of them that take part now; `organisations` are those that were named.
    pub fn in_effect(mut self, organisations: &[Organisation]) -> Self {
        self.custodians.retain(|custodian| find(organisations, custodian).is_some_and(Organisation::is_active));
        self
    }
}

/// What is named after the caller has given its organisation these custodians in place of the former ones: for administrators of it. Of
/// `named` only the custodians count; `organisations` are those that are named, as far as they exist.
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
    let existing = existing.unwrap_or_else(|| Custodians::none(named.organisation.clone()));
    if existing.custodians == named.custodians {
        return Ok(Outcome::Repeated(existing));
    }
    for custodian in &named.custodians {
        let found = find(organisations, custodian);
        let unknown =
            || Refusal::new(RefusalCode::UnknownOrganisation, format!("there is no organisation {custodian}"));
        found.ok_or_else(unknown)?.require_active()?;
    }
    let former = existing.holders().filter(|holder| !named.custodians.contains(*holder)).cloned().collect();
    let custodians = named.custodians;
    let named = Custodians { custodians, former, namings: existing.namings.saturating_add(1), ..existing };
    Ok(Outcome::Decided(named, MayNameCustodians(())))
}

/// Whether the caller may say that its organisation has destroyed all copies of what this publisher published: the gateway of one that
/// was struck off. A custodian has copies to keep.
pub fn decide_clearance(
    caller: &Caller,
    publisher: &MspId,
    existing: Option<Custodians>,
    at: LedgerTime,
) -> Result<Outcome<Custodians, MayConfirmClearance>, Refusal> {
    let own = &caller.custodian()?.msp_id;
    let mut custodians = existing.unwrap_or_else(|| Custodians::none(publisher.clone()));
    if custodians.custodians.contains(own) {
        return Err(Refusal::new(RefusalCode::StillACustodian, "a custodian keeps its copies until it is struck off"));
    }
    if custodians.former.remove(own) {
        custodians.cleared.insert(own.clone(), Clearance { at, namings: custodians.namings });
        return Ok(Outcome::Decided(custodians, MayConfirmClearance(())));
    }
    if custodians.cleared.contains_key(own) {
        return Ok(Outcome::Repeated(custodians));
    }
    Err(Refusal::new(RefusalCode::NotACustodian, "the organisation has never been a custodian of this publisher"))
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

pub(crate) fn is_zero(number: &u32) -> bool {
    *number == 0
}

fn find<'a>(organisations: &'a [Organisation], msp_id: &MspId) -> Option<&'a Organisation> {
    organisations.iter().find(|organisation| organisation.msp_id == *msp_id)
}
