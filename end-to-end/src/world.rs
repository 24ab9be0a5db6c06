use std::env;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use fabric_msp::issue::Authority;
use healthchain_network::{
    Consortium, LedgerKind, Network, NetworkError, Organisation, PeerAccess, Programs, Progress,
};
use healthchain_rules::{OrganisationKind, Role};
use serde_json::json;

use crate::peers::{Peers, identity};
use crate::{Chain, Forged, Person};

/// Tests keep to ports of their own, so that a network that somebody uses goes on.
const PORT_OFFSET: u16 = 10_000;
/// Each test takes a patient that no other test has.
const PATIENTS: usize = 90;

/// The network that all tests of a run share.
pub struct World {
    /// The network itself, to stop and start its components.
    pub network: Network,
    peers: Peers,
    patients: AtomicUsize,
}

/// Which ledger the tests run on: `HEALTHCHAIN_LEDGER`, else the embedded one.
pub fn ledger_kind() -> LedgerKind {
    let named = env::var("HEALTHCHAIN_LEDGER").unwrap_or_else(|_| "embedded".into());
    named.parse().unwrap_or_else(|reason| panic!("HEALTHCHAIN_LEDGER: {reason}"))
}

impl World {
    /// Starts the network in a folder and tells its steps; what an earlier run left there is removed.
    ///
    /// # Errors
    /// When a component does not become ready.
    pub async fn start(folder: &Path) -> Result<Self, NetworkError> {
        Self::start_with_patients(folder, PATIENTS).await
    }

    /// As [`World::start`], with so many patients.
    ///
    /// # Errors
    /// When a component does not become ready.
    pub async fn start_with_patients(folder: &Path, patients: usize) -> Result<Self, NetworkError> {
        network(consortium(patients), folder, Progress::Quiet)?.clean().await?;
        Self::up(consortium(patients), folder, Progress::Lines).await
    }

    /// Starts another network beside, on ports of its own, with the chaincode in this version; what stands in the folder goes on.
    ///
    /// # Errors
    /// When a component does not become ready.
    pub async fn start_beside(folder: &Path, version: u64) -> Result<Self, NetworkError> {
        let mut consortium = consortium(PATIENTS).with_port_offset(PORT_OFFSET).expect("the ports exist");
        consortium.chaincode.version = version.to_string();
        consortium.chaincode.sequence = version;
        Self::up(consortium, folder, Progress::Quiet).await
    }

    /// Starts a network beside, of three organisations that count prescriptions and an agency that releases statistics, with agents of all.
    ///
    /// # Errors
    /// When a component does not become ready.
    pub async fn start_with_agency(folder: &Path) -> Result<Self, NetworkError> {
        let mut shape = shipped();
        shape.extend(toml_table(include_str!("statistics.toml")));
        let consortium = parsed(&shape);
        network(consortium.clone(), folder, Progress::Quiet)?.clean().await?;
        Self::up(consortium, folder, Progress::Quiet).await
    }

    async fn up(consortium: Consortium, folder: &Path, progress: Progress) -> Result<Self, NetworkError> {
        network(consortium.clone(), folder, progress)?.up().await?;
        let network = network(consortium, folder, Progress::Quiet)?;
        Ok(Self { peers: Peers::of(&network), network, patients: AtomicUsize::new(0) })
    }

    /// The first organisation of a kind.
    pub fn organisation(&self, kind: OrganisationKind) -> &Organisation {
        let found = self.network.consortium().organisations.iter().find(|organisation| organisation.kind == kind);
        found.unwrap_or_else(|| panic!("the consortium has no organisation of kind {kind:?}"))
    }

    /// The member with this role, the `number`th from 0, of the first organisation of a kind.
    pub fn person(&self, kind: OrganisationKind, role: Role, number: usize) -> Person {
        let organisation = self.organisation(kind);
        let member = organisation.members.iter().filter(|member| member.role == role).nth(number);
        let member = member.unwrap_or_else(|| panic!("{} has too few members of role {role:?}", organisation.name));
        self.member(member.id.as_str())
    }

    /// The member of this id.
    pub fn member(&self, id: &str) -> Person {
        let access = self.network.member(id).unwrap_or_else(|| panic!("the consortium has no member {id}"));
        Person::new(access, self.peers.clone())
    }

    /// The hospital's clinician.
    pub fn hospital_clinician(&self) -> Person {
        self.person(OrganisationKind::PrimaryCare, Role::Clinician, 0)
    }

    /// The clinic's clinician.
    pub fn clinic_clinician(&self) -> Person {
        self.person(OrganisationKind::SecondaryCare, Role::Clinician, 0)
    }

    /// The payer's officer.
    pub fn payer_officer(&self) -> Person {
        self.person(OrganisationKind::Payer, Role::PayerOfficer, 0)
    }

    /// The patients' guardian.
    pub fn guardian(&self) -> Person {
        self.person(OrganisationKind::PatientServices, Role::Guardian, 0)
    }

    /// A patient whom no test had before.
    pub fn new_patient(&self) -> Person {
        let number = self.patients.fetch_add(1, Ordering::Relaxed);
        let patient = self.network.member(&patient_id(number));
        Person::new(patient.expect("there are as many patients as are taken: raise PATIENTS"), self.peers.clone())
    }

    /// A client of this member's own that calls the chaincode without a gateway, over the peer of its organisation.
    pub fn chain(&self, member: &Person) -> Chain {
        Chain::new(&self.peer_of(member), identity(member.access()), self.network.consortium())
    }

    /// A client of this member's own that writes its proposals by hand.
    pub fn forged(&self, member: &Person) -> Forged {
        Forged::new(&self.peer_of(member), member.access(), self.network.consortium())
    }

    /// The peer of a member's organisation.
    pub fn peer_of(&self, member: &Person) -> PeerAccess {
        self.network.peer(&self.organisation_of(member).name).expect("each organisation has a peer")
    }

    /// What issues the signing certificates of a member's organisation.
    pub fn authority_of(&self, member: &Person) -> Authority {
        let folder = self.network.layout().organisation(&self.organisation_of(member).name);
        Authority::load(folder.authority()).expect("the network made it")
    }

    /// The origin of pages that may call the gateway of a member's organisation, on a port that is free.
    pub fn portal_of(&self, member: &Person) -> &str {
        &self.organisation_of(member).portals[0]
    }

    /// A member's organisation.
    pub fn organisation_of(&self, member: &Person) -> &Organisation {
        let organisations = &self.network.consortium().organisations;
        let found = organisations.iter().find(|organisation| organisation.msp_id == member.access().msp_id);
        found.expect("each member has an organisation")
    }

    /// The component of a name's first part, such as `chaincode`, that serves an organisation. On the embedded ledger
    /// one process serves them all, and where everything is one process, it is that one.
    pub fn component(&self, part: &str, organisation: &Organisation) -> String {
        match (self.network.ledger(), part) {
            (LedgerKind::Dev, _) => "dev".to_owned(),
            (LedgerKind::Embedded, "peer" | "orderer") => "ledger".to_owned(),
            (LedgerKind::Embedded, "chaincode") => "chaincode".to_owned(),
            _ => format!("{part}.{}", organisation.name),
        }
    }

    /// Brings everything up again that a test stopped.
    ///
    /// # Errors
    /// When a component does not become ready.
    pub async fn mend(&self) -> Result<(), NetworkError> {
        self.network.up().await.map(drop)
    }
}

fn network(consortium: Consortium, folder: &Path, progress: Progress) -> Result<Network, NetworkError> {
    let programs = Programs::find().map_err(|source| NetworkError::File { path: folder.into(), source })?;
    Network::new(consortium, folder, ledger_kind(), programs, progress)
}

/// The consortium that we ship, on other ports and with more people.
fn consortium(patients: usize) -> Consortium {
    let mut shape = shipped();
    for organisation in shape["organisations"].as_array_mut().expect("it lists organisations") {
        let organisation = organisation.as_table_mut().expect("an organisation is a table");
        let more: Vec<(String, &str)> = match organisation["kind"].as_str() {
            Some("patient-services") => (0..patients)
                .map(|number| (patient_id(number), "patient"))
                .chain([("e2e-guardian".into(), "guardian"), ("e2e-patients-maintainer".into(), "maintainer")])
                .chain([("e2e-reminders".into(), "agent")])
                .collect(),
            Some("primary-care") => {
                vec![
                    ("e2e-clinician-2".into(), "clinician"),
                    ("e2e-clinician-3".into(), "clinician"),
                    ("e2e-hospital-maintainer".into(), "maintainer"),
                    ("e2e-custodian".into(), "agent"),
                    ("e2e-hospital-monitor".into(), "agent"),
                ]
            }
            Some("secondary-care") => {
                vec![
                    ("e2e-privacy-officer".into(), "privacy-officer"),
                    ("e2e-clinic-maintainer".into(), "maintainer"),
                    ("e2e-verifier".into(), "agent"),
                    ("e2e-clinic-monitor".into(), "agent"),
                ]
            }
            Some("payer") => vec![("e2e-officer-2".into(), "payer-officer")],
            _ => vec![],
        };
        if let Some(agents) = agents(organisation["kind"].as_str().unwrap_or_default()) {
            organisation.insert("agents".into(), toml::Value::try_from(agents).expect("it is a table"));
        }
        let members = organisation["members"].as_array_mut().expect("an organisation lists members");
        members.extend(more.into_iter().map(|(id, role)| {
            toml::Table::from_iter([("id".to_owned(), id.into()), ("role".to_owned(), role.into())]).into()
        }));
    }
    let mut consortium = parsed(&shape);
    for organisation in &mut consortium.organisations {
        // The last of an organisation's ten ports is spare.
        organisation.portals = vec![format!("http://localhost:{}", organisation.ports().gateway + 9)];
    }
    consortium
}

fn shipped() -> toml::Table {
    toml_table(include_str!("../../network/consortium.toml"))
}

fn toml_table(text: &str) -> toml::Table {
    text.parse().expect("we ship valid TOML")
}

fn parsed(shape: &toml::Table) -> Consortium {
    let consortium = Consortium::parse(&shape.to_string()).expect("the consortium keeps to the rules");
    consortium.with_port_offset(PORT_OFFSET).expect("the ports exist")
}

/// The agents of the gateway of an organisation of a kind; each looks every second whether it was deployed.
fn agents(kind: &str) -> Option<serde_json::Value> {
    let policy = json!({ "publishers": ["HospitalMSP"], "categories": ["allergy"] });
    let monitor = |member: &str| json!({ "member": member, "measure": "e2e-drugs", "region": "US-MA", "wait_days": 0, "check_seconds": 1 });
    match kind {
        "primary-care" => Some(json!({
            "pause_seconds": 1, "key_custodian": { "member": "e2e-custodian" },
            "prescription_monitor": monitor("e2e-hospital-monitor"),
        })),
        "secondary-care" => Some(json!({
            "pause_seconds": 1, "amendment_verifier": { "member": "e2e-verifier", "policy": policy },
            "prescription_monitor": monitor("e2e-clinic-monitor"),
        })),
        "patient-services" => {
            let reminders = json!({ "member": "e2e-reminders", "days": 30, "check_seconds": 1 });
            Some(json!({ "pause_seconds": 1, "subscription_reminders": reminders }))
        }
        _ => None,
    }
}

fn patient_id(number: usize) -> String {
    format!("e2e-patient-{number}")
}
