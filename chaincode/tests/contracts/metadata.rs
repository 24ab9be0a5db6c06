//! The contracts' metadata, as `org.hyperledger.fabric:GetMetadata` gives it, is what clients of other languages build on.

#[test]
fn the_contracts_metadata_are_as_published() {
    insta::assert_json_snapshot!(healthchain_chaincode::chaincode().metadata());
}

/// What callers build on without the chaincode at hand, such as the gateway's REST.
#[test]
fn the_interface_names_the_same_contracts_and_functions_as_the_chaincode_serves() {
    let served = healthchain_chaincode::chaincode().metadata();
    let described = healthchain_interface::contracts(&mut schemars::SchemaGenerator::default());
    assert_eq!(served["contracts"].as_object().unwrap().len(), described.len() + 1, "and the system's own contract");
    for contract in described {
        let transactions = served["contracts"][contract.name]["transactions"].as_array().unwrap();
        let names: Vec<_> = transactions.iter().map(|transaction| transaction["name"].as_str().unwrap()).collect();
        assert_eq!(contract.functions.iter().map(|function| function.name).collect::<Vec<_>>(), names);
    }
}
