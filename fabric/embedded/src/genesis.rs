//! Block 0: the channel's configuration, so that the chain says by itself who may sign what in it.
//!
//! The same configuration gives the same bytes.

use std::collections::BTreeMap;

use fabric_msp::{Msp, policy::principal};
use fabric_protos::{
    common::{
        BlockDataHashingStructure, Capabilities, Capability, ChannelHeader, Config, ConfigEnvelope, ConfigGroup,
        ConfigPolicy, ConfigValue, Envelope, HashingAlgorithm, Header, HeaderType, ImplicitMetaPolicy, Payload, Policy,
        SignatureHeader, SignaturePolicy, SignaturePolicyEnvelope, implicit_meta_policy::Rule, msp_role::MspRoleType,
        signature_policy,
    },
    msp::{FabricMspConfig, MspConfig},
    orderer::{BatchSize, BatchTimeout, ConsensusType},
};
use openssl::sha::sha256;
use prost::Message;

use crate::{StartError, config, ledger::Ledger, proposal};

const ADMINS: &str = "Admins";

/// The envelope of block 0.
pub(crate) fn envelope(config: &config::Config) -> Envelope {
    let data = ConfigEnvelope {
        config: Some(Config { sequence: 0, channel_group: Some(channel(config)) }),
        last_update: None,
    }
    .encode_to_vec();
    let signature_header = SignatureHeader { creator: Vec::new(), nonce: sha256(&data)[..24].to_vec() };
    let channel_header = ChannelHeader {
        r#type: HeaderType::Config as i32,
        version: 1,
        channel_id: config.channel.clone(),
        tx_id: proposal::transaction_id(&signature_header),
        ..Default::default()
    };
    let header =
        Header { channel_header: channel_header.encode_to_vec(), signature_header: signature_header.encode_to_vec() };
    Envelope { payload: Payload { header: Some(header), data }.encode_to_vec(), signature: Vec::new() }
}

fn channel(config: &config::Config) -> ConfigGroup {
    ConfigGroup {
        groups: BTreeMap::from([
            ("Application".to_owned(), application(config)),
            ("Orderer".to_owned(), orderer(config)),
        ]),
        values: values([
            ("BlockDataHashingStructure", BlockDataHashingStructure { width: u32::MAX }.encode_to_vec()),
            ("Capabilities", capabilities("V3_0")),
            ("HashingAlgorithm", HashingAlgorithm { name: "SHA256".into() }.encode_to_vec()),
        ]),
        policies: standing_policies(),
        mod_policy: ADMINS.into(),
        version: 0,
    }
}

fn application(config: &config::Config) -> ConfigGroup {
    let mut policies = standing_policies();
    policies.insert("Endorsement".into(), implicit("Endorsement", Rule::Majority));
    policies.insert("LifecycleEndorsement".into(), implicit("Endorsement", Rule::Majority));
    ConfigGroup {
        groups: config
            .organisations
            .iter()
            .map(|organisation| (organisation.msp.id().to_owned(), organisation_group(&organisation.msp, false)))
            .collect(),
        values: values([("Capabilities", capabilities("V2_5"))]),
        policies,
        mod_policy: ADMINS.into(),
        version: 1,
    }
}

fn orderer(config: &config::Config) -> ConfigGroup {
    let mut policies = standing_policies();
    policies.insert("BlockValidation".into(), implicit("Writers", Rule::Any));
    let batch = BatchSize {
        max_message_count: u32::try_from(config.batch.max_messages).unwrap_or(u32::MAX),
        absolute_max_bytes: u32::try_from(config.batch.absolute_max_bytes).unwrap_or(u32::MAX),
        preferred_max_bytes: u32::try_from(config.batch.preferred_max_bytes).unwrap_or(u32::MAX),
    };
    let timeout = BatchTimeout { timeout: format!("{}ms", config.batch.timeout_milliseconds) };
    let consensus = ConsensusType { r#type: "etcdraft".into(), ..Default::default() };
    let msp = &config.orderer.msp;
    ConfigGroup {
        groups: BTreeMap::from([(msp.id().to_owned(), organisation_group(msp, true))]),
        values: values([
            ("BatchSize", batch.encode_to_vec()),
            ("BatchTimeout", timeout.encode_to_vec()),
            ("Capabilities", capabilities("V2_0")),
            ("ConsensusType", consensus.encode_to_vec()),
        ]),
        policies,
        mod_policy: ADMINS.into(),
        version: 0,
    }
}

fn organisation_group(msp: &Msp, orders: bool) -> ConfigGroup {
    use MspRoleType::{Admin, Client, Member, Orderer, Peer};
    let msp_id = msp.id();
    let mut policies = BTreeMap::from([
        ("Admins".to_owned(), signed_by(msp_id, &[Admin])),
        ("Readers".to_owned(), signed_by(msp_id, &[Member])),
        ("Writers".to_owned(), signed_by(msp_id, if orders { &[Orderer, Admin] } else { &[Admin, Client] })),
    ]);
    if !orders {
        policies.insert("Endorsement".into(), signed_by(msp_id, &[Peer]));
    }
    ConfigGroup {
        values: values([("MSP", msp.to_msp_config().encode_to_vec())]),
        policies,
        mod_policy: ADMINS.into(),
        ..Default::default()
    }
}

fn standing_policies() -> BTreeMap<String, ConfigPolicy> {
    BTreeMap::from([
        ("Admins".to_owned(), implicit("Admins", Rule::Majority)),
        ("Readers".to_owned(), implicit("Readers", Rule::Any)),
        ("Writers".to_owned(), implicit("Writers", Rule::Any)),
    ])
}

fn implicit(sub_policy: &str, rule: Rule) -> ConfigPolicy {
    const IMPLICIT_META: i32 = 3;
    policy(IMPLICIT_META, ImplicitMetaPolicy { sub_policy: sub_policy.into(), rule: rule as i32 }.encode_to_vec())
}

/// Any identity with one of the roles.
fn signed_by(msp_id: &str, roles: &[MspRoleType]) -> ConfigPolicy {
    const SIGNATURE: i32 = 1;
    let rules =
        (0..).take(roles.len()).map(|index| SignaturePolicy { r#type: Some(signature_policy::Type::SignedBy(index)) });
    let envelope = SignaturePolicyEnvelope {
        version: 0,
        rule: Some(SignaturePolicy {
            r#type: Some(signature_policy::Type::NOutOf(signature_policy::NOutOf { n: 1, rules: rules.collect() })),
        }),
        identities: roles.iter().map(|role| principal(msp_id, *role)).collect(),
    };
    policy(SIGNATURE, envelope.encode_to_vec())
}

fn policy(kind: i32, value: Vec<u8>) -> ConfigPolicy {
    ConfigPolicy { version: 0, policy: Some(Policy { r#type: kind, value }), mod_policy: ADMINS.into() }
}

fn values<const N: usize>(entries: [(&str, Vec<u8>); N]) -> BTreeMap<String, ConfigValue> {
    entries
        .into_iter()
        .map(|(name, value)| (name.to_owned(), ConfigValue { version: 0, value, mod_policy: ADMINS.into() }))
        .collect()
}

fn capabilities(version: &str) -> Vec<u8> {
    Capabilities { capabilities: BTreeMap::from([(version.to_owned(), Capability {})]) }.encode_to_vec()
}

/// Refuses a ledger whose block 0 has other organisations, or organisations with other authorities.
pub(crate) fn compare(ledger: &Ledger, wanted: &[u8]) -> Result<(), StartError> {
    let stored = ledger.block(0)?.and_then(|block| block.data).and_then(|data| data.data.into_iter().next());
    let (stored, wanted) = (organisations(&stored.unwrap_or_default()), organisations(wanted));
    if stored == wanted {
        return Ok(());
    }
    let names = |of: &BTreeMap<String, Vec<Vec<u8>>>| of.keys().cloned().collect::<Vec<_>>().join(", ");
    Err(StartError::AnotherNetwork(if stored.keys().eq(wanted.keys()) {
        "its organisations have other certificate authorities".into()
    } else {
        format!("its organisations are {}, not {}", names(&stored), names(&wanted))
    }))
}

/// The authorities' certificates by organisation.
fn organisations(envelope: &[u8]) -> BTreeMap<String, Vec<Vec<u8>>> {
    let roots = |group: &ConfigGroup| {
        let msp = group.values.get("MSP").map(|value| value.value.as_slice()).unwrap_or_default();
        let msp = MspConfig::decode(msp).unwrap_or_default();
        FabricMspConfig::decode(&msp.config[..]).unwrap_or_default().root_certs
    };
    let envelope = Envelope::decode(envelope).unwrap_or_default();
    let payload = Payload::decode(&envelope.payload[..]).unwrap_or_default();
    let config = ConfigEnvelope::decode(&payload.data[..]).unwrap_or_default().config.unwrap_or_default();
    let application = config.channel_group.and_then(|mut channel| channel.groups.remove("Application"));
    application.unwrap_or_default().groups.iter().map(|(name, group)| (name.clone(), roots(group))).collect()
}
