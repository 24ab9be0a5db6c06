//! What peers, chaincodes and other organisations' members hand a gateway.

use std::path::Path;
use std::sync::LazyLock;

use fabric_client::{Client, ConnectOptions, Connection, Contract, UnsignedProposal, UnsignedTransaction};
use fabric_msp::issue::{Authority, Issued, Request};
use fabric_msp::{Certificate, Creator, Msp, Msps, SigningIdentity, policy};
use fabric_protos::msp::{FabricMspConfig, MspConfig};
use healthchain_interface::PageToken;
use healthchain_rules::{LedgerEvent, Refusal, RefusalCode};
use prost::Message as _;

const MESSAGE: &[u8] = b"message";

static AUTHORITY: LazyLock<Authority> =
    LazyLock::new(|| Authority::create("root", "Hospital").expect("an authority is made"));
pub(crate) static PERSON: LazyLock<Issued> =
    LazyLock::new(|| AUTHORITY.issue(&Request::signing("amy", "client")).expect("a certificate is issued"));
/// Whom the authority has revoked.
static REVOKED: LazyLock<Issued> =
    LazyLock::new(|| AUTHORITY.issue(&Request::signing("bob", "client")).expect("a certificate is issued"));
pub(crate) static SIGNER: LazyLock<SigningIdentity> = LazyLock::new(|| {
    SigningIdentity::from_pem("HospitalMSP", PERSON.certificate_pem(), PERSON.key_pem()).expect("they are a pair")
});
static MSP: LazyLock<MspConfig> = LazyLock::new(|| own_msp().to_msp_config());
static MSPS: LazyLock<Msps> =
    LazyLock::new(|| Msps::new(vec![Msp::from_msp_config(&MSP).expect("what was read is read again")]));

fn own_msp() -> Msp {
    let folder = tempfile::tempdir().expect("the system has room");
    write_own_msp(folder.path());
    Msp::load(folder.path(), "HospitalMSP").expect("what was written is read")
}

/// The organisation's MSP folder.
pub(crate) fn write_own_msp(folder: &Path) {
    let tls_authority = Authority::create("tls", "Hospital").expect("an authority is made");
    let content = fabric_msp::issue::MspFolder {
        authority: &AUTHORITY,
        tls_authority: &tls_authority,
        signer: None,
        revocation_lists: &[],
    };
    fabric_msp::issue::write_msp_folder(folder, &content).expect("the folder is written");
}

static CONTRACT: LazyLock<Contract> = LazyLock::new(|| {
    let _within = crate::background::RUNTIME.enter();
    let options = ConnectOptions { endpoint: "http://127.0.0.1:1".into(), ..ConnectOptions::default() };
    let connection = Connection::lazy(options).expect("nothing is dialled");
    Client::new(connection, SIGNER.clone()).contract("health", "healthchain")
});

fn creator() -> &'static Creator {
    SIGNER.creator()
}

/// What is taken is in the one form that Fabric takes, and is taken again as it is.
pub(crate) fn signature(data: &[u8]) {
    if let Ok(normal) = creator().accept(MESSAGE, data) {
        assert_eq!(creator().accept(MESSAGE, &normal).as_ref(), Ok(&normal));
    }
}

pub(crate) fn signature_seeds() -> Vec<Vec<u8>> {
    let der = SIGNER.sign(MESSAGE).expect("a key in memory signs");
    let parsed = openssl::ecdsa::EcdsaSig::from_der(&der).expect("it is DER");
    let number = |number: &openssl::bn::BigNumRef| number.to_vec_padded(32).expect("it has 32 bytes");
    vec![[number(parsed.r()), number(parsed.s())].concat(), der]
}

pub(crate) fn certificate(data: &[u8]) {
    for read in [Certificate::from_der(data), Certificate::from_pem(data)].into_iter().flatten() {
        let again = Certificate::from_der(read.der()).expect("what was read is read again");
        assert_eq!((again.subject(), again.key_hash()), (read.subject(), read.key_hash()));
        assert!(Certificate::from_pem(read.pem().as_bytes()).is_ok());
    }
}

pub(crate) fn certificate_seeds() -> Vec<Vec<u8>> {
    vec![PERSON.certificate().der().to_vec(), PERSON.certificate_pem().as_bytes().to_vec()]
}

/// Only the one certificate that the authority issued is recognised.
pub(crate) fn identity(data: &[u8]) {
    if let Ok(identity) = MSPS.identify(data) {
        assert_eq!(identity.certificate().key_hash(), PERSON.certificate().key_hash(), "an identity was forged");
    }
}

pub(crate) fn identity_seeds() -> Vec<Vec<u8>> {
    vec![SIGNER.serialized().to_vec()]
}

pub(crate) fn msp(data: &[u8]) {
    if let Ok(config) = MspConfig::decode(data)
        && let Ok(msp) = Msp::from_msp_config(&config)
    {
        Msp::from_msp_config(&msp.to_msp_config()).expect("what was read is read again");
    }
}

pub(crate) fn msp_seeds() -> Vec<Vec<u8>> {
    vec![MSP.encode_to_vec()]
}

/// Whatever list lies beside the authority's own: who is revoked stays so, and nobody else is.
pub(crate) fn revocation_list(data: &[u8]) {
    static OWN: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let list = AUTHORITY.revocation_list(&[REVOKED.certificate()], 1).expect("a list is issued");
        list.into_bytes()
    });
    let mut config = fabric_msp_config();
    config.revocation_list = vec![OWN.clone(), data.to_vec()];
    if let Ok(msp) = Msp::from_config(config) {
        let msps = Msps::new(vec![msp]);
        let judged = |person: &Issued| msps.identify_certificate("HospitalMSP", person.certificate()).is_ok();
        assert!(judged(&PERSON), "somebody was revoked by a forged list");
        assert!(!judged(&REVOKED), "a forged list took a revocation back");
    }
}

fn fabric_msp_config() -> FabricMspConfig {
    FabricMspConfig::decode(MSP.config.as_slice()).expect("what was encoded is decoded")
}

pub(crate) fn revocation_list_seeds() -> Vec<Vec<u8>> {
    let stranger = Authority::create("root", "Clinic").expect("an authority is made");
    let lists = [
        AUTHORITY.revocation_list(&[], 2),
        AUTHORITY.revocation_list(&[REVOKED.certificate()], 2),
        // Another authority's word on this one's members.
        stranger.revocation_list(&[PERSON.certificate()], 1),
    ];
    lists.map(|list| list.expect("a list is issued").into_bytes()).to_vec()
}

pub(crate) fn policy_text(data: &[u8]) {
    if let Ok(policy) = policy::parse(&String::from_utf8_lossy(data)) {
        policy::check(&policy).expect("a policy that is read can be evaluated");
        policy::evaluate(&policy, &[]);
    }
}

pub(crate) fn policy_text_seeds() -> Vec<Vec<u8>> {
    let texts = ["OutOf(2, 'A.peer', 'B.peer', 'C.peer')", "AND('A.member', OR('B.admin', 'C.client'))"];
    texts.map(|text| text.as_bytes().to_vec()).to_vec()
}

/// Only this contract's calls by this member are read.
pub(crate) fn proposal(data: &[u8]) {
    if let Ok(proposal) = UnsignedProposal::read(&CONTRACT, creator(), data.to_vec()) {
        assert_eq!(proposal.transaction_id().len(), 64);
    }
}

pub(crate) fn transaction(data: &[u8]) {
    if let Ok(transaction) = UnsignedTransaction::read(&CONTRACT, creator(), data.to_vec()) {
        assert_eq!(transaction.transaction_id().len(), 64);
    }
}

pub(crate) fn proposal_seeds() -> Vec<Vec<u8>> {
    let proposal = CONTRACT.unsigned_proposal(creator(), "Links:open", vec![br#"{"link":"l"}"#.to_vec()]);
    vec![proposal.bytes().to_vec()]
}

pub(crate) fn refusal(data: &[u8]) {
    if let Ok(refusal) = String::from_utf8_lossy(data).parse::<Refusal>() {
        let (_, text): (u16, String) = refusal.clone().into();
        assert_eq!(text.parse::<Refusal>().ok().map(|read| read.code()), Some(refusal.code()));
    }
}

pub(crate) fn refusal_seeds() -> Vec<Vec<u8>> {
    let (_, text): (u16, String) = Refusal::new(RefusalCode::UnknownLink, "no link, \"l\"").into();
    vec![text.into_bytes()]
}

/// Every function's own check of its arguments.
pub(crate) fn arguments(data: &[u8]) {
    static CONTRACTS: LazyLock<Vec<fabric_contract::metadata::ContractMetadata>> = LazyLock::new(|| {
        healthchain_interface::contracts(&mut fabric_contract::macro_support::SchemaGenerator::default())
    });
    for function in CONTRACTS.iter().flat_map(|contract| &contract.functions) {
        // Whatever is said of them, it is said in words.
        if let Err(misfit) = (function.check)(&[data.to_vec()]) {
            assert!(!misfit.reason.is_empty());
        }
    }
}

pub(crate) fn argument_seeds() -> Vec<Vec<u8>> {
    let texts = [
        r#""l1""#,
        r#"{"link":"l1","purpose":"treatment"}"#,
        r#"{"consent":"c","patient":"anna","grantee":{"organisation":"PayerMSP"},"scope":{"categories":["summary"]},"purposes":["payment"],"effect":"permit"}"#,
        r#"{"patient":"anna","purpose":"personal","page_token":"AA","limit":3}"#,
    ];
    texts.map(|text| text.as_bytes().to_vec()).to_vec()
}

pub(crate) fn page_token(data: &[u8]) {
    let text = String::from_utf8_lossy(data).into_owned();
    if let Ok(token) = PageToken::try_from(text.clone()) {
        assert_eq!(token.as_str(), text);
    }
}

pub(crate) fn page_token_seeds() -> Vec<Vec<u8>> {
    vec![b"AAECAwQFBgcICQ".to_vec()]
}

pub(crate) fn event(data: &[u8]) {
    if let Ok(event) = serde_json::from_slice::<LedgerEvent>(data) {
        let written = serde_json::to_vec(&event).expect("an event always serialises");
        assert_eq!(serde_json::from_slice::<LedgerEvent>(&written).expect("what was written is read"), event);
    }
}

pub(crate) fn event_seeds() -> Vec<Vec<u8>> {
    let texts = [
        r#"{"entry":{"transaction":"0000000000000000000000000000000000000000000000000000000000000001","time":1,"organisation":"A","member":"m","patient":"p","act":{"act":"link-published","link":"l"}}}"#,
    ];
    texts.map(|text| text.as_bytes().to_vec()).to_vec()
}

pub(crate) fn composite_key(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok((kind, parts)) = fabric_contract::split_composite_key(&text) {
        let parts: Vec<&str> = parts.iter().map(|part| &**part).collect();
        if let Ok(written) = fabric_contract::composite_key(kind, &parts) {
            assert_eq!(written, text);
        }
    }
}

pub(crate) fn composite_key_seeds() -> Vec<Vec<u8>> {
    vec!["\u{0}link\u{0}l1\u{0}1\u{0}".as_bytes().to_vec()]
}
