//! What is refused before anything runs.

use fabric_embedded::{
    ledger::Storage,
    testing::{Description, Network},
};

use crate::{BOTH, network, script};

/// Why a network does not start.
async fn refusal(description: Description) -> String {
    let failed = tokio::spawn(async { drop(description.start().await) }).await.unwrap_err();
    *failed.into_panic().downcast::<String>().unwrap()
}

#[tokio::test]
async fn a_ledger_of_other_organisations_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Storage::Folder(folder.path().join("ledger"));
    network(BOTH).storage(storage.clone()).start().await.stop().await;
    let other_authorities = refusal(network(BOTH).storage(storage.clone())).await;
    assert!(other_authorities.contains("its organisations have other certificate authorities"), "{other_authorities}");
    let fewer = refusal(Network::of(&["Org1MSP"]).storage(storage)).await;
    assert!(fewer.contains("its organisations are Org1MSP, Org2MSP, not Org1MSP"), "{fewer}");
}

#[tokio::test]
async fn a_ledger_in_use_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Storage::Folder(folder.path().join("ledger"));
    let first = network(BOTH).storage(storage.clone()).start().await;
    let again = network(BOTH).storage(storage).authorities(first.authorities().clone());
    assert!(refusal(again).await.contains("is in use by another process"));
}

#[tokio::test]
async fn a_chaincode_that_stands_twice_or_has_a_system_chaincodes_name_is_refused() {
    let twice = refusal(network(BOTH).chaincode("script", BOTH, script::serve)).await;
    assert!(twice.contains("chaincode script stands in it twice"), "{twice}");
    let system = refusal(network(BOTH).chaincode("qscc", BOTH, script::serve)).await;
    assert!(system.contains("\"qscc\" is no name for a chaincode"), "{system}");
}
