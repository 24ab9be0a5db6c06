use fabric_contract::{Context, split_composite_key};
use healthchain_rules::audit::{AuditEntry, MayReadTrail};
use healthchain_rules::{LedgerTime, MemberId, Refusal, RefusalCode, TransactionId};
use serde::{Deserialize, Serialize};

use super::{decode, key, ledger, put};

/// Whose trail: that of a patient's records, or that of what a member did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Trail {
    OfPatient(MemberId),
    OfMember(MemberId),
}

/// Where a trail goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TrailPosition {
    time: LedgerTime,
    transaction: TransactionId,
}

/// Some entries of a trail, newest first, and where it goes on. For queries only.
pub(crate) async fn load_trail(
    context: &Context,
    trail: &Trail,
    from: Option<&TrailPosition>,
    limit: u32,
    _: MayReadTrail,
) -> Result<(Vec<AuditEntry>, Option<TrailPosition>), Refusal> {
    let (of, member) = trail.parts();
    let from = from.map(|from| trail.key(from.time, &from.transaction));
    let page = context.composite_page(of, &[member.as_str()], limit, from.as_deref()).await.map_err(ledger)?;
    let entries = page.items.iter().map(|(_, value)| decode(value)).collect::<Result<_, _>>()?;
    let next = page.bookmark.map(|bookmark| position(&bookmark)).transpose()?;
    Ok((entries, next))
}

/// Adds an entry to the trails of its patient, of the member who acted, and of the member acted upon.
pub(crate) fn save_entry(
    context: &mut Context,
    entry: &AuditEntry,
    acted_upon: Option<&MemberId>,
) -> Result<(), Refusal> {
    let of_patient = entry.patient.clone().map(Trail::OfPatient);
    let of_members = [entry.member.as_ref(), acted_upon].into_iter().flatten().cloned().map(Trail::OfMember);
    for trail in of_patient.into_iter().chain(of_members) {
        put(context, trail.key(entry.time, &entry.transaction), entry)?;
    }
    Ok(())
}

impl Trail {
    fn parts(&self) -> (&'static str, &MemberId) {
        match self {
            Self::OfPatient(patient) => (key::AUDIT_OF_PATIENT, patient),
            Self::OfMember(member) => (key::AUDIT_OF_MEMBER, member),
        }
    }

    fn key(&self, time: LedgerTime, transaction: &TransactionId) -> String {
        match self {
            Self::OfPatient(patient) => key::audit_of_patient(patient, time, transaction),
            Self::OfMember(member) => key::audit_of_member(member, time, transaction),
        }
    }
}

fn position(bookmark: &str) -> Result<TrailPosition, Refusal> {
    let unreadable = || Refusal::new(RefusalCode::Ledger, "the peer's bookmark is not of the trail: check its version");
    let (_, attributes) = split_composite_key(bookmark).map_err(|_| unreadable())?;
    let [_, descending, transaction] = attributes.as_slice() else { return Err(unreadable()) };
    let time = key::ascending(descending).ok_or_else(unreadable)?;
    Ok(TrailPosition { time, transaction: transaction.parse()? })
}
