//! What the transaction itself says: who signed it, when, and what it tells listeners.

use fabric_contract::Context;
use healthchain_rules::{KeyHash, LedgerEvent, LedgerTime, Refusal, RefusalCode, Signer, TransactionId};

/// The certificate that signed the transaction. Fabric has checked it.
pub(crate) fn signer(context: &Context) -> Result<Signer, Refusal> {
    let identity = context.caller();
    Ok(Signer {
        msp_id: identity.msp_id().parse()?,
        key_hash: KeyHash::from_bytes(&identity.key_hash()),
        is_administrator: identity.has_organizational_unit("admin"),
    })
}

/// The transaction's time, which its client chose.
pub(crate) fn time(context: &Context) -> Result<LedgerTime, Refusal> {
    let (seconds, nanoseconds) = context.transaction_time();
    Ok(LedgerTime::from_timestamp(seconds, nanoseconds)?)
}

/// The transaction's id.
pub(crate) fn id(context: &Context) -> Result<TransactionId, Refusal> {
    Ok(context.transaction_id().parse()?)
}

/// Tells listeners what the transaction did, once it is committed. There is one event a transaction.
pub(crate) fn announce(context: &mut Context, event: &LedgerEvent) -> Result<(), Refusal> {
    let failed = |error| Refusal::new(RefusalCode::Ledger, format!("the event cannot be written: {error}"));
    let payload = serde_json::to_value(event).map_err(failed)?;
    let name = payload["act"]["act"].as_str().unwrap_or_default().to_owned();
    context.set_event(name, payload.to_string());
    Ok(())
}
