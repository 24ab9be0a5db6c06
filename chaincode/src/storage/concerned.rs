use std::collections::BTreeSet;

use healthchain_rules::accounting::HoldBook;
use healthchain_rules::telling::Concerned;
use healthchain_rules::{Delegation, LedgerEvent, Member, MemberId, Refusal};

use super::accounting::load_hold_book;
use super::delegation::load_delegation;
use super::member::load_member;
use super::{Each, Load, Loads, Values};

/// Those whom events concern, to be read.
pub(crate) struct LoadConcerned {
    patients: Vec<MemberId>,
    members: Vec<Load<Member>>,
    delegations: Vec<Load<Delegation>>,
    holds: Each<HoldBook>,
}

impl LoadConcerned {
    /// Those whom these events concern, for a listener.
    pub(crate) fn of(events: &[LedgerEvent], listener: &MemberId) -> Self {
        let all = |one: fn(&LedgerEvent) -> Option<&MemberId>| events.iter().filter_map(one).collect::<BTreeSet<_>>();
        let patients = all(|event| event.entry.patient.as_ref());
        Self {
            members: all(|event| event.upon.as_ref()).into_iter().map(load_member).collect(),
            delegations: patients.iter().map(|patient| load_delegation(patient, listener)).collect(),
            holds: Each(patients.iter().copied().map(load_hold_book).collect()),
            patients: patients.into_iter().cloned().collect(),
        }
    }
}

impl Loads for LoadConcerned {
    type Loaded = Concerned;

    fn keys(&self, keys: &mut Vec<String>) {
        self.members.keys(keys);
        self.delegations.keys(keys);
        self.holds.keys(keys);
    }

    fn take(self, values: &mut Values) -> Result<Concerned, Refusal> {
        let (members, delegations) = (self.members.take(values)?, self.delegations.take(values)?);
        let holds = self.patients.into_iter().zip(self.holds.take(values)?);
        let holds = holds.filter_map(|(patient, holds)| Some((patient, holds?))).collect();
        Ok(Concerned { members, delegations, holds })
    }
}
