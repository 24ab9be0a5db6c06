use fabric_contract::{Context, split_composite_key};
use healthchain_rules::reward::{
    MayAttestTarget, MayDefineProgram, MayEndProgram, MayParticipate, MayRedeem, Participation, Program, Redemption,
    TargetAttestation,
};
use healthchain_rules::{CalendarPeriod, MemberId, ProgramId, RedemptionId, Refusal, RefusalCode};

use super::{Load, decode, key, ledger, put};

pub(crate) fn load_program(id: &ProgramId) -> Load<Program> {
    Load::at(key::program(id))
}

/// All programs, by id: at most as many as there may be. They are seldom written.
pub(crate) async fn load_all_programs(context: &Context) -> Result<Vec<Program>, Refusal> {
    let found = context.partial_composite(key::PROGRAM, &[]).collect().await.map_err(ledger)?;
    found.iter().map(|(_, value)| decode(value)).collect()
}

/// Some of the programs, by id, and where they go on. For queries only.
pub(crate) async fn load_programs(
    context: &Context,
    from: Option<&ProgramId>,
    limit: u32,
) -> Result<(Vec<Program>, Option<ProgramId>), Refusal> {
    let from = from.map(key::program);
    let page = context.composite_page(key::PROGRAM, &[], limit, from.as_deref()).await.map_err(ledger)?;
    let programs = page.items.iter().map(|(_, value)| decode(value)).collect::<Result<_, _>>()?;
    let next = page.bookmark.map(|bookmark| position(&bookmark)).transpose()?;
    Ok((programs, next))
}

pub(crate) fn load_participation(program: &ProgramId, patient: &MemberId) -> Load<Participation> {
    Load::at(key::participation(program, patient))
}

pub(crate) fn load_target_attestation(
    program: &ProgramId,
    patient: &MemberId,
    period: CalendarPeriod,
) -> Load<TargetAttestation> {
    Load::at(key::target_attestation(program, patient, period))
}

pub(crate) fn load_redemption(program: &ProgramId, patient: &MemberId, id: &RedemptionId) -> Load<Redemption> {
    Load::at(key::redemption(program, patient, id))
}

pub(crate) fn save_defined(context: &mut Context, program: &Program, _: MayDefineProgram) -> Result<(), Refusal> {
    put(context, key::program(&program.id), program)
}

pub(crate) fn save_ended(context: &mut Context, program: &Program, _: MayEndProgram) -> Result<(), Refusal> {
    put(context, key::program(&program.id), program)
}

pub(crate) fn save_enrolment(
    context: &mut Context,
    participation: &Participation,
    _: MayParticipate,
) -> Result<(), Refusal> {
    save_participation(context, participation)
}

/// Saves an attestation with what it adds to the patient's points.
pub(crate) fn save_attestation(
    context: &mut Context,
    attestation: &TargetAttestation,
    proof: &MayAttestTarget,
) -> Result<(), Refusal> {
    let TargetAttestation { program, patient, period, .. } = attestation;
    put(context, key::target_attestation(program, patient, *period), attestation)?;
    save_participation(context, proof.participation())
}

/// Saves a redemption with what it takes from the patient's points.
pub(crate) fn save_redemption(
    context: &mut Context,
    redemption: &Redemption,
    proof: &MayRedeem,
) -> Result<(), Refusal> {
    put(context, key::redemption(&redemption.program, &redemption.patient, &redemption.id), redemption)?;
    save_participation(context, proof.participation())
}

fn save_participation(context: &mut Context, participation: &Participation) -> Result<(), Refusal> {
    put(context, key::participation(&participation.program, &participation.patient), participation)
}

fn position(bookmark: &str) -> Result<ProgramId, Refusal> {
    let unreadable = || Refusal::new(RefusalCode::Ledger, "the peer's bookmark is not of programs: check its version");
    let (_, attributes) = split_composite_key(bookmark).map_err(|_| unreadable())?;
    let [id] = attributes.as_slice() else { return Err(unreadable()) };
    Ok(id.parse()?)
}
