//! Signature policies as text and as Fabric evaluates them.
#![allow(clippy::unwrap_used)] // reason: helpers of tests

mod made;

use fabric_msp::policy::{PolicyError, Signed, check, evaluate, n_out_of, parse, principal, valid_signers};
use fabric_msp::{Identity, Msp, Msps, SigningIdentity};
use fabric_protos::common::msp_principal::Classification;
use fabric_protos::common::msp_role::MspRoleType;
use fabric_protos::common::signature_policy::{NOutOf, Type};
use fabric_protos::common::{CombinedPrincipal, MspPrincipal, OrganizationUnit, SignaturePolicy};
use made::{Made, authority, configuration, member};
use openssl::sha::sha256;
use proptest::prelude::*;
use prost::Message;

/// Organisations A and B.
struct World {
    msps: Msps,
    roots: [Made; 2],
}

impl World {
    fn new() -> Self {
        let roots = [authority("ca.a").self_signed(), authority("ca.b").self_signed()];
        let mut second = configuration(&roots[1]);
        second.name = "B".to_owned();
        let msps = vec![Msp::from_config(configuration(&roots[0])).unwrap(), Msp::from_config(second).unwrap()];
        Self { msps: Msps::new(msps), roots }
    }

    fn signer(&self, msp_id: &str, unit: &'static str) -> SigningIdentity {
        let made = member("m", &[unit]).issued_by(&self.roots[usize::from(msp_id == "B")]);
        SigningIdentity::from_pem(msp_id, made.pem(), made.key.private_key_to_pem_pkcs8().unwrap()).unwrap()
    }

    fn identity(&self, msp_id: &str, unit: &'static str) -> Identity {
        self.msps.identify(self.signer(msp_id, unit).serialized()).unwrap()
    }
}

fn holds(text: &str, signers: &[Identity]) -> bool {
    evaluate(&parse(text).unwrap(), signers)
}

#[test]
fn gates_count_signers_of_the_asked_roles() {
    let world = World::new();
    let (a, b, client) = (world.identity("A", "peer"), world.identity("B", "peer"), world.identity("A", "client"));
    assert!(holds("OR('A.peer', 'B.peer')", std::slice::from_ref(&b)));
    assert!(holds("AND('A.peer', 'B.peer')", &[b.clone(), a.clone()]));
    assert!(holds("OutOf(2, 'A.member', 'B.member')", &[client.clone(), b.clone()]));
    assert!(holds("OutOf(0, 'A.peer')", &[]));
    assert!(!holds("AND('A.peer', 'B.peer')", std::slice::from_ref(&a)));
    assert!(!holds("OR('A.peer', 'B.peer')", &[client]));
    assert!(!holds("OutOf(3, 'A.peer', 'B.peer')", &[a, b]));
}

#[test]
fn one_signer_counts_for_one_principal_only() {
    let world = World::new();
    let (first, second) = (world.identity("A", "peer"), world.identity("A", "peer"));
    assert!(!holds("AND('A.peer', 'A.peer')", std::slice::from_ref(&first)));
    assert!(!holds("AND('A.peer', 'A.member')", std::slice::from_ref(&first)));
    assert!(holds("AND('A.peer', 'A.peer')", &[first, second]));
}

#[test]
fn evaluation_is_greedy_so_that_order_can_matter() {
    let world = World::new();
    let (peer, client) = (world.identity("A", "peer"), world.identity("A", "client"));
    // member takes the first signer, the peer, and never gives it back.
    assert!(!holds("AND('A.member', 'A.peer')", &[peer.clone(), client.clone()]));
    assert!(holds("AND('A.member', 'A.peer')", &[client.clone(), peer.clone()]));
    assert!(holds("AND('A.peer', 'A.member')", &[peer, client]));
}

#[test]
fn a_failed_gate_gives_back_what_it_took_and_a_good_one_keeps_all() {
    let world = World::new();
    let (peer, client) = (world.identity("A", "peer"), world.identity("A", "client"));
    assert!(holds("OR(AND('A.peer', 'B.peer'), 'A.peer')", std::slice::from_ref(&peer)));
    // OR runs all its rules and so takes both signers, though one would do.
    assert!(!holds("AND(OR('A.peer', 'A.client'), 'A.client')", &[peer, client]));
}

#[test]
fn unknown_doubled_and_wrongly_signing_signers_are_left_out() {
    let world = World::new();
    let (good, bad) = (world.signer("A", "peer"), world.signer("B", "peer"));
    let stranger = World::new().signer("A", "peer");
    let signature = good.sign(b"block").unwrap();
    let signed = |identity: &SigningIdentity, signature: &[u8]| (identity.serialized().to_vec(), signature.to_vec());
    let set = [
        (b"nobody".to_vec(), signature.clone()),
        signed(&stranger, &stranger.sign(b"block").unwrap()),
        signed(&bad, &bad.sign(b"other block").unwrap()),
        signed(&good, &signature),
        signed(&good, &good.sign(b"block").unwrap()),
    ];
    let signers = valid_signers(
        &world.msps,
        set.iter().map(|(identity, signature)| Signed { identity, message: b"block", signature }),
    );
    assert_eq!(signers, [world.msps.identify(good.serialized()).unwrap()]);
}

#[test]
fn principals_of_every_kind_describe_whom_they_say() {
    let world = World::new();
    let peer = world.identity("A", "peer");
    let of = |classification: Classification, principal: Vec<u8>| MspPrincipal {
        principal_classification: classification.into(),
        principal,
    };
    let unit = |name: &str, certifiers: Vec<u8>| {
        let unit = OrganizationUnit {
            msp_identifier: "A".to_owned(),
            organizational_unit_identifier: name.to_owned(),
            certifiers_identifier: certifiers,
        };
        of(Classification::OrganizationUnit, unit.encode_to_vec())
    };
    let certifiers =
        sha256(&world.msps.identify(&peer.serialized()).map(|_| canonical(&world.roots[0])).unwrap()).to_vec();
    let both =
        CombinedPrincipal { principals: vec![principal("A", MspRoleType::Peer), unit("peer", certifiers.clone())] };
    let neither =
        CombinedPrincipal { principals: vec![principal("A", MspRoleType::Peer), principal("A", MspRoleType::Client)] };
    for (principal, satisfied) in [
        (principal("A", MspRoleType::Peer), true),
        (principal("A", MspRoleType::Admin), false),
        (principal("B", MspRoleType::Peer), false),
        (principal("B", MspRoleType::Member), false),
        (unit("peer", certifiers.clone()), true),
        (unit("client", certifiers.clone()), false),
        (unit("peer", vec![0; 32]), false),
        (of(Classification::Identity, peer.serialized()), true),
        (of(Classification::Identity, world.identity("A", "peer").serialized()), false),
        (of(Classification::Identity, b"x".to_vec()), false),
        (of(Classification::Anonymity, Vec::new()), true),
        (of(Classification::Anonymity, vec![8, 1]), false),
        (of(Classification::Combined, both.encode_to_vec()), true),
        (of(Classification::Combined, neither.encode_to_vec()), false),
        (of(Classification::Combined, Vec::new()), false),
        (of(Classification::Role, b"\xff".to_vec()), false),
        (MspPrincipal { principal_classification: 9, principal: Vec::new() }, false),
    ] {
        assert_eq!(peer.satisfies(&principal), satisfied, "{principal:?}");
    }
}

/// The root's DER as Fabric hashes it: with the low form of its signature.
fn canonical(root: &Made) -> Vec<u8> {
    use openssl::bn::{BigNum, BigNumContext};
    use openssl::ecdsa::EcdsaSig;
    let der = root.x509.to_der().unwrap();
    let signature = root.x509.signature().as_slice().to_vec();
    let parsed = EcdsaSig::from_der(&signature).unwrap();
    let (mut order, mut flipped) = (BigNum::new().unwrap(), BigNum::new().unwrap());
    root.key.ec_key().unwrap().group().order(&mut order, &mut BigNumContext::new().unwrap()).unwrap();
    flipped.checked_sub(&order, parsed.s()).unwrap();
    if &flipped > parsed.s() {
        return der;
    }
    let low = EcdsaSig::from_private_components(parsed.r().to_owned().unwrap(), flipped).unwrap().to_der().unwrap();
    let tail = der.len() - signature.len();
    let mut replaced = [&der[..tail], &low].concat();
    // The bit string's length stands two bytes before the signature; the whole's in bytes 2 and 3.
    let shorter = signature.len() - low.len();
    replaced[tail - 2] -= shorter as u8;
    let whole = u16::from_be_bytes([replaced[2], replaced[3]]) - shorter as u16;
    replaced[2..4].copy_from_slice(&whole.to_be_bytes());
    replaced
}

#[test]
fn the_text_gives_the_message_that_fabric_makes_of_it() {
    let policy = parse(" OutOf( 2, \"A.peer\",'B-1.org.admin' , or('A.peer','C.orderer') )").unwrap();
    let gate =
        |n: i32, rules: Vec<SignaturePolicy>| SignaturePolicy { r#type: Some(Type::NOutOf(NOutOf { n, rules })) };
    let by = |index| SignaturePolicy { r#type: Some(Type::SignedBy(index)) };
    assert_eq!(policy.rule, Some(gate(2, vec![by(0), by(1), gate(1, vec![by(2), by(3)])])));
    let expected = [
        principal("A", MspRoleType::Peer),
        principal("B-1.org", MspRoleType::Admin),
        principal("A", MspRoleType::Peer),
        principal("C", MspRoleType::Orderer),
    ];
    assert_eq!(policy.identities, expected, "a principal named twice is listed twice");
    assert_eq!(parse("AND('A.peer','B.peer')"), parse("OutOf('2', 'A.peer', 'B.peer')"));
    assert_eq!(parse("OutOf(2,'A.peer','B.peer')").unwrap(), n_out_of(2, MspRoleType::Peer, ["A", "B"]));
}

#[test]
fn texts_that_are_no_policy_are_refused_with_the_place() {
    for (text, position, reason) in [
        ("", 0, "expected AND"),
        ("'A.peer'", 0, "expected AND"),
        ("NOT('A.peer')", 0, "expected AND"),
        ("OR()", 3, "expected AND"),
        ("OR('A.peer'", 11, "expected ')'"),
        ("OR('A.peer') x", 13, "something follows"),
        ("OR('A.king')", 3, "role"),
        ("OR('peer')", 3, "role"),
        ("OR('.peer')", 3, "name"),
        ("OR('A_1.peer')", 3, "name"),
        ("OR('A.peer", 3, "quote"),
        ("OutOf('A.peer')", 6, "number"),
        ("OutOf(-1, 'A.peer')", 6, "number"),
        ("OutOf(1)", 7, "expected ','"),
        ("OutOf(3, 'A.peer')", 17, "t 3, n 1"),
    ] {
        let error = parse(text).unwrap_err();
        assert_eq!(error.position, position, "{text}: {error}");
        assert!(error.reason.contains(reason), "{text}: {error}");
    }
    assert!(parse(&"OR(".repeat(100_000)).unwrap_err().reason.contains("deeply"));
}

#[test]
fn messages_that_cannot_be_evaluated_satisfy_nobody() {
    let world = World::new();
    let peer = [world.identity("A", "peer")];
    let good = parse("OR('A.peer')").unwrap();
    assert!(evaluate(&good, &peer));
    let mut version = good.clone();
    version.version = 1;
    let mut empty = good.clone();
    empty.rule = None;
    let mut index = good;
    index.identities.clear();
    for (policy, error) in [
        (version, PolicyError::Version(1)),
        (empty, PolicyError::Empty),
        (index, PolicyError::Index { index: 0, length: 0 }),
    ] {
        assert_eq!(check(&policy), Err(error));
        assert!(!evaluate(&policy, &peer));
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "[AndOrutf(),'\"0-9 .peermbé]{0,60}") {
        if let Ok(policy) = parse(&text) {
            prop_assert_eq!(check(&policy), Ok(()));
        }
    }
}
