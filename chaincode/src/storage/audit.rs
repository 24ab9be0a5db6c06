use fabric_contract::{Context, split_composite_key};
use healthchain_rules::audit::AuditEntry;
use healthchain_rules::reading::{MayHaveEntries, MayRead};
use healthchain_rules::{LedgerEvent, LedgerTime, Reading, Refusal, RefusalCode, Trail, TransactionId};
use serde::{Deserialize, Serialize};

use super::{Load, decode, key, ledger, put};

/// Where a trail goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TrailPosition {
    time: LedgerTime,
    transaction: TransactionId,
}

pub(crate) fn load_reading(transaction: &TransactionId) -> Load<Reading> {
    Load::at(key::reading(transaction))
}

pub(crate) fn save_reading(context: &mut Context, reading: &Reading, _: MayRead) -> Result<(), Refusal> {
    put(context, key::reading(&reading.transaction), reading)
}

/// Some entries of the reading's trail within its bounds, newest first, and where they go on. For queries only.
pub(crate) async fn load_entries(
    context: &Context,
    reading: &Reading,
    position: Option<&TrailPosition>,
    limit: u32,
    _: &MayHaveEntries,
) -> Result<(Vec<AuditEntry>, Option<TrailPosition>), Refusal> {
    let (object_type, of) = parts(&reading.trail);
    let start = position.cloned().or_else(|| reading.until.map(TrailPosition::before));
    let start = start.map(|start| entry_key(&reading.trail, start.time, &start.transaction));
    let page = context.composite_page(object_type, &[of], limit, start.as_deref()).await.map_err(ledger)?;

    let mut entries = page.items.iter().map(|(_, value)| decode(value)).collect::<Result<Vec<AuditEntry>, _>>()?;
    let is_at_end = entries.last().is_some_and(|last| reading.from.is_some_and(|from| last.time < from));
    entries.retain(|entry| reading.covers(entry.time));
    let next = page.bookmark.filter(|_| !is_at_end).map(|bookmark| position_at(&bookmark)).transpose()?;
    Ok((entries, next))
}

/// Adds an event's entry to the trails on which it stands.
pub(crate) fn save_entry(context: &mut Context, event: &LedgerEvent) -> Result<(), Refusal> {
    let entry = &event.entry;
    for trail in event.trails() {
        put(context, entry_key(&trail, entry.time, &entry.transaction), entry)?;
    }
    Ok(())
}

fn parts(trail: &Trail) -> (&'static str, &str) {
    match trail {
        Trail::OfPatient(patient) => (key::AUDIT_OF_PATIENT, patient.as_str()),
        Trail::OfMember(member) => (key::AUDIT_OF_MEMBER, member.as_str()),
        Trail::OfOrganisation(msp_id) => (key::AUDIT_OF_ORGANISATION, msp_id.as_str()),
    }
}

fn entry_key(trail: &Trail, time: LedgerTime, transaction: &TransactionId) -> String {
    match trail {
        Trail::OfPatient(patient) => key::audit_of_patient(patient, time, transaction),
        Trail::OfMember(member) => key::audit_of_member(member, time, transaction),
        Trail::OfOrganisation(msp_id) => key::audit_of_organisation(msp_id, time, transaction),
    }
}

impl TrailPosition {
    /// At this entry.
    pub(crate) fn at(entry: &AuditEntry) -> Self {
        Self { time: entry.time, transaction: entry.transaction.clone() }
    }

    /// Where entries before this moment begin.
    fn before(until: LedgerTime) -> Self {
        let time = LedgerTime::from_milliseconds(until.milliseconds().saturating_sub(1));
        let transaction = "0".repeat(64).parse().expect("64 digits are a transaction id");
        Self { time, transaction }
    }
}

fn position_at(bookmark: &str) -> Result<TrailPosition, Refusal> {
    let unreadable = || Refusal::new(RefusalCode::Ledger, "the peer's bookmark is not of the trail: check its version");
    let (_, attributes) = split_composite_key(bookmark).map_err(|_| unreadable())?;
    let [_, descending, transaction] = attributes.as_slice() else { return Err(unreadable()) };
    let time = key::ascending(descending).ok_or_else(unreadable)?;
    Ok(TrailPosition { time, transaction: transaction.parse()? })
}
