//! A consortium in memory with members of every kind the tests need.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::str::FromStr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fabric_client::{Client, Connection, Contract, Proposal};
use fabric_contract::{CallError, CallFailure, Chaincode, Transact};
use fabric_embedded::config::Times;
use fabric_embedded::testing::Network;
use fabric_msp::SigningIdentity;
use fabric_protos::protos::ChaincodeMessage;
use fabric_protos::protos::chaincode_message::Type;
use futures::StreamExt as _;
use healthchain_interface::*;
use healthchain_rules::audit::AuditEntry;
use healthchain_rules::*;
use openssl::ec::{EcGroup, EcKey};
use openssl::nid::Nid;
use openssl::pkey::PKey;
use serde_json::Value;
use tokio::sync::mpsc;

pub(crate) const CHAINCODE: &str = "healthchain";

pub(crate) const ORGANISATIONS: [(&str, OrganisationKind); 5] = [
    ("clinic", OrganisationKind::SecondaryCare),
    ("hospital", OrganisationKind::PrimaryCare),
    ("patients", OrganisationKind::PatientServices),
    ("payer", OrganisationKind::Payer),
    ("pharmacy", OrganisationKind::Pharmacy),
];

pub(crate) const MEMBERS: [(&str, &str, Role); 10] = [
    ("carol", "hospital", Role::Clinician),
    ("dora", "hospital", Role::Clinician),
    ("pam", "hospital", Role::PrivacyOfficer),
    ("clara", "clinic", Role::Clinician),
    ("alice", "patients", Role::Patient),
    ("bob", "patients", Role::Patient),
    ("pia", "payer", Role::PayerOfficer),
    ("paul", "payer", Role::PayerOfficer),
    ("phil", "pharmacy", Role::Pharmacist),
    ("max", "payer", Role::Maintainer),
];

/// What the chaincode asked of the first organisation's peer, by transaction.
pub(crate) type Requests = Arc<Mutex<BTreeMap<String, Vec<Type>>>>;

/// Organisations `clinic`, `hospital`, `patients`, `payer` and `pharmacy`, each with an administrator `admin-…` and a gateway
/// `gateway-…`.
pub(crate) struct Consortium {
    pub(crate) network: Network,
    pub(crate) requests: Requests,
    people: BTreeMap<String, Person>,
}

/// Somebody with a signing key and an encryption key.
#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) contract: Contract,
    pub(crate) key_hash: KeyHash,
    pub(crate) encryption_key: PublicKey,
}

/// Somebody's calls, some time later.
pub(crate) struct Later {
    contract: Contract,
    by: Duration,
}

impl Transact for Later {
    type Error = fabric_client::Error;

    async fn evaluate(&self, function: &str, arguments: Vec<Vec<u8>>) -> Result<Vec<u8>, fabric_client::Error> {
        self.proposal(function, arguments).evaluate().await
    }

    async fn submit(&self, function: &str, arguments: Vec<Vec<u8>>) -> Result<Vec<u8>, fabric_client::Error> {
        Ok(self.proposal(function, arguments).endorse().await?.commit().await?.into_result())
    }
}

impl Later {
    pub(crate) fn proposal(&self, function: &str, arguments: Vec<Vec<u8>>) -> Proposal {
        self.contract.proposal(function, arguments).at(SystemTime::now() + self.by)
    }
}

impl Consortium {
    /// The network with nothing on its ledger, and administrators and gateways who can sign.
    pub(crate) async fn empty() -> Self {
        Self::serving(healthchain_chaincode::chaincode).await
    }

    /// Likewise, with a chaincode that a test extends.
    pub(crate) async fn serving(chaincode: fn() -> Chaincode) -> Self {
        Self::founded_by(&ORGANISATIONS, chaincode).await
    }

    async fn founded_by(organisations: &[(&str, OrganisationKind)], chaincode: fn() -> Chaincode) -> Self {
        let requests = Requests::default();
        let counted = requests.clone();
        let names: Vec<&str> = organisations.iter().map(|(name, _)| *name).collect();
        let network = Network::of(&names)
            .chaincode(
                CHAINCODE,
                "OutOf(3,'clinic.peer','hospital.peer','patients.peer','payer.peer','pharmacy.peer')",
                move |id, outgoing, incoming| {
                    let outgoing = counting(outgoing, counted.clone());
                    chaincode().serve_channel(id, outgoing, incoming)
                },
            )
            .times(Times { time_window: Duration::from_secs(400 * 86_400), ..Times::default() })
            .start()
            .await;
        let mut consortium = Self { network, requests, people: BTreeMap::new() };
        for name in names {
            consortium.add(&format!("admin-{name}"), name, "admin");
            consortium.add(&format!("gateway-{name}"), name, "client");
        }
        consortium
    }

    /// All organisations have entered and all members are registered.
    pub(crate) async fn new() -> Self {
        Self::with(&[]).await
    }

    /// Likewise, with further organisations.
    pub(crate) async fn with(more: &[(&str, OrganisationKind)]) -> Self {
        let all = [&ORGANISATIONS, more].concat();
        let mut consortium = Self::founded_by(&all, healthchain_chaincode::chaincode).await;
        let founders = all.iter().map(|(name, kind)| Founder { msp_id: id(name), kind: *kind }).collect();
        let founders = Founders { organisations: founders };
        consortium.person("admin-hospital").organisations().bootstrap(&founders).await.unwrap();
        for (name, _) in all {
            let call = consortium.entry(name);
            consortium.person(&format!("admin-{name}")).organisations().enter(&call).await.unwrap();
        }
        for (name, organisation, role) in MEMBERS {
            consortium.register(name, organisation, role).await;
        }
        consortium
    }

    /// Somebody new, registered by the organisation's administrator.
    pub(crate) async fn register(&mut self, name: &str, organisation: &str, role: Role) {
        self.add(name, organisation, "client");
        let new = self.new_member(name, role);
        self.person(&format!("admin-{organisation}")).members().register(&new).await.unwrap();
    }

    /// Issues certificate and keys to somebody whom the ledger does not know yet.
    pub(crate) fn add(&mut self, name: &str, organisation: &str, unit: &str) {
        let identity = self.network.identity(organisation, name, unit);
        self.people.insert(name.to_owned(), self.person_of(organisation, identity));
    }

    pub(crate) fn person(&self, name: &str) -> &Person {
        &self.people[name]
    }

    pub(crate) fn new_member(&self, name: &str, role: Role) -> NewMember {
        let person = self.person(name);
        NewMember {
            id: id(name),
            role,
            key_hash: person.key_hash.clone(),
            encryption_key: person.encryption_key.clone(),
        }
    }

    pub(crate) fn entry(&self, organisation: &str) -> EnterOrganisation {
        let administrator = self.person(&format!("admin-{organisation}"));
        let gateway = self.person(&format!("gateway-{organisation}"));
        EnterOrganisation {
            encryption_key: gateway.encryption_key.clone(),
            gateway_url: id("https://gateway.example:8443"),
            gateway_key_hash: gateway.key_hash.clone(),
            administrator: id(&format!("admin-{organisation}")),
            administrator_encryption_key: administrator.encryption_key.clone(),
        }
    }

    pub(crate) async fn suspend(&self, name: &str, organisation: &str) {
        let call = SuspendMember { member: id(name), reason: id("left") };
        self.person(&format!("admin-{organisation}")).members().suspend(&call).await.unwrap();
    }

    /// The last hundred events, at most, as the ledger told them.
    pub(crate) async fn told(&self) -> Vec<LedgerEvent> {
        let client = self.person("gateway-hospital").contract.client().clone();
        let channel = self.network.channel();
        let height = client.chain_info(channel).await.unwrap().height;
        let mut events = client.chaincode_events(channel, CHAINCODE, fabric_client::From::Block(0));
        let mut told = Vec::new();
        loop {
            let event = events.next().await.unwrap().unwrap();
            told.push(serde_json::from_slice(&event.payload).unwrap());
            if event.block_number + 1 >= height {
                return told.split_off(told.len().saturating_sub(100));
            }
        }
    }

    /// Carol's publication of a record of alice, ready to be sent: with envelopes for all recipients.
    pub(crate) async fn publication(&self, link: &str, category: Category) -> PublishLink {
        let query = RecipientsQuery { patient: id("alice"), category };
        let recipients = self.person("carol").links().recipients(&query).await.unwrap();
        PublishLink {
            link: id(link),
            patient: id("alice"),
            category,
            content_hash: hash(link),
            content_length: 1000,
            commitment: hash("commitment"),
            media_type: id("application/fhir+json"),
            envelopes: recipients.iter().map(envelope_for).collect(),
        }
    }

    pub(crate) async fn publish(&self, link: &str, category: Category) -> Link {
        let call = self.publication(link, category).await;
        self.person("carol").links().publish(&call).await.unwrap()
    }

    pub(crate) async fn grant(&self, call: GrantConsent) -> Consent {
        self.person("alice").consents().grant(&call).await.unwrap()
    }

    pub(crate) async fn open(&self, who: &str, link: &str, purpose: Purpose) -> Opened {
        self.person(who).links().open(&OpenLink { link: id(link), purpose, emergency: None }).await.unwrap()
    }

    fn person_of(&self, organisation: &str, identity: SigningIdentity) -> Person {
        let key_hash = KeyHash::from_bytes(&identity.certificate().key_hash());
        let connection = Connection::from_channel(self.network.connect(organisation));
        let contract =
            Client::new(connection, identity).contract(self.network.channel(), CHAINCODE).conflict_retries(5);
        Person { contract, key_hash, encryption_key: new_encryption_key() }
    }
}

impl Person {
    pub(crate) fn organisations(&self) -> OrganisationsClient<Contract> {
        OrganisationsClient::new(self.contract.clone())
    }

    pub(crate) fn members(&self) -> MembersClient<Contract> {
        MembersClient::new(self.contract.clone())
    }

    pub(crate) fn governance(&self) -> GovernanceClient<Contract> {
        GovernanceClient::new(self.contract.clone())
    }

    pub(crate) fn links(&self) -> LinksClient<Contract> {
        LinksClient::new(self.contract.clone())
    }

    pub(crate) fn amendments(&self) -> AmendmentsClient<Contract> {
        AmendmentsClient::new(self.contract.clone())
    }

    pub(crate) fn statistics(&self) -> StatisticsClient<Contract> {
        StatisticsClient::new(self.contract.clone())
    }

    pub(crate) fn rewards(&self) -> RewardsClient<Contract> {
        RewardsClient::new(self.contract.clone())
    }

    pub(crate) fn consents(&self) -> ConsentsClient<Contract> {
        ConsentsClient::new(self.contract.clone())
    }

    pub(crate) fn requests(&self) -> RequestsClient<Contract> {
        RequestsClient::new(self.contract.clone())
    }

    pub(crate) fn emergencies(&self) -> EmergenciesClient<Contract> {
        EmergenciesClient::new(self.contract.clone())
    }

    pub(crate) fn agents(&self) -> AgentsClient<Contract> {
        AgentsClient::new(self.contract.clone())
    }

    pub(crate) fn subscriptions(&self) -> SubscriptionsClient<Contract> {
        SubscriptionsClient::new(self.contract.clone())
    }

    pub(crate) fn notarizations(&self) -> NotarizationsClient<Contract> {
        NotarizationsClient::new(self.contract.clone())
    }

    pub(crate) fn delegations(&self) -> DelegationsClient<Contract> {
        DelegationsClient::new(self.contract.clone())
    }

    pub(crate) fn recoveries(&self) -> RecoveriesClient<Contract> {
        RecoveriesClient::new(self.contract.clone())
    }

    /// For clients whose calls are made so many hours later: the tests' peers let a client bend time.
    pub(crate) fn later(&self, hours: u64) -> Later {
        Later { contract: self.contract.clone(), by: Duration::from_secs(hours * 3600) }
    }

    pub(crate) fn audit(&self) -> AuditClient<Contract> {
        AuditClient::new(self.contract.clone())
    }

    /// The newest hundred entries of a trail; the reading itself is the first of a trail that it is on.
    pub(crate) async fn trail(&self, trail: Trail) -> Vec<AuditEntry> {
        let reading = self.audit().read(&ReadTrail { trail, from: None, until: None }).await.unwrap();
        let limit = Some(100.try_into().unwrap());
        let query = EntriesQuery { reading: reading.transaction, page_token: None, limit };
        self.audit().entries(&query).await.unwrap().items
    }

    /// The status with which the chaincode answers a call whose argument is this JSON.
    pub(crate) async fn status_of(&self, function: &str, argument: Value) -> i32 {
        let error = self.contract.evaluate(function, vec![argument.to_string().into_bytes()]).await.unwrap_err();
        error.chaincode_response().unwrap_or_else(|| panic!("{error}")).status
    }
}

/// The client's clock.
pub(crate) fn now() -> LedgerTime {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    LedgerTime::from_milliseconds(u64::try_from(since_1970.as_millis()).unwrap())
}

pub(crate) fn id<T: FromStr<Err = Malformed>>(text: &str) -> T {
    text.parse().unwrap()
}

/// A well-formed hash that tells its seed.
pub(crate) fn hash<T: FromStr<Err = Malformed>>(seed: &str) -> T {
    let digits: String = seed.bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("{digits:0<64.64}").parse().unwrap()
}

pub(crate) fn founders() -> Founders {
    let organisations = ORGANISATIONS.map(|(name, kind)| Founder { msp_id: id(name), kind });
    Founders { organisations: organisations.into() }
}

pub(crate) fn envelope_for(recipient: &Recipient) -> Envelope {
    Envelope {
        holder: recipient.holder.clone(),
        recipient_key_hash: recipient.key.key_hash.clone(),
        sealed: id("c2VhbGVk"),
    }
}

/// Alice permits or denies the payer every category for payment.
pub(crate) fn to_payer(consent: &str, effect: Effect) -> GrantConsent {
    GrantConsent {
        consent: id(consent),
        patient: id("alice"),
        grantee: Grantee::Organisation(id("payer")),
        scope: Scope::Categories(Category::ALL.into_iter().collect()),
        purposes: [Purpose::Payment].into(),
        from: None,
        until: None,
        effect,
    }
}

pub(crate) fn revocation(consent: &str) -> RevokeConsent {
    RevokeConsent { consent: id(consent), patient: id("alice") }
}

pub(crate) fn refused<T: Debug>(result: Result<T, CallError<fabric_client::Error, Refusal>>) -> RefusalCode {
    match result.unwrap_err() {
        CallError::Refused(refusal) => refusal.code(),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn new_encryption_key() -> PublicKey {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    let key = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
    id(&STANDARD.encode(key.public_key_to_der().unwrap()))
}

/// Counts what goes out by transaction, of the first stream that carries it.
fn counting(outgoing: mpsc::Sender<ChaincodeMessage>, requests: Requests) -> mpsc::Sender<ChaincodeMessage> {
    let (sender, mut receiver) = mpsc::channel::<ChaincodeMessage>(16);
    tokio::spawn(async move {
        let mut stream = BTreeMap::<String, Vec<Type>>::new();
        while let Some(message) = receiver.recv().await {
            let types = stream.entry(message.txid.clone()).or_default();
            types.push(message.r#type());
            let is_done = matches!(message.r#type(), Type::Completed | Type::Error);
            if is_done {
                requests.lock().unwrap().entry(message.txid.clone()).or_insert_with(|| types.clone());
            }
            if outgoing.send(message).await.is_err() {
                break;
            }
        }
    });
    sender
}
