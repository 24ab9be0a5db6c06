//! The contracts' metadata, as `org.hyperledger.fabric:GetMetadata` gives it, is what clients of other languages build on.

#[test]
fn the_contracts_metadata_are_as_published() {
    insta::assert_json_snapshot!(healthchain_chaincode::chaincode().metadata());
}
