//! What every organisation that keeps the ledger can read in it.

use healthchain_end_to_end::World;
use healthchain_network::demo;
use openssl::base64::encode_block;
use serde_json::json;

crate::promises![nothing_personal_is_in_any_block_after_a_demonstration];

/// The demonstration with a record of somebody whose particulars are found nowhere else: a block holds the arguments, the state
/// that was written and the events of its transactions, so that the blocks are all that the ledger ever had.
async fn nothing_personal_is_in_any_block_after_a_demonstration(world: &World) {
    let personal =
        ["Quillfeather", "Theodosia", "MRN-77190-4432", "1951-07-23", "14 Heronmarsh Lane", "+1-555-0142-77"];
    let content = ["Hereditary coproporphyria, suspected", "hemin 3 mg/kg by mouth never", "urn:oid:1.2.36.77190"];
    let record = json!({
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [
            { "resource": {
                "resourceType": "Patient",
                "name": [{ "family": personal[0], "given": [personal[1]] }],
                "identifier": [{ "system": content[2], "value": personal[2] }],
                "birthDate": personal[3],
                "address": [{ "line": [personal[4]] }],
                "telecom": [{ "system": "phone", "value": personal[5] }],
            } },
            { "resource": { "resourceType": "Condition", "code": { "text": content[0] } } },
            { "resource": { "resourceType": "MedicationRequest", "note": [{ "text": content[1] }] } },
        ],
    });
    let folder = std::env::temp_dir().join(format!("healthchain-privacy-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("record.json"), record.to_string()).unwrap();
    let told = demo::run(&world.network, Some(&folder)).await;
    std::fs::remove_dir_all(&folder).unwrap();
    told.unwrap();

    let blocks = world.chain(&world.hospital_clinician()).blocks().await;
    let finds = |needle: &str| blocks.iter().any(|block| contains(block, needle.as_bytes()));
    assert!(
        finds("patient-1") && finds("link-opened") && finds("application/fhir+json"),
        "the blocks are not read right"
    );
    for needle in personal.iter().chain(&content) {
        for written in ways_to_write(needle) {
            assert!(!finds(&written), "{needle} is on the ledger, as {written}");
        }
    }
}

/// As text, hexadecimal, and base64 at each of the three places in a group of bytes.
fn ways_to_write(text: &str) -> Vec<String> {
    let inside_base64 = |before: usize| {
        let padded = [&b"   "[..before], text.as_bytes()].concat();
        let whole = padded.len() / 3 * 3;
        let skipped = if before == 0 { 0 } else { 4 };
        encode_block(&padded[..whole])[skipped..].to_owned()
    };
    let hex = hex::encode(text);
    [text.to_owned(), hex.to_uppercase(), hex].into_iter().chain((0..3).map(inside_base64)).collect()
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}
