//! Compiles the messages in `proto/` without `protoc`.

const FILES: [&str; 10] = [
    "common.proto",
    "msp.proto",
    "peer.proto",
    "chaincode.proto",
    "gateway.proto",
    "orderer.proto",
    "rwset.proto",
    "kvrwset.proto",
    "queryresult.proto",
    "status.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(FILES, ["proto"])?;
    // Maps are BTreeMaps: whatever is hashed or compared must encode to the same bytes each time.
    // No generated `connect(dst)`: it would clash with the method Connect of protos.Chaincode; clients are made with `new(channel)`.
    tonic_prost_build::configure().btree_map(".").build_transport(false).compile_fds(descriptors)?;
    Ok(())
}
