use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Consent, ConsentState, Decider, Effect, Grantee, Terms};
use crate::agent::Charter;
use crate::category::Category;
use crate::group::{Authority, Groups};
use crate::identifier::{ConsentId, LinkId, MemberId, MspId};
use crate::limit;
use crate::purpose::Purpose;
use crate::role::{Permission, Role};
use crate::time::LedgerTime;

/// All of a patient's consents that stand, so that an opening reads them at once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsentBook {
    consents: BTreeMap<ConsentId, Standing>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Standing {
    terms: Terms,
    granted: LedgerTime,
    #[serde(default, skip_serializing_if = "Decider::is_patient")]
    by: Decider,
}

/// Who wants a record, as far as consents can name them. Without a member it means any member of the role.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The member, if it is a certain one.
    pub member: Option<&'a MemberId>,
    /// Its organisation.
    pub organisation: &'a MspId,
    /// Its role.
    pub role: Role,
    /// The permission groups that it is in.
    pub groups: &'a Groups,
    /// What bounds it, when it is an agent.
    pub charter: Option<&'a Charter>,
    /// Who answers for it, when it is an agent.
    pub owner: Option<&'a MemberId>,
}

/// Which record is wanted. Without a link it means any of the category.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The link, if it is a certain one.
    pub link: Option<&'a LinkId>,
    /// The record's category.
    pub category: Category,
    /// Whose record it is.
    pub patient: &'a MemberId,
    /// Who keeps it.
    pub publisher: Option<&'a MspId>,
}

impl Subject<'_> {
    pub(crate) fn may(&self, permission: Permission) -> bool {
        Authority::of(self.role, self.groups, permission).is_granted()
    }
}

impl ConsentBook {
    /// The first consent by id that is in force and has this effect on this subject, record and purpose.
    pub fn provision(
        &self,
        effect: Effect,
        subject: Subject<'_>,
        wanted: Wanted<'_>,
        purpose: Purpose,
        at: LedgerTime,
    ) -> Option<(&ConsentId, &Terms)> {
        self.consents.iter().map(|(id, standing)| (id, &standing.terms)).find(|(_, terms)| {
            terms.effect == effect && terms.is_in_force(at) && terms.covers(subject, wanted, purpose)
        })
    }

    /// The members whom permissions in force name, each once, by id.
    pub fn permitted_members(&self, at: LedgerTime) -> BTreeSet<&MemberId> {
        self.permissions(at)
            .filter_map(|terms| match &terms.grantee {
                Grantee::Member(member) => Some(member),
                Grantee::Organisation(_) | Grantee::Role(_) | Grantee::Group(_) => None,
            })
            .collect()
    }

    /// The links that permissions in force name, each once, by id.
    pub fn permitted_links(&self, at: LedgerTime) -> BTreeSet<&LinkId> {
        self.permissions(at).filter_map(Terms::named_links).flatten().collect()
    }

    /// The consents of this patient that stand and have not ended; by id.
    pub fn standing(&self, patient: &MemberId, at: LedgerTime) -> Vec<Consent> {
        self.consents
            .iter()
            .filter(|(_, standing)| !standing.terms.has_ended(at))
            .map(|(id, standing)| Consent {
                id: id.clone(),
                patient: patient.clone(),
                terms: standing.terms.clone(),
                granted: standing.granted,
                by: standing.by.clone(),
                state: ConsentState::Granted,
            })
            .collect()
    }

    /// How many consents stand and have not ended.
    pub(crate) fn count(&self, at: LedgerTime) -> usize {
        self.consents.values().filter(|standing| !standing.terms.has_ended(at)).count()
    }

    fn permissions(&self, at: LedgerTime) -> impl Iterator<Item = &Terms> {
        let is_permission = move |terms: &&Terms| terms.effect == Effect::Permit && terms.is_in_force(at);
        self.consents.values().map(|standing| &standing.terms).filter(is_permission)
    }

    /// Adds a consent and forgets those that have ended, or says that there is no room.
    pub(super) fn with(mut self, consent: &Consent, at: LedgerTime) -> Option<Self> {
        self.consents.retain(|_, standing| !standing.terms.has_ended(at));
        let (terms, by) = (consent.terms.clone(), consent.by.clone());
        self.consents.insert(consent.id.clone(), Standing { terms, granted: consent.granted, by });
        let named: usize =
            self.consents.values().filter_map(|standing| standing.terms.named_links()).map(BTreeSet::len).sum();
        (self.consents.len() <= limit::CONSENTS_IN_FORCE && named <= limit::NAMED_LINKS_IN_FORCE).then_some(self)
    }

    pub(super) fn without(mut self, id: &ConsentId) -> Self {
        self.consents.remove(id);
        self
    }
}
