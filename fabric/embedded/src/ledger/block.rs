//! Blocks: hashes, the orderer's signature and the five metadata entries.
//!
//! Fabric: `protoutil/blockutils.go`, `orderer/common/multichannel/blockwriter.go`.

use fabric_protos::common::{
    BlockHeader, BlockMetadata, LastConfig, Metadata, MetadataSignature, OrdererBlockMetadata, SignatureHeader,
};
use fabric_protos::protos::TxValidationCode;
use openssl::rand::rand_bytes;
use openssl::sha::{Sha256, sha256};
use prost::Message;

/// How many entries a block's metadata have: signatures, last configuration, transactions filter, orderer, commit hash.
const METADATA_ENTRIES: usize = 5;
const SIGNATURES: usize = 0;
const TRANSACTIONS_FILTER: usize = 2;
const COMMIT_HASH: usize = 4;

/// Signs blocks as the orderer does.
pub trait BlockSigner: Send + Sync {
    /// The orderer's `msp.SerializedIdentity`, encoded.
    fn creator(&self) -> Vec<u8>;

    /// The signature over `message` (ECDSA over its SHA-256, DER, low S), or why there is none.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, String>;
}

/// Says whether a creator (`msp.SerializedIdentity`, encoded) made this signature: creator, message, signature.
pub type SignatureCheck<'a> = dyn Fn(&[u8], &[u8], &[u8]) -> bool + 'a;

/// The hash that names a block: SHA-256 over the header in DER.
pub fn header_hash(header: &BlockHeader) -> [u8; 32] {
    sha256(&header_der(header))
}

/// The hash over a block's envelopes, simply joined.
pub(super) fn data_hash(envelopes: &[Vec<u8>]) -> [u8; 32] {
    let mut hash = Sha256::new();
    envelopes.iter().for_each(|envelope| hash.update(envelope));
    hash.finish()
}

/// The metadata of block 0: no signature, no commit hash.
pub(super) fn genesis_metadata() -> BlockMetadata {
    let signatures = Metadata { value: orderer_metadata(), signatures: Vec::new() };
    assemble(signatures, &[TxValidationCode::Valid], Vec::new())
}

/// The metadata of every other block, signed by the orderer.
pub(super) fn signed_metadata(
    header: &BlockHeader,
    codes: &[TxValidationCode],
    commit_hash: &[u8],
    signer: &dyn BlockSigner,
) -> Result<BlockMetadata, String> {
    let mut nonce = vec![0; 24];
    rand_bytes(&mut nonce).map_err(|error| format!("no randomness: {error}"))?;
    let signature_header = SignatureHeader { creator: signer.creator(), nonce }.encode_to_vec();
    let value = orderer_metadata();
    let signature = signer.sign(&signed_bytes(&value, &signature_header, header))?;
    let signature = MetadataSignature { signature_header, signature, identifier_header: Vec::new() };
    let commit_hash = Metadata { value: commit_hash.to_vec(), signatures: Vec::new() };
    Ok(assemble(Metadata { value, signatures: vec![signature] }, codes, commit_hash.encode_to_vec()))
}

/// The validation codes in a block's metadata, one byte a transaction.
pub(super) fn transactions_filter(metadata: &BlockMetadata) -> &[u8] {
    metadata.metadata.get(TRANSACTIONS_FILTER).map_or(&[], Vec::as_slice)
}

/// The commit hash in a block's metadata; empty in block 0.
pub(super) fn commit_hash(metadata: &BlockMetadata) -> Option<Vec<u8>> {
    Some(Metadata::decode(metadata.metadata.get(COMMIT_HASH)?.as_slice()).ok()?.value)
}

/// Checks the orderer's one signature.
pub(super) fn signature_holds(header: &BlockHeader, metadata: &BlockMetadata, verify: &SignatureCheck) -> bool {
    let holds = || {
        let entry = Metadata::decode(metadata.metadata.get(SIGNATURES)?.as_slice()).ok()?;
        let [signature] = entry.signatures.as_slice() else { return None };
        let signed_by = SignatureHeader::decode(signature.signature_header.as_slice()).ok()?;
        let message = signed_bytes(&entry.value, &signature.signature_header, header);
        Some(verify(&signed_by.creator, &message, &signature.signature))
    };
    holds().unwrap_or(false)
}

fn assemble(signatures: Metadata, codes: &[TxValidationCode], commit_hash: Vec<u8>) -> BlockMetadata {
    let filter = codes.iter().map(|code| code_byte(*code)).collect();
    // The last configuration is block 0: the network's shape is fixed when it is made. Its entry is therefore empty.
    let entries: [Vec<u8>; METADATA_ENTRIES] =
        [signatures.encode_to_vec(), Vec::new(), filter, Vec::new(), commit_hash];
    BlockMetadata { metadata: entries.into() }
}

/// A validation code as it stands in the transactions filter.
pub(super) fn code_byte(code: TxValidationCode) -> u8 {
    u8::try_from(code as i32).expect("Fabric's validation codes end at 255")
}

fn orderer_metadata() -> Vec<u8> {
    OrdererBlockMetadata { last_config: Some(LastConfig { index: 0 }), consenter_metadata: Vec::new() }.encode_to_vec()
}

fn signed_bytes(value: &[u8], signature_header: &[u8], header: &BlockHeader) -> Vec<u8> {
    [value, signature_header, &header_der(header)].concat()
}

/// SEQUENCE { INTEGER number, OCTET STRING previous hash, OCTET STRING data hash }.
fn header_der(header: &BlockHeader) -> Vec<u8> {
    let big_endian = header.number.to_be_bytes();
    let first = big_endian.iter().position(|byte| *byte != 0).unwrap_or(big_endian.len() - 1);
    let mut number = big_endian[first..].to_vec();
    if number[0] >= 0x80 {
        number.insert(0, 0); // else the integer would be negative
    }
    let fields = [der(0x02, &number), der(0x04, &header.previous_hash), der(0x04, &header.data_hash)];
    der(0x30, &fields.concat())
}

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let big_endian = content.len().to_be_bytes();
    let significant = &big_endian[content.len().leading_zeros() as usize / 8..];
    let length = match content.len() {
        0..=127 => vec![content.len() as u8],
        _ => [&[0x80 | significant.len() as u8], significant].concat(),
    };
    [&[tag], length.as_slice(), content].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(number: u64) -> BlockHeader {
        BlockHeader { number, previous_hash: vec![0; 32], data_hash: vec![1; 32] }
    }

    #[test]
    fn a_header_hashes_as_on_fabric() {
        let header = header(128);
        assert!(hex::encode(header_der(&header)).starts_with("30480202008004200000"));
        assert!(hex::encode(header_hash(&header)).starts_with("cffe93c281844ca9"));
    }

    #[test]
    fn numbers_are_minimal_der_integers() {
        for (number, expected) in
            [(0, "020100"), (127, "02017f"), (256, "02020100"), (u64::MAX, "020900ffffffffffffffff")]
        {
            let der = hex::encode(header_der(&header(number)));
            assert!(der[4..].starts_with(expected), "{number}: {der}");
        }
    }

    #[test]
    fn block_zero_has_an_empty_previous_hash_and_no_signature() {
        let header = BlockHeader { number: 0, previous_hash: Vec::new(), data_hash: vec![1; 32] };
        assert!(hex::encode(header_der(&header)).starts_with("302702010004000420"));
        let metadata: Vec<String> = genesis_metadata().metadata.iter().map(hex::encode).collect();
        assert_eq!(metadata, ["0a020a00", "", "00", "", ""]);
    }

    #[test]
    fn long_content_has_a_long_length() {
        assert_eq!(der(4, &[7; 128])[..3], [4, 0x81, 128]);
        assert_eq!(der(4, &[7; 256])[..4], [4, 0x82, 1, 0]);
    }
}
