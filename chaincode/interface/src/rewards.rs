use fabric_contract::{Context, contract};
use healthchain_rules::reward::{
    Participation, PointsAccount, Program, ProgramTerms, Redemption, Standard, TargetAttestation,
};
use healthchain_rules::{CalendarPeriod, MemberId, MspId, ProgramId, RedemptionId, Refusal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::page::{Page, PageLimit, PageToken};

/// Defines a reward program, sponsored by the caller's organisation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DefineProgram {
    /// The program's id, chosen by the caller, so that a retry is recognised.
    pub program: ProgramId,
    /// What it promises.
    pub terms: ProgramTerms,
}

/// A patient's consent to take part in a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Enrol {
    /// In which.
    pub program: ProgramId,
    /// Who: the caller, or whom the caller may act for.
    pub patient: MemberId,
    /// The organisation that sponsors it, which the patient agrees may learn the points: in how many periods a standard was met, and
    /// never by what value.
    pub sponsor: MspId,
}

/// Takes the consent to take part in a program back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LeaveProgram {
    /// Which.
    pub program: ProgramId,
    /// Who: the caller, or whom the caller may act for.
    pub patient: MemberId,
}

/// Attests that a patient met a standard in a period.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AttestTarget {
    /// Of which program.
    pub program: ProgramId,
    /// Who met it.
    pub patient: MemberId,
    /// In which period, as long as the program says: `YYYY-MM`, `YYYY-Qn` or `YYYY`.
    pub period: CalendarPeriod,
    /// What was met.
    pub standard: Standard,
}

/// Redeems points.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RedeemPoints {
    /// The redemption's id, chosen by the caller, so that a retry is recognised.
    pub redemption: RedemptionId,
    /// Of which program.
    pub program: ProgramId,
    /// Whose: the caller's, or whom the caller may act for.
    pub patient: MemberId,
    /// How many, at least 1.
    pub points: u32,
}

/// Asks for a patient's points in a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountQuery {
    /// In which.
    pub program: ProgramId,
    /// Whose.
    pub patient: MemberId,
}

/// Asks for the reward programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProgramsQuery {
    /// From the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_token: Option<PageToken>,
    /// Items at most, 1 to 100, 20 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<PageLimit>,
}

/// Reward programs and their points. Who takes part is listed to nobody.
#[contract(name = "Rewards")]
pub trait Rewards {
    /// Defines a program, which the caller's organisation sponsors. For payer officers and maintainers. Repeating it with the same
    /// terms is harmless.
    #[submit]
    async fn define(&self, context: &mut Context, call: DefineProgram) -> Result<Program, Refusal>;

    /// Ends a program of the caller's organisation, from now on; points stay their earners'. Repeating it is harmless.
    #[submit]
    async fn end(&self, context: &mut Context, program: ProgramId) -> Result<Program, Refusal>;

    /// Consents that the patient takes part: clinicians may attest, and the sponsor sees the points. For the patient, and for a
    /// guardian with the power to collect rewards. Harmless while the patient takes part.
    #[submit]
    async fn enrol(&self, context: &mut Context, call: Enrol) -> Result<Participation, Refusal>;

    /// Takes that consent back: nothing more is attested, and the sponsor sees nothing. Points stay the patient's. Repeating it is
    /// harmless.
    #[submit]
    async fn leave(&self, context: &mut Context, call: LeaveProgram) -> Result<Participation, Refusal>;

    /// Attests that a patient who takes part met the program's target, or its alternative standard, in a period; without the value.
    /// For clinicians, from the period's first day until 90 days after its last, once: repeating it is harmless, whoever does.
    #[submit]
    async fn attest(&self, context: &mut Context, call: AttestTarget) -> Result<TargetAttestation, Refusal>;

    /// Redeems points that were earned and not redeemed, also after leaving. For the patient, and for a guardian with the power to
    /// collect rewards. Repeating it is harmless.
    #[submit]
    async fn redeem(&self, context: &mut Context, call: RedeemPoints) -> Result<Redemption, Refusal>;

    /// A patient's points. For the patient, for a guardian with the power to collect rewards, and for the sponsor's payer officers
    /// and maintainers while the patient takes part.
    #[evaluate]
    async fn account(&self, context: &Context, query: AccountQuery) -> Result<PointsAccount, Refusal>;

    /// All programs, by id. For every active member.
    #[evaluate]
    async fn programs(&self, context: &Context, query: ProgramsQuery) -> Result<Page<Program>, Refusal>;
}
