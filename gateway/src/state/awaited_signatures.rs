//! What waits for the signature of a member whose key is elsewhere.

use healthchain_rules::{LedgerTime, MemberId};
use sqlx::Row as _;

use super::{State, StateError};

/// One transaction that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Awaited {
    /// The transaction's id.
    pub transaction: String,
    /// Whose signature it waits for.
    pub member: MemberId,
    /// How far it is.
    pub step: Step,
    /// What is signed in this step.
    pub bytes: Vec<u8>,
    /// How the answer will be told, as the routes wrote it.
    pub telling: String,
    /// Until when it waits.
    pub expires_at: LedgerTime,
}

/// How far a transaction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A question, which one signature asks.
    Question,
    /// A proposal, to be endorsed.
    Proposal,
    /// Endorsed, to be submitted.
    Transaction,
    /// It went out, or is about to.
    Submitted,
}

impl Step {
    const ALL: [Self; 4] = [Self::Question, Self::Proposal, Self::Transaction, Self::Submitted];

    fn name(self) -> &'static str {
        match self {
            Self::Question => "question",
            Self::Proposal => "proposal",
            Self::Transaction => "transaction",
            Self::Submitted => "submitted",
        }
    }
}

/// Remembers what waits.
pub async fn save(state: &State, awaited: &Awaited) -> Result<(), StateError> {
    sqlx::query(
        "INSERT INTO awaited_signatures (transaction_id, member, step, bytes, telling, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(&awaited.transaction)
    .bind(awaited.member.as_str())
    .bind(awaited.step.name())
    .bind(&awaited.bytes)
    .bind(&awaited.telling)
    .bind(awaited.expires_at.milliseconds().cast_signed())
    .execute(state.pool())
    .await?;
    Ok(())
}

/// What waits for this member under this id; nothing once it has waited too long.
pub async fn load(
    state: &State,
    transaction: &str,
    member: &MemberId,
    now: LedgerTime,
) -> Result<Option<Awaited>, StateError> {
    let found = sqlx::query(
        "SELECT step, bytes, telling, expires_at FROM awaited_signatures \
         WHERE transaction_id = $1 AND member = $2 AND expires_at >= $3",
    );
    let found = found.bind(transaction).bind(member.as_str()).bind(now.milliseconds().cast_signed());
    let Some(row) = found.fetch_optional(state.pool()).await? else { return Ok(None) };
    let (step, expires_at): (String, i64) = (row.try_get(0)?, row.try_get(3)?);
    Ok(Step::ALL.into_iter().find(|known| known.name() == step).map(|step| Awaited {
        transaction: transaction.to_owned(),
        member: member.clone(),
        step,
        bytes: row.get(1),
        telling: row.get(2),
        expires_at: LedgerTime::from_milliseconds(expires_at.unsigned_abs()),
    }))
}

/// A proposal is endorsed, and waits for the second signature. Of two that say so at once, the first counts.
pub async fn is_endorsed(state: &State, transaction: &str, bytes: &[u8]) -> Result<(), StateError> {
    sqlx::query("UPDATE awaited_signatures SET step = $1, bytes = $2 WHERE transaction_id = $3 AND step = $4")
        .bind(Step::Transaction.name())
        .bind(bytes)
        .bind(transaction)
        .bind(Step::Proposal.name())
        .execute(state.pool())
        .await?;
    Ok(())
}

/// A transaction is about to go out. True for the one caller who says so first.
pub async fn goes_out(state: &State, transaction: &str) -> Result<bool, StateError> {
    let update = sqlx::query("UPDATE awaited_signatures SET step = $1 WHERE transaction_id = $2 AND step = $3")
        .bind(Step::Submitted.name())
        .bind(transaction)
        .bind(Step::Transaction.name());
    Ok(update.execute(state.pool()).await?.rows_affected() == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGUN: LedgerTime = LedgerTime::from_milliseconds(1_800_000_000_000);

    fn awaited() -> Awaited {
        Awaited {
            transaction: "ab".repeat(32),
            member: "anna".parse().unwrap(),
            step: Step::Proposal,
            bytes: vec![0, 255],
            telling: "{}".into(),
            expires_at: BEGUN,
        }
    }

    #[tokio::test]
    async fn what_waits_is_found_by_its_member_alone_and_only_while_it_waits() {
        let state = State::in_memory().await.unwrap();
        let awaited = awaited();
        save(&state, &awaited).await.unwrap();
        let found = |member: &str, now| {
            let (state, member) = (state.clone(), member.parse().unwrap());
            let transaction = awaited.transaction.clone();
            async move { load(&state, &transaction, &member, now).await.unwrap() }
        };
        assert_eq!(found("anna", BEGUN).await.as_ref(), Some(&awaited));
        assert_eq!(found("bert", BEGUN).await, None);
        let later = LedgerTime::from_milliseconds(BEGUN.milliseconds() + 1);
        assert_eq!(found("anna", later).await, None);
        super::super::retention::delete_expired(&state, later).await.unwrap();
        assert_eq!(found("anna", BEGUN).await, None);
    }

    #[tokio::test]
    async fn a_transaction_goes_out_for_one_caller_only_and_not_before_it_is_endorsed() {
        let state = State::in_memory().await.unwrap();
        let awaited = awaited();
        save(&state, &awaited).await.unwrap();
        assert!(!goes_out(&state, &awaited.transaction).await.unwrap());
        is_endorsed(&state, &awaited.transaction, b"endorsed").await.unwrap();
        is_endorsed(&state, &awaited.transaction, b"endorsed again").await.unwrap();
        let found = load(&state, &awaited.transaction, &awaited.member, BEGUN).await.unwrap().unwrap();
        assert_eq!((found.step, found.bytes.as_slice()), (Step::Transaction, b"endorsed".as_slice()));
        assert!(goes_out(&state, &awaited.transaction).await.unwrap());
        assert!(!goes_out(&state, &awaited.transaction).await.unwrap());
    }
}
