//! A small consortium to decide about: one organisation of each kind, and members as the tests need them.

use std::collections::{BTreeMap, BTreeSet};

use healthchain_rules::*;

pub(crate) const NOW: LedgerTime = LedgerTime::from_milliseconds(1_800_000_000_000);

pub(crate) fn at(milliseconds_from_now: i64) -> LedgerTime {
    LedgerTime::from_milliseconds(NOW.milliseconds().saturating_add_signed(milliseconds_from_now))
}

pub(crate) fn id<T: std::str::FromStr<Err = Malformed>>(text: &str) -> T {
    text.parse().unwrap()
}

/// A well-formed hash or transaction id that tells its seed.
pub(crate) fn hash<T: std::str::FromStr<Err = Malformed>>(seed: &str) -> T {
    let digits: String = seed.bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("{digits:0<64.64}").parse().unwrap()
}

pub(crate) fn key(seed: &str) -> EncryptionKey {
    let point: String = seed.chars().filter(char::is_ascii_alphanumeric).collect();
    let public_key = format!("MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE{point:A<85.85}A==");
    EncryptionKey { public_key: id(&public_key), key_hash: hash(&format!("e-{seed}")) }
}

pub(crate) fn organisation(msp_id: &str, kind: OrganisationKind) -> Organisation {
    let state = OrganisationState::Active {
        encryption_key: key(msp_id),
        gateway_url: id("https://gateway.example:8443"),
        gateway_key_hash: hash(&format!("g-{msp_id}")),
        entered: at(-1000),
    };
    Organisation { msp_id: id(msp_id), kind, state }
}

/// The organisation that members of a role come from; `hospital` where several could be.
pub(crate) fn home(role: Role) -> Organisation {
    match role {
        Role::Patient | Role::Guardian => organisation("patients", OrganisationKind::PatientServices),
        Role::Pharmacist => organisation("pharmacy", OrganisationKind::Pharmacy),
        Role::PayerOfficer => organisation("payer", OrganisationKind::Payer),
        Role::Analyst => organisation("agency", OrganisationKind::PublicHealth),
        Role::Administrator | Role::Maintainer | Role::Clinician | Role::PrivacyOfficer | Role::Agent => hospital(),
    }
}

pub(crate) fn hospital() -> Organisation {
    organisation("hospital", OrganisationKind::PrimaryCare)
}

pub(crate) fn clinic() -> Organisation {
    organisation("clinic", OrganisationKind::SecondaryCare)
}

pub(crate) fn member_of(organisation: &Organisation, name: &str, role: Role) -> Member {
    Member {
        id: id(name),
        organisation: organisation.msp_id.clone(),
        role,
        key_hash: hash(&format!("s-{name}")),
        encryption_key: key(name),
        attestation: Attestation { by: id("admin"), at: at(-500) },
        standing: Standing::Active,
        groups: Groups::new(),
    }
}

pub(crate) fn actor_of(organisation: Organisation, name: &str, role: Role) -> Actor {
    Actor { member: member_of(&organisation, name, role), organisation, agent: None }
}

pub(crate) fn actor(name: &str, role: Role) -> Actor {
    actor_of(home(role), name, role)
}

pub(crate) fn caller(name: &str, role: Role) -> Caller {
    Caller::Member(Box::new(actor(name, role)))
}

pub(crate) fn caller_of(organisation: Organisation, name: &str, role: Role) -> Caller {
    Caller::Member(Box::new(actor_of(organisation, name, role)))
}

pub(crate) fn suspended(caller: Caller) -> Caller {
    match caller {
        Caller::Member(mut actor) => {
            actor.member.standing = Standing::Suspended { by: id("admin"), at: at(-1), reason: id("lost the key") };
            Caller::Member(actor)
        }
        custodian => custodian,
    }
}

pub(crate) fn alice() -> Caller {
    caller("alice", Role::Patient)
}

pub(crate) fn link(name: &str, category: Category) -> Link {
    Link {
        id: id(name),
        patient: id("alice"),
        category,
        publisher: id("hospital"),
        published: at(-100),
        current: Version {
            number: 1,
            content: content(),
            commitment: hash("commitment"),
            by: id("carol"),
            at: at(-100),
            amendment: None,
        },
        state: LinkState::Active,
    }
}

pub(crate) fn content() -> Content {
    Content { hash: hash("content"), length: 1234, media_type: id("application/fhir+json") }
}

pub(crate) fn terms(grantee: Grantee, scope: Scope, purposes: &[Purpose], effect: Effect) -> Terms {
    Terms::new(grantee, scope, purposes.iter().copied().collect(), None, None, effect).unwrap()
}

pub(crate) fn everything() -> Scope {
    Scope::Categories(Category::ALL.into_iter().collect())
}

pub(crate) fn only(links: &[&str]) -> Scope {
    Scope::Links(links.iter().map(|name| id(name)).collect::<BTreeSet<_>>())
}

pub(crate) fn group(name: &str) -> Group {
    let privileges = Privileges { level: 1, grants: BTreeSet::new(), withholds: BTreeSet::new() };
    Group { id: id(name), privileges, members: BTreeMap::new(), state: GroupState::Active }
}

/// Grants as alice would, without looking at who the grantee is.
pub(crate) fn book_of(consents: &[(&str, Terms)]) -> ConsentBook {
    consents.iter().fold(ConsentBook::default(), |book, (name, terms)| granted(book, name, terms.clone()).unwrap())
}

/// What a decision rests on when there is nothing but consents.
pub(crate) fn on(book: &ConsentBook) -> Grounds {
    Grounds { book: book.clone(), ..Grounds::default() }
}

pub(crate) fn granted(book: ConsentBook, name: &str, terms: Terms) -> Result<ConsentBook, Refusal> {
    let member = match terms.grantee() {
        Grantee::Member(grantee) => {
            Some(Member { id: grantee.clone(), ..member_of(&hospital(), "any", Role::Clinician) })
        }
        _ => None,
    };
    let organisation = match terms.grantee() {
        Grantee::Organisation(grantee) => Some(organisation(grantee.as_str(), OrganisationKind::Payer)),
        _ => None,
    };
    let links: Vec<Link> = match terms.scope() {
        Scope::Links(named) => named.iter().map(|name| link(name.as_str(), Category::Summary)).collect(),
        Scope::Categories(_) => Vec::new(),
    };
    let group = match terms.grantee() {
        Grantee::Group(grantee) => Some(group(grantee.as_str())),
        _ => None,
    };
    let grantee =
        consent::GranteeState { member: member.as_ref(), organisation: organisation.as_ref(), group: group.as_ref() };
    let state = consent::GrantState { grantee, links: &links, ..Default::default() };
    match consent::decide_grant(&alice(), &id("alice"), state, book, id(name), terms, NOW)? {
        Outcome::Decided((_, book), _) | Outcome::Repeated((_, book)) => Ok(book),
    }
}

pub(crate) fn decision(caller: &Caller, link: &Link, book: &ConsentBook, purpose: Purpose, at: LedgerTime) -> Decision {
    opening::decide_opening(caller, link, &on(book), purpose, hash("transaction"), at).unwrap().0.decision
}

pub(crate) fn denial(decision: Decision) -> Denial {
    match decision {
        Decision::Denied { reason, .. } => reason,
        Decision::Permitted { provision, .. } => panic!("permitted by {provision:?}"),
    }
}

pub(crate) fn provision(decision: Decision) -> Provision {
    match decision {
        Decision::Permitted { provision, .. } => provision,
        Decision::Denied { reason, .. } => panic!("denied: {reason:?}"),
    }
}

pub(crate) fn code<T: std::fmt::Debug>(result: Result<T, Refusal>) -> RefusalCode {
    result.unwrap_err().code()
}

/// A program of this owner, in the same organisation, that may call this function today.
pub(crate) fn agent_of(owner: Actor, name: &str, function: &str) -> Caller {
    let Actor { member: owner, organisation, .. } = owner;
    let member = member_of(&organisation, name, Role::Agent);
    let charter = Charter {
        agent: member.id.clone(),
        owner: owner.id.clone(),
        functions: [function.parse().unwrap()].into(),
        purposes: BTreeSet::new(),
        categories: BTreeSet::new(),
        calls_a_day: 1,
        epsilon_a_day: 0,
        until: at(1),
        state: CharterState::Running,
    };
    let function = function.parse().ok();
    let agent = Some(AgentAtWork { charter, owner, used: DayUse::default(), function, at: NOW });
    Caller::Member(Box::new(Actor { member, organisation, agent }))
}
