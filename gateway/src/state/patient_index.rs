//! Which patient an organisation's own record number stands for. The ledger knows no such number.

use healthchain_rules::MemberId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::{State, StateError};

/// Identifiers of one patient that are found at most.
const MOST: i64 = 100;
const LABEL: &str = "patient index";

/// A record number as FHIR has it: whose numbers these are, and which one it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Identifier {
    /// The URI of those who give the numbers out, such as `urn:oid:2.999.1.2.3`.
    pub system: Text,
    /// The number.
    pub value: Text,
}

/// 1 to 255 visible characters; spaces only between them.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(
    rename = "IdentifierText",
    extend("minLength" = 1, "maxLength" = 255, "pattern" = r"^[^\s\x00-\x1f\x7f-\x9f]([^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f])?$")
)]
pub struct Text(String);

/// A patient's pseudonym beside one of its record numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PatientIndexEntry")]
pub struct Entry {
    /// The record number.
    pub identifier: Identifier,
    /// The pseudonym on the ledger.
    pub patient: MemberId,
}

/// What became of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entered {
    /// It is there now.
    Now,
    /// It was there before.
    Before,
    /// The number stands for another patient.
    OfAnother,
}

/// Puts an entry in, unless the number stands for another patient.
pub async fn enter(state: &State, entry: &Entry) -> Result<Entered, StateError> {
    let id = hash(state, &entry.identifier);
    let plain = serde_json::to_vec(&entry.identifier).expect("an identifier always serialises");
    let sealed = state.key().seal(LABEL, id.as_bytes(), &plain);
    let insert = sqlx::query(
        "INSERT INTO patient_index (identifier, patient, sealed) VALUES ($1, $2, $3) ON CONFLICT (identifier) DO NOTHING",
    );
    let insert = insert.bind(&id).bind(entry.patient.as_str()).bind(sealed);
    if insert.execute(state.pool()).await?.rows_affected() == 1 {
        return Ok(Entered::Now);
    }
    let known = patient_of(state, &entry.identifier).await?;
    Ok(if known.as_ref() == Some(&entry.patient) { Entered::Before } else { Entered::OfAnother })
}

/// The patient for whom a number stands.
pub async fn patient_of(state: &State, identifier: &Identifier) -> Result<Option<MemberId>, StateError> {
    let found = sqlx::query("SELECT patient FROM patient_index WHERE identifier = $1");
    whose(found.bind(hash(state, identifier)).fetch_optional(state.pool()).await?)
}

/// A patient's numbers.
pub async fn of_patient(state: &State, patient: &MemberId) -> Result<Vec<Identifier>, StateError> {
    let found =
        sqlx::query("SELECT identifier, sealed FROM patient_index WHERE patient = $1 ORDER BY identifier LIMIT $2");
    let rows = found.bind(patient.as_str()).bind(MOST).fetch_all(state.pool()).await?;
    let identifiers = rows.iter().map(|row| {
        let (id, sealed): (String, Vec<u8>) = (row.try_get(0)?, row.try_get(1)?);
        let plain = state.key().open(LABEL, id.as_bytes(), &sealed).map_err(|_| StateError::Damaged)?;
        serde_json::from_slice(&plain).map_err(|_| StateError::Damaged)
    });
    identifiers.collect()
}

/// Takes a number out; tells whose it was.
pub async fn remove(state: &State, identifier: &Identifier) -> Result<Option<MemberId>, StateError> {
    let delete = sqlx::query("DELETE FROM patient_index WHERE identifier = $1 RETURNING patient");
    whose(delete.bind(hash(state, identifier)).fetch_optional(state.pool()).await?)
}

/// How many numbers there are.
pub async fn count(state: &State) -> Result<i64, StateError> {
    Ok(sqlx::query("SELECT COUNT(*) FROM patient_index").fetch_one(state.pool()).await?.try_get(0)?)
}

fn whose(row: Option<AnyRow>) -> Result<Option<MemberId>, StateError> {
    let Some(row) = row else { return Ok(None) };
    row.try_get::<String, _>(0)?.parse().map(Some).map_err(|_| StateError::Damaged)
}

fn hash(state: &State, identifier: &Identifier) -> String {
    state.key().keyed_hash(LABEL, &[identifier.system.0.as_bytes(), identifier.value.0.as_bytes()])
}

/// Shows nothing: a record number is personal data.
impl std::fmt::Debug for Text {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("…")
    }
}

impl TryFrom<String> for Text {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let fits = (1..=255).contains(&text.chars().count()) && text.trim() == text;
        if fits && !text.contains(char::is_control) {
            Ok(Self(text))
        } else {
            Err("it is not 1 to 255 visible characters, with spaces only between them")
        }
    }
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        text.0
    }
}
