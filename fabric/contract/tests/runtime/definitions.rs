//! What `#[contract]` makes: names, arguments, refusals, metadata; client and dispatcher meet over an in-memory [`Transact`].

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};

use fabric_contract::{CallError, CallFailure, Chaincode, ChaincodeResponse, Context, LedgerError, Transact, contract};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::notes::{Notebook, NotesClient, NotesDispatcher, Refusal};
use crate::peer::{Peer, offering};

/// Where somebody lives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Address {
    /// With its number.
    street: String,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    AtHome,
    AtWork,
}

/// Who lives where.
#[contract(name = "address-book")]
pub(crate) trait AddressBook {
    /// Adds one person's
    /// address.
    #[submit]
    async fn add_address(&self, ctx: &mut Context, person: String, address: Address) -> Result<u32, Refusal>;
    #[evaluate]
    async fn addresses(&self, ctx: &Context) -> Result<Vec<Address>, Refusal>;
}

struct Empty;

impl AddressBook for Empty {
    async fn add_address(&self, ctx: &mut Context, person: String, address: Address) -> Result<u32, Refusal> {
        if person.is_empty() {
            return Err(Refusal(422, "nobody: \"\" lives nowhere".into()));
        }
        ctx.put(person, address.street);
        Ok(1)
    }

    async fn addresses(&self, _: &Context) -> Result<Vec<Address>, Refusal> {
        Ok(vec![Address { street: "Elm 1".into(), kind: Kind::AtWork }])
    }
}

fn chaincode() -> Chaincode {
    Chaincode::new().contract(AddressBookDispatcher::new(Empty)).contract(NotesDispatcher::new(Notebook))
}

/// Calls a chaincode in this process, and says which way.
struct InMemory {
    peer: Peer,
    submitted: AtomicUsize,
    evaluated: AtomicUsize,
}

#[derive(Debug, PartialEq)]
struct Failed {
    status: i32,
    message: String,
}

impl InMemory {
    async fn new() -> Self {
        let peer = Peer::start(chaincode(), offering(10, 10)).await;
        Self { peer, submitted: AtomicUsize::new(0), evaluated: AtomicUsize::new(0) }
    }

    async fn call(&self, function: &str, arguments: Vec<Vec<u8>>) -> Result<Vec<u8>, Failed> {
        let arguments: Vec<&str> =
            arguments.iter().map(|argument| std::str::from_utf8(argument).expect("JSON is text")).collect();
        let response = self.peer.invoke("tx", function, &arguments).await.response;
        if response.status == 200 {
            Ok(response.payload)
        } else {
            Err(Failed { status: response.status, message: response.message })
        }
    }
}

impl Transact for &InMemory {
    type Error = Failed;

    async fn evaluate(&self, function: &str, arguments: Vec<Vec<u8>>) -> Result<Vec<u8>, Failed> {
        self.evaluated.fetch_add(1, Ordering::Relaxed);
        self.call(function, arguments).await
    }

    async fn submit(&self, function: &str, arguments: Vec<Vec<u8>>) -> Result<Vec<u8>, Failed> {
        self.submitted.fetch_add(1, Ordering::Relaxed);
        self.call(function, arguments).await
    }
}

impl CallFailure for Failed {
    fn chaincode_response(&self) -> Option<ChaincodeResponse<'_>> {
        Some(ChaincodeResponse { status: self.status, message: &self.message })
    }
}

impl std::error::Error for Failed {}

impl fmt::Display for Failed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "chaincode response {}, {}", self.status, self.message)
    }
}

#[tokio::test]
async fn arguments_and_results_go_round() {
    let ledger = InMemory::new().await;
    let book = AddressBookClient::new(&ledger);
    let address = Address { street: "Elm 1".into(), kind: Kind::AtWork };

    assert_eq!(book.add_address("ann", &address).await.unwrap(), 1);
    assert_eq!((ledger.submitted.load(Ordering::Relaxed), ledger.evaluated.load(Ordering::Relaxed)), (1, 0));
    assert_eq!(book.addresses().await.unwrap(), [address]);
    assert_eq!((ledger.submitted.load(Ordering::Relaxed), ledger.evaluated.load(Ordering::Relaxed)), (1, 1));

    let notes = NotesClient::new(&ledger);
    notes.write(&vec![("a".into(), "\u{0}\"ü".into())]).await.unwrap();
    assert_eq!(notes.read("a").await.unwrap().as_deref(), Some("\u{0}\"ü"));
    assert_eq!(notes.read("ann").await.unwrap().as_deref(), Some("Elm 1"));
    assert_eq!(notes.read("b").await.unwrap(), None);
}

#[tokio::test]
async fn a_refusal_comes_back_as_itself() {
    let ledger = InMemory::new().await;
    let address = Address { street: "Elm 1".into(), kind: Kind::AtHome };
    let refused = AddressBookClient::new(&ledger).add_address("", &address).await;
    match refused {
        Err(CallError::Refused(refusal)) => assert_eq!(refusal, Refusal(422, "nobody: \"\" lives nowhere".into())),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_failure_in_other_words_is_no_refusal() {
    let ledger = InMemory::new().await;
    let failed = NotesClient::new(&ledger).write_and_panic().await;
    assert!(matches!(failed, Err(CallError::Failed(Failed { status: 500, .. }))), "{failed:?}");
}

#[tokio::test]
async fn a_result_of_another_form_is_undecodable() {
    /// An older definition of the same contract.
    #[contract(name = "address-book")]
    trait Older {
        #[evaluate]
        async fn addresses(&self, ctx: &Context) -> Result<u32, Refusal>;
    }
    struct Old;
    impl Older for Old {
        async fn addresses(&self, _: &Context) -> Result<u32, Refusal> {
            Err(LedgerError::StreamEnded.into())
        }
    }
    let _ = OlderDispatcher::new(Old);

    let ledger = InMemory::new().await;
    let answer = OlderClient::new(&ledger).addresses().await;
    assert!(matches!(answer, Err(CallError::Undecodable(_))), "{answer:?}");
}

#[tokio::test]
async fn names_lead_to_functions_as_in_the_official_sdks() {
    let peer = InMemory::new().await.peer;
    let elm = json!([{ "street": "Elm 1", "kind": "at-work" }]);
    assert_eq!(peer.invoke("tx", "address-book:addresses", &[]).await.json(), elm);
    assert_eq!(peer.invoke("tx", "addresses", &[]).await.json(), elm, "the first contract is the default one");
    assert_eq!(peer.invoke("tx", "Notes:echo", &["\"hi\""]).await.json(), json!("hi"));

    let cases = [
        ("Nobody:echo", "Contract not found with name Nobody"),
        (":echo", "Contract not found with name "),
        ("a:b:Notes:echo", "Contract not found with name a:b:Notes"),
        ("", "Blank function name passed"),
        ("Notes:", "Blank function name passed"),
        ("org.hyperledger.fabric:", "Blank function name passed"),
        ("echo", "Function echo not found in contract address-book"),
        ("Notes:Echo", "Function Echo not found in contract Notes"),
        ("Notes:read_many", "Function read_many not found in contract Notes"),
        ("org.hyperledger.fabric:Purge", "Function Purge not found in contract org.hyperledger.fabric"),
    ];
    for (function, expected) in cases {
        assert_eq!(peer.invoke("tx", function, &[]).await.status(), (500, expected), "{function:?}");
    }
}

#[tokio::test]
async fn arguments_that_do_not_fit_are_refused_before_the_function_runs() {
    let peer = InMemory::new().await.peer;
    let cases = [
        (vec![], "addAddress takes 2 arguments, each one JSON text, and got 0"),
        (vec!["1", "2", "3"], "addAddress takes 2 arguments, each one JSON text, and got 3"),
        (vec!["ann", "{}"], "the argument person of addAddress cannot be read: expected value at line 1 column 1"),
        (vec!["\"ann\"", "{}"], "the argument address of addAddress cannot be read: missing field `street`"),
    ];
    for (arguments, expected) in cases {
        let ended = peer.invoke("tx", "addAddress", &arguments).await;
        assert_eq!(ended.response.status, 400);
        assert!(ended.response.message.starts_with(expected), "{}", ended.response.message);
        assert_eq!(ended.kinds(), []);
    }
    let ended = peer.invoke("tx", "addresses", &["1"]).await;
    assert_eq!(ended.status(), (400, "addresses takes 0 arguments, each one JSON text, and got 1"));
}

#[tokio::test]
async fn the_metadata_have_the_shape_of_the_official_sdks() {
    let peer = Peer::start(Chaincode::new().contract(AddressBookDispatcher::new(Empty)), offering(0, 0)).await;
    let metadata = peer.invoke("tx", "org.hyperledger.fabric:GetMetadata", &[]).await.json();
    insta::assert_json_snapshot!(metadata);
}

#[test]
#[should_panic(expected = "a chaincode has one contract of a name")]
fn two_contracts_of_one_name_are_refused() {
    let _ = chaincode().contract(NotesDispatcher::new(Notebook));
}

#[test]
fn arguments_are_checked_as_the_chaincode_would_read_them() {
    let contract = AddressBookClient::describe(&mut schemars::SchemaGenerator::default());
    assert_eq!((contract.name, contract.description), ("address-book", "Who lives where."));
    let check = |arguments: &[&str]| {
        let arguments: Vec<_> = arguments.iter().map(|argument| argument.as_bytes().to_vec()).collect();
        (contract.functions[0].check)(&arguments).map_err(|misfit| (misfit.parameter, misfit.path))
    };
    let home = r#"{"street":"Elm 1","kind":"at-home"}"#;
    assert_eq!(check(&[r#""anna""#, home]), Ok(()));
    assert_eq!(check(&["7", home]), Err(("person", ".".into())));
    assert_eq!(check(&[r#""anna""#]), Err(("address", ".".into())));
    assert_eq!(check(&[r#""anna""#, r#"{"street":"Elm 1","kind":"at-sea"}"#]), Err(("address", "kind".into())));
    assert_eq!(check(&[r#""anna""#, &format!("{home} {home}")]), Err(("address", ".".into())));
}
